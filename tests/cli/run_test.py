"""strobe run: results, layouts, packed sequences, reports and pictures.

SPDX-License-Identifier: Apache-2.0
"""

import math
import unittest
import xml.etree.ElementTree

import tensor_files as files
from tool import MINILM, TOKENS, ToolTest


class Run(ToolTest):
    def run_tensors(self, tensors, words="", *arguments):
        """Runs over .safetensors, returns what was written."""
        files.write_safetensors(self.folder / "in.safetensors", tensors)
        self.strobe("run", words, "--in", self.folder / "in.safetensors", "--out",
                    self.folder / "out.safetensors", *arguments)
        return files.read_safetensors(self.folder / "out.safetensors")

    def assert_is_attention(self, written, tensors, visible=lambda row, key: True):
        want = files.attention(tensors, visible)
        self.assert_close(written["o"], want["o"], 1e-5)
        self.assert_close(written["lse"], want["lse"], 1e-5)


class Results(Run):
    def test_real_layer_equals_the_models_own_output(self):
        out = self.folder / "out.safetensors"
        self.strobe("run", "--in", MINILM, "--out", out)
        written, model = files.read_safetensors(out), files.read_safetensors(MINILM)
        self.assertEqual(sorted(written), ["lse", "o"])
        self.assert_close(written["o"], model["o"], 1e-5)
        self.assert_close(written["lse"], model["lse"], 1e-5)

    def test_no_options(self):
        tensors = files.inputs()
        self.assert_is_attention(self.run_tensors(tensors), tensors)

    def test_grouped_heads_and_causal_window(self):
        tensors = files.inputs(batch=2, heads=4, heads_kv=2, seqlen_q=9, seqlen_k=12)
        written = self.run_tensors(tensors, "causal window=4,0")
        self.assert_is_attention(written, tensors, lambda row, key: row - 1 <= key <= row + 3)

    def test_options_may_come_as_words_of_their_own(self):
        tensors = files.inputs()
        files.write_safetensors(self.folder / "in.safetensors", tensors)
        self.strobe("run", "causal", "align=top_left", "--in", self.folder / "in.safetensors",
                    "--out", self.folder / "out.safetensors")
        written = files.read_safetensors(self.folder / "out.safetensors")
        self.assert_is_attention(written, tensors, lambda row, key: key <= row)

    def test_masks_and_scores_from_memory(self):
        tensors = files.inputs()
        rows, keys = 5, tensors["k"].shape[1]
        seen = [(row + key) % 3 > 0 for row in range(rows) for key in range(keys)]
        masks = {
            "allowed": files.Tensor((1, 1, rows, keys), map(int, seen), "BOOL"),
            "bias": files.Tensor((1, 1, rows, keys), [0.0 if s else -math.inf for s in seen]),
            "blocks": files.Tensor((1, 1, rows, keys), map(int, seen), "BOOL"),
        }
        for name, mask in masks.items():
            with self.subTest(name):
                written = self.run_tensors({**tensors, name: mask},
                                           "blocks=1" if name == "blocks" else "")
                self.assert_is_attention(written, tensors,
                                         lambda row, key: seen[row * keys + key])

    def test_dropout_by_words_or_by_state(self):
        tensors = files.inputs()
        plain = self.run_tensors(tensors)["o"].values
        words = self.run_tensors(tensors, "dropout=0.5,7,3")["o"].values
        self.assertNotEqual(list(words), list(plain))
        state = {**tensors, "dropout_state": files.Tensor((2,), [7, 3], "U64")}
        self.assertEqual(list(self.run_tensors(state, "dropout=0.5")["o"].values), list(words))

    def test_layout_bhsd_is_that_of_the_file(self):
        tensors = files.inputs(batch=2, heads=3)
        swapped = {name: tensor.swapped(1, 2) for name, tensor in tensors.items()}
        written = self.run_tensors(swapped, "layout=bhsd")
        self.assertEqual(written["o"].shape, (2, 3, 5, 8))
        written["o"] = written["o"].swapped(1, 2)
        self.assert_is_attention(written, tensors)

    def test_16_bits_give_16_bits_unless_f32_is_asked_for(self):
        for rounded, name, error in [(files.as_bf16, "BF16", 0.02), (files.as_f16, "F16", 0.003)]:
            tensors = {key: rounded(tensor) for key, tensor in files.inputs().items()}
            want = files.attention(tensors)
            for words, dtype in [("", name), ("o=f32", "F32")]:
                with self.subTest(name + words):
                    written = self.run_tensors(tensors, words)
                    self.assertEqual((written["o"].dtype, written["lse"].dtype), (dtype, "F32"))
                    self.assert_close(written["o"], want["o"], error)
                    self.assert_close(written["lse"], want["lse"], 1e-4)

    def test_no_keys(self):
        tensors = files.inputs(seqlen_k=0)
        written = self.run_tensors(tensors)
        self.assertEqual(set(written["o"].values), {0.0})
        self.assertEqual(set(written["lse"].values), {-math.inf})

    def test_backends_and_threads(self):
        tensors = files.inputs(seqlen_q=70, seqlen_k=70, head_dim=4)
        for arguments in ["--backend reference", "--backend cpu:portable --threads 3"]:
            with self.subTest(arguments):
                written = self.run_tensors(tensors, "", *arguments.split())
                self.assert_is_attention(written, tensors)

    def test_tensors_that_forward_does_not_read_are_ignored(self):
        tensors = files.inputs()
        ignored = {"dout": files.lengths([1]), "k_cache": files.lengths([2]),
                   "lse": files.lengths([3]), "q_tangent": files.lengths([4])}
        self.assert_is_attention(self.run_tensors({**tensors, **ignored}), tensors)


