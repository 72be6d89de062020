"""strobe run on bad input: one error line, status 2, and outputs that exist stay as they are.

SPDX-License-Identifier: Apache-2.0
"""

import json
import struct
import unittest

import tensor_files as files
from tool import MINILM, TOKENS, ToolTest


def header_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class Untouched(ToolTest):
    """Runs against outputs that are there already."""

    def refuse(self, arguments, named=""):
        out = self.folder / "out.safetensors"
        picture = self.folder / "picture.svg"
        out.write_bytes(b"precious")
        picture.write_bytes(b"precious")
        before = sorted(self.folder.iterdir())
        line = self.strobe("run", *arguments, "--out", out, "--show-row", "head=0,row=0", "--svg",
                           picture, status=2)
        self.assertIn(named, line)
        self.assertEqual(out.read_bytes(), b"precious")
        self.assertEqual(picture.read_bytes(), b"precious")
        self.assertEqual(sorted(self.folder.iterdir()), before, "nothing is left behind")

    def refuse_file(self, content, named="", words=""):
        path = self.folder / "in.safetensors"
        path.write_bytes(content)
        self.refuse([words, "--in", path], named)

    def refuse_tensors(self, named, words="", **changes):
        tensors = {**files.inputs(), **changes}
        given = {name: tensor for name, tensor in tensors.items() if tensor}
        self.refuse_file(files.safetensors_bytes(given), named, words)


class HostileFiles(Untouched):
    def test_safetensors(self):
        whole = files.safetensors_bytes(files.inputs())
        huge = 2**62
        for name, content in {
            "empty": b"",
            "seven bytes": whole[:7],
            "header beyond the file": struct.pack("<Q", huge) + whole[8:],
            "header length that wraps": struct.pack("<Q", 2**64 - 8) + whole[8:],
            "truncated data": whole[:-4],
            "data too long": whole + b"\0" * 4,
            "no json": header_file(b"{q:"),
            "no object": header_file(b"[1, 2]"),
            "offsets beyond the file": header_file({"q": entry([1, 1, 1, 4], 0, 16)}, b"\0" * 8),
            "offsets the wrong way": header_file({"q": entry([1, 1, 1, 4], 16, 0)}, b"\0" * 16),
            "size that overflows": header_file({"q": entry([huge, 4, 1, 1], 0, 0)}),
            "huge shape": header_file({"q": entry([1, 2**40, 2**10, 4], 0, 16)}, b"\0" * 16),
            "negative shape": header_file({"q": entry([-1, 1, 1, 4], 0, 16)}, b"\0" * 16),
            "shape that is no number": header_file({"q": entry(["1", 1, 1, 4], 0, 16)}, b"\0" * 16),
            "rank five": header_file({"q": entry([1, 1, 1, 1, 4], 0, 16)}, b"\0" * 16),
            "unknown type": header_file({"q": entry([1, 1, 1, 4], 0, 16, "F31")}, b"\0" * 16),
            "overlapping": header_file(
                {"q": entry([1, 1, 1, 4], 0, 16), "k": entry([4], 0, 16)}, b"\0" * 16),
        }.items():
            with self.subTest(name):
                self.refuse_file(content, "in.safetensors")

    def test_npy(self):
        whole = files.npy_bytes(files.inputs()["q"])
        for name, content in {
            "empty": b"",
            "magic": b"\x93NUMPX" + whole[6:],
            "version": whole[:6] + b"\x09" + whole[7:],
            "header beyond the file": whole[:8] + b"\xff\xff" + whole[10:],
            "truncated": whole[:-1],
            "too long": whole + b"\0",
            "object type": whole.replace(b"'<f4'", b"'|O' "),
            "big endian": whole.replace(b"<f4", b">f4"),
            "huge shape": whole.replace(b"(1, 5,", b"(9999,"),
        }.items():
            with self.subTest(name):
                for tensor, good in files.inputs().items():
                    files.write_npy(self.folder / f"{tensor}.npy", good)
                (self.folder / "q.npy").write_bytes(content)
                self.refuse(["--q", self.folder / "q.npy", "--k", self.folder / "k.npy", "--v",
                             self.folder / "v.npy"], "q.npy")

    def test_missing_files_and_folders(self):
        self.refuse(["--in", self.folder / "none.safetensors"], "none.safetensors")
        self.refuse(["--in", self.folder], "regular file")
        self.refuse([], "--in")


