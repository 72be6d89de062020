"""Every message of the tool's own: provoked here, explained in docs/errors.md, in one table.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import unittest

import tensor_files as files
from tool import MINILM, ROOT, ToolTest

# What provokes each message, in the order of tools/strobe/messages.hpp; {} is the test's folder.
PROVOKED = {
    "command-line": ["walk"],
    "standard-output": ["kernels"],
    "memory-nothing": ["kernels"],
    "op-unknown": ["bench", "h1 q8 d8", "--op", "sideways"],
    "op-later": ["bench", "h1 q8 d8", "--op", "backward"],
    "threads-range": ["check", "h1 q8 d8", "--threads", "9999"],
    "seed-number": ["check", "h1 q8 d8", "--seed", "-1"],
    "values-unknown": ["check", "h1 q8 d8", "--values", "steep"],
    "output-place": ["bench", "h1 q8 d8", "--json", "{}/none/bench.json"],
    "output-input": ["run", "--in", "{}/in.safetensors", "--out", "{}/in.safetensors"],
    "run-output-missing": ["run", "--in", MINILM],
    "run-output-kind": ["run", "--in", MINILM, "--out", "{}/o.npy"],
    "run-input-missing": ["run", "causal", "--out", "{}/out"],
    "run-tensor-twice": ["run", "--in", "{}/in.safetensors", "--q", "{}/q.npy", "--out", "{}/out"],
    "run-rank": ["run", "--in", "{}/flat.safetensors", "--out", "{}/out"],
    "run-varlen": ["run", "varlen", "--in", MINILM, "--out", "{}/out"],
    "run-seqlens": ["run", "seqlens", "--in", MINILM, "--out", "{}/out"],
    "run-option": ["run", "bias", "--in", MINILM, "--out", "{}/out"],
    "run-blocks": ["run", "--in", "{}/blocks.safetensors", "--out", "{}/out"],
    "run-axes": ["run", "bias=1,1,q,k", "--in", "{}/bias.safetensors", "--out", "{}/out"],
    "run-number": ["run", "page=3", "--op", "decode", "--in", "{}/pages.safetensors", "--out",
                   "{}/out"],
    "report-compare": ["run", "--in", "{}/own.safetensors", "--report"],
    "row-part": ["run", "--in", MINILM, "--show-row", "head=1,chair=2"],
    "row-missing": ["run", "--in", MINILM, "--show-row", "head=1"],
    "row-number": ["run", "--in", MINILM, "--show-row", "head=one,row=2"],
    "row-range": ["run", "--in", MINILM, "--show-row", "head=12,row=2"],
    "words-row": ["run", "--in", MINILM, "--out", "{}/out", "--tokens", "{}/words"],
    "words-count": ["run", "--in", MINILM, "--show-row", "head=1,row=2,tokens={}/words"],
    "words-size": ["run", "--in", MINILM, "--show-row", "head=1,row=2,tokens={}/huge"],
    "picture-row": ["run", "--in", MINILM, "--out", "{}/out", "--svg", "{}/a.svg"],
    "picture-words": ["run", "--in", "{}/long.safetensors", "--show-row", "head=0,row=0", "--svg",
                      "{}/a.svg"],
    "bench-cases": ["bench"],
    "bench-suite": ["bench", "--suite", "even"],
    "bench-compare": ["bench", "h1 q8 d8", "--compare", "torch"],
    "bench-pages": ["bench", "h1 q1 k40 d8 page=16", "--op", "decode", "--compare", "standard"],
    "bench-hot": ["bench", "h1 q8 d8", "--hot"],
    "memory-size": ["explain", "h1 q8 d8", "--memory", "lots"],
    "memory-case": ["check", "b64 h128 q4194304 d256"],
}


def table():
    """(id, code) of each row of tools/strobe/messages.hpp."""
    source = (ROOT / "tools/strobe/messages.hpp").read_text()
    return re.findall(r'Message\{"([\w-]+)", Code::(\w+)\}', source)


def paragraphs():
    """The text under each "#### id" of docs/errors.md."""
    source = (ROOT / "docs/errors.md").read_text()
    return dict(re.findall(r"^#### ([\w-]+)\n(.*?)(?=^#|\Z)", source, re.MULTILINE | re.DOTALL))


def surroundings(name):
    """What else a message takes to be provoked; None where this system cannot."""
    if name == "standard-output":
        return {"stdout": "/dev/full"} if os.path.exists("/dev/full") else None
    if name == "memory-nothing":
        library = os.environ.get("STROBE_FAILING_MALLOC")
        return library and {"environment": {"LD_PRELOAD": library, "STROBE_TEST_FAILS": "-1"}}
    return {}


class Messages(ToolTest):
    def setUp(self):
        super().setUp()
        tensors = files.inputs()
        flat = files.Tensor([5, 16], tensors["q"].values)
        pages = {name: files.normal([2, 4, 2, 8], 1) for name in ("k_cache", "v_cache")}
        table = files.Tensor([1, 2], [1, 0], "I32")
        for name, content in {"in": tensors, "flat": {**tensors, "q": flat},
                              "pages": {"q": tensors["q"], **pages, "page_table": table,
                                        "cache_seqlens": files.lengths([7])},
                              "own": {**tensors, "o": files.lengths([1])},
                              "blocks": {**tensors,
                                         "blocks": files.Tensor([1, 1, 1, 1], [1], "BOOL")},
                              "bias": {**tensors, "bias": files.normal([1, 2, 5, 7], 3)},
                              "long": files.inputs(seqlen_q=1, seqlen_k=4097, heads=1,
                                                   head_dim=1)}.items():
            files.write_safetensors(self.folder / f"{name}.safetensors", content)
        files.write_npy(self.folder / "q.npy", tensors["q"])
        (self.folder / "words").write_text("one\ntwo\n")
        with open(self.folder / "huge", "wb") as huge:
            huge.truncate(2**28 + 1)

    def test_each_is_printed_as_the_documentation_quotes_it(self):
        documented, codes = paragraphs(), dict(table())
        for name, arguments in PROVOKED.items():
            with self.subTest(name):
                arguments = [str(argument).replace("{}", str(self.folder))
                             for argument in arguments]
                status = 3 if codes[name] in ("out_of_memory", "device") else 2
                around = surroundings(name)
                if around is None:
                    continue
                line = self.strobe(*arguments, status=status, **around).rstrip("\n")
                self.assertTrue(line.endswith(f" [{name}]"), line)
                quoted = re.search(r"^    (strobe: .*)$", documented[name], re.MULTILINE)[1]
                pattern = ".*".join(re.escape(part) for part in quoted.split("..."))
                self.assertRegex(line, f"^{pattern}$")

    def test_table_documentation_and_tests_name_the_same(self):
        names = [name for name, code in table()]
        self.assertEqual(list(paragraphs()), names)
        self.assertEqual(list(PROVOKED), names)

    def test_each_paragraph_has_code_cause_and_fix(self):
        documented = paragraphs()
        for name, code in table():
            with self.subTest(name):
                self.assertTrue(documented[name].startswith(f"\n`{code}`\n"))
                self.assertIn("**Cause.** ", documented[name])
                self.assertIn("**Fix.** ", documented[name])


if __name__ == "__main__":
    unittest.main()