class AxesOfWords(Run):
    """bias= and allowed= must say what the tensors are, or nothing."""

    def run_words(self, words, tensors, status=0):
        files.write_safetensors(self.folder / "in.safetensors", tensors)
        return self.strobe("run", words, "--in", self.folder / "in.safetensors", "--out",
                           self.folder / "out.safetensors", status=status)

    def test_words_that_contradict_the_tensor(self):
        tensors = files.inputs(batch=2)
        true = [1] * (2 * 5)
        for words, more, says in [
            ("bias=1,1,q,k", {"bias": files.normal([1, 2, 5, 7], 3)}, "bias=1,h,q,k"),
            ("bias=b,h,q,k", {"bias": files.normal([1, 2, 5, 7], 3)}, "bias=1,h,q,k"),
            ("causal bias=1,h,q,1", {"bias": files.normal([1, 2, 5, 7], 3)}, "bias=1,h,q,k"),
            ("allowed=b,1,1,k", {"allowed": files.Tensor([2, 1, 5, 1], true, "BOOL")},
             "allowed=b,1,q,1"),
        ]:
            with self.subTest(words):
                line = self.run_words(words, {**tensors, **more}, status=2)
                self.assertIn(f"is one of {says}; mend the word", line)
        self.assertFalse((self.folder / "out.safetensors").exists())

    def test_a_type_that_contradicts_the_tensor(self):
        rounded = {name: files.as_bf16(tensor) for name, tensor in files.inputs().items()}
        bias = files.normal([1, 2, 5, 7], 3)
        own = {**rounded, "bias": files.as_bf16(bias)}
        self.assertIn("[run-axes]", self.run_words("bias=1,h,q,k:f32", own, status=2))
        self.run_words("bias=1,h,q,k:f32", {**rounded, "bias": bias})
        self.run_words("bias=1,h,q,k", {**rounded, "bias": bias})

    def test_words_that_agree_or_say_nothing(self):
        bias = {"bias": files.normal([1, 2, 5, 7], 3)}
        for words in ["", "bias", "bias=1,h,q,k", "bias=b,h,q,k"]:  # one sequence: b is 1
            with self.subTest(words):
                self.assertIn("bias=", self.run_words(words, {**files.inputs(), **bias}))

    def test_blocks_need_their_word_and_their_tensor(self):
        tensors = files.inputs()
        blocks = {"blocks": files.Tensor([1, 1, 1, 1], [1], "BOOL")}
        line = self.run_words("", {**tensors, **blocks}, status=2)
        self.assertIn("add blocks=64", line)
        self.assertIn("blocks needs the tensor blocks", self.run_words("blocks=8", tensors,
                                                                       status=2))
        self.run_words("blocks=8", {**tensors, **blocks})