class BadTensors(Untouched):
    def test_names(self):
        self.refuse_tensors("query", query=files.lengths([1]))
        self.refuse_tensors("v", v=None)

    def test_tensors_that_would_change_the_result(self):
        for name in ["bias", "allowed", "blocks", "key_begin", "key_end", "alibi_slopes",
                     "sink_logits", "leftpad_k"]:
            with self.subTest(name):
                self.refuse_tensors(name, **{name: files.lengths([1])})

    def test_shapes_and_types(self):
        for name, changes in {
            "rank": {"q": files.normal([5, 16], 0)},
            "head_dim": {"k": files.normal([1, 7, 2, 4], 0)},
            "keys": {"v": files.normal([1, 6, 2, 8], 0)},
            "batch": {"k": files.normal([2, 7, 2, 8], 0)},
            "head ratio": {"q": files.normal([1, 5, 3, 8], 0)},
            "too many key heads": {name: files.normal([1, 7, 4, 8], 0) for name in "kv"},
            "type": {"k": files.Tensor([1, 7, 2, 8], [0] * 112, "F64")},
            "no type": {name: files.Tensor([1, 2, 2, 2], [0] * 8, "I32") for name in "qkv"},
        }.items():
            with self.subTest(name):
                self.refuse_tensors("", **changes)

    def test_lengths(self):
        for name, changes in {
            "one of two": {"cu_seqlens_q": files.lengths([0, 5])},
            "too long": {"seqlens_k": files.lengths([8])},
            "negative": {"seqlens_q": files.lengths([-1])},
            "too many": {"seqlens_q": files.lengths([1, 1])},
            "floats": {"seqlens_q": files.normal([1], 0)},
        }.items():
            with self.subTest(name):
                self.refuse_tensors("seqlens", **changes)

    def test_packed_lengths(self):
        packed = {name: files.Tensor(tensor.shape[1:], tensor.values)
                  for name, tensor in files.inputs().items()}
        for name, cu_seqlens in {"falling": [0, 4, 2], "beyond": [0, 4, 6], "negative": [-1, 2, 5],
                                 "empty": []}.items():
            with self.subTest(name):
                self.refuse_tensors("cu_seqlens", **packed, cu_seqlens_k=files.lengths([0, 3, 7]),
                                    cu_seqlens_q=files.lengths(cu_seqlens))

    def test_options(self):
        for words in ["cuasal", "window=1", "causal causal", "varlen", "seqlens", "chunk=-1",
                      "page=16", "layout=sbhd", "o=f16", "h8", "scale=nan"]:
            with self.subTest(words):
                self.refuse_tensors(words.split("=", maxsplit=1)[0].split()[0], words)


class OutputsThatAreInputs(ToolTest):
    """An input stays as it is, whatever name a result would replace it by."""

    def setUp(self):
        super().setUp()
        self.tensors = files.inputs()
        self.whole = self.folder / "in.safetensors"
        files.write_safetensors(self.whole, self.tensors)

    def refuse(self, *arguments):
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        self.assertIn("[output-input]", self.strobe("run", *arguments, status=2))
        self.assertEqual({path: path.read_bytes() for path in before}, before)

    def test_the_file_by_any_name(self):
        (self.folder / "link.safetensors").symlink_to(self.whole)
        (self.folder / "hard.safetensors").hardlink_to(self.whole)
        for name in ["in.safetensors", "./in.safetensors", "link.safetensors", "hard.safetensors"]:
            with self.subTest(name):
                self.refuse("--in", self.whole, "--out", f"{self.folder}/{name}")

    def test_one_file_of_a_folder(self):
        out = self.folder / "out"
        out.mkdir()
        files.write_npy(out / "o.npy", self.tensors["q"])
        arguments = ["--k", self.folder / "k.npy", "--v", self.folder / "k.npy"]
        files.write_npy(self.folder / "k.npy", self.tensors["k"])
        self.refuse("--q", out / "o.npy", *arguments, "--out", out)

    def test_a_picture(self):
        row = ["--in", self.whole, "--show-row", "head=0,row=0"]
        self.refuse(*row, "--svg", self.whole)
        words = self.folder / "words"
        words.write_text("a\n" * 7)
        self.refuse(*row, "--tokens", words, "--svg", words)
        self.refuse(*row[:-1], f"head=0,row=0,tokens={words}", "--svg", words)


class BadOutputs(ToolTest):
    def test_places_that_cannot_be_written(self):
        (self.folder / "file").write_bytes(b"precious")
        (self.folder / "folder.safetensors").mkdir()
        for out in ["none/out.safetensors", "none/folder", "file", "out.npy", "folder.safetensors"]:
            with self.subTest(out):
                self.strobe("run", "--in", MINILM, "--out", self.folder / out, status=2)
        self.assertEqual((self.folder / "file").read_bytes(), b"precious")

    def test_a_name_with_another_extension_is_no_folder_to_make(self):
        for out in ["x.txt", "out.pt", "o.npy"]:
            line = self.strobe("run", "--in", MINILM, "--out", self.folder / out, status=2)
            self.assertIn("[run-output-kind]", line)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.strobe("run", "--in", MINILM, "--out", f"{self.folder}/run.1/")
        (self.folder / "run.2").mkdir()
        self.strobe("run", "--in", MINILM, "--out", self.folder / "run.2")
        for folder in ["run.1", "run.2"]:
            self.assertTrue((self.folder / folder / "lse.npy").exists())

    def test_something_must_be_asked_for(self):
        self.assertIn("--out", self.strobe("run", "--in", MINILM, status=2))
        self.assertIn("--show-row", self.strobe("run", "--in", MINILM, "--out", self.folder / "out",
                                                "--svg", self.folder / "a.svg", status=2))
        self.assertIn("--show-row", self.strobe("run", "--in", MINILM, "--out", self.folder / "out",
                                                "--tokens", TOKENS, status=2))

    def test_op(self):
        self.strobe("run", "--in", MINILM, "--out", self.folder / "out", "--op", "decode", status=2)


if __name__ == "__main__":
    unittest.main()