class Lengths(Run):
    def test_packed_sequences_and_the_gaps_between_them(self):
        first = files.inputs(seqlen_q=3, seqlen_k=4)
        second = files.inputs(seqlen_q=2, seqlen_k=1, seed=9)
        for layout in ["", "layout=bhsd"]:
            with self.subTest(layout):
                self.check_packed(first, second, layout)

    def check_packed(self, first, second, layout):
        """q: three rows, a sequence without rows, two rows, one row of gap."""
        gap = {"q": files.normal([1, 1, 2, 8], 5), "k": files.normal([1, 0, 2, 8], 5)}
        gap["v"] = gap["k"]
        packed = {}
        for name in ["q", "k", "v"]:
            values = first[name].values + second[name].values + gap[name].values
            packed[name] = files.Tensor([len(values) // 16, 2, 8], values)
            if layout:
                packed[name] = packed[name].swapped(0, 1)
        written = self.run_tensors(
            {**packed, "cu_seqlens_q": files.lengths([0, 3, 3, 5]),
             "cu_seqlens_k": files.lengths([0, 4, 4, 5])}, layout)
        o = written["o"].swapped(0, 1) if layout else written["o"]
        self.assertEqual(o.shape, (6, 2, 8))
        self.assertEqual(written["lse"].shape, (2, 6))
        for offset, tensors in [(0, first), (3, second)]:
            want = files.attention(tensors)
            rows = tensors["q"].shape[1]
            part = files.Tensor([1, rows, 2, 8], o.values[offset * 16:(offset + rows) * 16])
            self.assert_close(part, want["o"], 1e-5)
            for head in range(2):
                for row in range(rows):
                    self.assertAlmostEqual(written["lse"].at(head, offset + row),
                                           want["lse"].at(0, head, row), places=5)
        self.assertEqual(o.values[5 * 16:], [0.0] * 16)
        self.assertEqual([written["lse"].at(head, 5) for head in range(2)], [-math.inf] * 2)

    def test_padded_lengths(self):
        tensors = files.inputs(batch=2)
        written = self.run_tensors({**tensors, "seqlens_k": files.lengths([7, 3])})
        for name, tensor in files.attention(tensors).items():
            half = len(tensor.values) // 2
            whole = files.Tensor([half], tensor.values[:half])
            self.assert_close(files.Tensor([half], written[name].values[:half]), whole, 1e-5)
        short = {name: files.Tensor([1, *tensor.shape[1:]],
                                    tensor.values[len(tensor.values) // 2:])
                 for name, tensor in tensors.items()}
        want = files.attention(short, lambda row, key: key < 3)
        rows = written["o"].values
        second = files.Tensor(want["o"].shape, rows[len(rows) // 2:])
        self.assert_close(second, want["o"], 1e-5)


class NpyFiles(Run):
    def test_in_and_out(self):
        tensors = files.inputs()
        arguments = []
        for name, tensor in tensors.items():
            files.write_npy(self.folder / f"{name}.npy", tensor)
            arguments += [f"--{name}", self.folder / f"{name}.npy"]
        self.strobe("run", "", *arguments, "--out", self.folder / "out")
        self.assertEqual(sorted(path.name for path in (self.folder / "out").iterdir()),
                         ["lse.npy", "o.npy"])
        written = {name: files.read_npy(self.folder / "out" / f"{name}.npy")
                   for name in ["o", "lse"]}
        self.assert_is_attention(written, tensors)

    def test_bf16_is_v2_and_f16_is_f2(self):
        for rounded, dtype in [(files.as_bf16, "BF16"), (files.as_f16, "F16")]:
            arguments = []
            for name, tensor in files.inputs().items():
                files.write_npy(self.folder / f"{name}.npy", rounded(tensor))
                arguments += [f"--{name}", self.folder / f"{name}.npy"]
            self.strobe("run", *arguments, "--out", self.folder)
            self.assertEqual(files.read_npy(self.folder / "o.npy").dtype, dtype)

    def test_beside_safetensors(self):
        tensors = files.inputs(batch=2)
        files.write_npy(self.folder / "seqlens_k.npy", files.lengths([7, 7]))
        written = self.run_tensors(tensors, "seqlens", "--seqlens_k", self.folder / "seqlens_k.npy")
        self.assert_is_attention(written, tensors)

    def test_a_tensor_may_come_only_once(self):
        files.write_safetensors(self.folder / "in.safetensors", files.inputs())
        files.write_npy(self.folder / "q.npy", files.inputs()["q"])
        line = self.strobe("run", "--in", self.folder / "in.safetensors", "--q",
                           self.folder / "q.npy", "--out", self.folder / "out", status=2)
        self.assertIn("twice", line)


class Reports(Run):
    def test_report_compares_with_the_files_own_output(self):
        text = self.strobe("run", "--in", MINILM, "--report")
        errors = {line.split("  ")[1]: float(line.split()[-3]) for line in text.splitlines()
                  if line.startswith("  strobe") or line.startswith("  the o that came")}
        self.assertLess(errors["strobe"], 4e-6)
        self.assertAlmostEqual(errors["the o that came with the input"], 1.6e-6, delta=2e-7)
        self.assertIn("12.0 MiB", text)  # the score matrix: 12 heads x 512 x 512 floats

    def test_show_row_prints_weights_that_sum_to_one(self):
        text = self.strobe("run", "--in", MINILM, "--show-row",
                           f"head=8,row=5,tokens={TOKENS}")
        self.assertIn('head 8 at row 5 "universally"', text)
        self.assertIn("sum 1.0000", text)

    def test_picture_is_well_formed_and_has_every_head(self):
        picture = self.folder / "attention.svg"
        self.strobe("run", "--in", MINILM, "--show-row", "head=0,row=5", "--tokens", TOKENS,
                    "--svg", picture)
        root = xml.etree.ElementTree.parse(picture).getroot()
        texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
        for head in range(12):
            self.assertIn(f"head {head}", texts)
        marked = [node for node in root.iter("{http://www.w3.org/2000/svg}rect")
                  if node.get("class") == "query"]
        self.assertEqual(len(marked), 12)

    def test_bad_rows(self):
        for row, named in [("head=12,row=0", "12"), ("head=0,row=512", "512"), ("head=0", "row"),
                           ("head=x,row=0", "x"), ("head=0,row=0,batch=1", "batch"),
                           ("chair=1", "chair")]:
            with self.subTest(row):
                line = self.strobe("run", "--in", MINILM, "--show-row", row, status=2)
                self.assertIn(named, line)

    def test_words_must_match_the_keys(self):
        (self.folder / "words").write_text("one\ntwo\n")
        line = self.strobe("run", "--in", MINILM, "--show-row", "head=0,row=0", "--tokens",
                           self.folder / "words", status=2)
        self.assertIn("2 words for 512 keys", line)


if __name__ == "__main__":
    unittest.main()
