"""--op decode of check, bench, explain and run: what they print, write and refuse.

SPDX-License-Identifier: Apache-2.0
"""

import json
import math
import unittest

import tensor_files as files
from tool import ToolTest


class Check(ToolTest):
    def test_prints_the_command_that_repeats_it(self):
        text = self.strobe("check", "b2 h4/2 q1 k200 d16 page=16 append", "--op", "decode",
                           "--splits", 2, "--backend", "cpu:portable", "--seed", 7)
        self.assertIn('strobe check "b2 h4/2 q1 k200 d16 page=16 append" --op decode --splits 2 '
                      "--backend cpu:portable --seed 7", text)

    def test_reference_and_hard_values(self):
        self.strobe("check", "b2 h4/2 q3 k90 d16 causal append rotary=16 seqlens", "--op", "decode",
                    "--backend", "reference")
        self.strobe("check", "h4/2 q1 k300 d32 leftpad", "--op", "decode", "--values", "rising")

    def test_what_decode_has_not_is_refused(self):
        for case in ["b2 h2 q1 k9 d8 varlen", "h2 q1 k9 d8 dropout=0.5"]:
            for backend in ["cpu", "reference"]:
                line = self.strobe("check", case, "--op", "decode", "--backend", backend, status=2)
                self.assertRegex(line, r"\[op-(packed|dropout)\]")

    def test_what_forward_has_not_is_refused(self):
        self.assertIn("[op-cache]", self.strobe("check", "h2 q1 k9 d8 page=4", status=2))
        self.assertIn("[plan-splits]", self.strobe("check", "h2 q9 d8", "--splits", 2, status=2))


class Explain(ToolTest):
    def test_what_grouped_heads_save(self):
        text = self.strobe("explain", "h32/8 q1 k65536 d128 bf16", "--op", "decode")
        self.assertIn("256 MiB of keys and values; with 32 key heads instead of 8 it would be "
                      "1.00 GiB, 4 times as much", text)

    def test_no_group_saves_nothing(self):
        text = self.strobe("explain", "h8 q1 k1024 d64", "--op", "decode")
        self.assertIn("4.00 MiB of keys and values\n", text)

    def test_forward_has_no_cache(self):
        self.assertNotIn("cache", self.strobe("explain", "h8/2 q64 d64"))

    def test_splits_that_do_not_apply_are_named(self):
        text = self.strobe("explain", "h8 q512 k4096 d64", "--op", "decode", "--splits", 5)
        self.assertIn("splits       do not apply, 5 asked for: ", text)


class Bench(ToolTest):
    def row(self, *arguments):
        path = self.folder / "bench.json"
        self.strobe("bench", *arguments, "--op", "decode", "--json", path)
        row, = json.loads(path.read_text())["rows"]
        return row

    def test_figures_agree(self):
        row = self.row("b2 h4/2 q3 k2000 d64 causal append", "--threads", 1, "--splits", 3)
        self.assertEqual((row["op"], row["splits"]), ("decode", 3))
        keys = 2 * 2 * 2000 * (64 + 64) * 4
        self.assertEqual(row["cache_bytes"], keys)
        self.assertEqual(row["caches"], 2**29 // keys + 1)
        queries = 2 * 4 * 3 * (64 + 64 + 1) * 4
        new = 2 * 2 * 3 * (64 + 64) * 4
        moved = row["gbytes_per_s"] * row["seconds_median"] * 1e9
        self.assertAlmostEqual(moved / (keys + queries + new), 1, places=6)
        self.assertAlmostEqual(row["fraction_of_limit"],
                               max(row["fraction_of_peak"], row["fraction_of_bandwidth"]))
        self.assertEqual(len(row["busy"]), 1)
        self.assertGreater(row["busy"][0], 0)

    def test_hot_keeps_to_one_cache(self):
        row = self.row("h4/2 q1 k500 d32", "--hot", "--threads", 2)
        self.assertEqual(row["caches"], 1)
        self.assertEqual(len(row["busy"]), 2)
        self.assertGreaterEqual(row["busy"][0], row["busy"][1])

    def test_standard_attention_reads_a_contiguous_cache(self):
        row = self.row("b2 h4/2 q1 k500 d32 batch_idx", "--compare", "standard")
        self.assertGreater(row["standard"]["seconds_median"], 0)

    def test_every_case_of_the_suite_is_one_that_a_kernel_takes(self):
        line = self.strobe("bench", "--suite", "decode", "--json", self.folder / "no/a.json",
                           status=2)
        self.assertIn("[output-place]", line)


class Run(ToolTest):
    def run_tensors(self, tensors, words="", *arguments):
        files.write_safetensors(self.folder / "in.safetensors", tensors)
        self.strobe("run", words, "--op", "decode", "--in", self.folder / "in.safetensors", "--out",
                    self.folder / "out.safetensors", *arguments)
        return files.read_safetensors(self.folder / "out.safetensors")

    def assert_is_attention(self, written, tensors, visible=lambda row, key: True):
        want = files.attention(tensors, visible)
        self.assert_close(written["o"], want["o"], 1e-5)
        self.assert_close(written["lse"], want["lse"], 1e-5)

    def test_over_a_cache(self):
        tensors = files.inputs(batch=2, heads=4, heads_kv=2, seqlen_q=1, seqlen_k=9)
        written = self.run_tensors(files.in_cache(tensors))
        self.assertEqual(sorted(written), ["k_cache", "lse", "o", "v_cache"])
        self.assert_is_attention(written, tensors)

    def test_new_keys_are_written_into_the_cache(self):
        tensors = files.inputs(batch=2, heads=4, heads_kv=2, seqlen_q=3, seqlen_k=9)
        for backend in ["cpu", "reference"]:
            written = self.run_tensors(files.in_cache(tensors, new=3), "causal", "--backend",
                                       backend)
            self.assert_is_attention(written, tensors, lambda row, key: key <= row + 6)
            for name in ("k", "v"):
                self.assertEqual(written[f"{name}_cache"].values, tensors[name].values)

    def test_over_pages(self):
        tensors = files.inputs(batch=2, seqlen_q=1, seqlen_k=10)
        pages = [[4, 1, 3], [0, 6, 2]]
        call = {"q": tensors["q"], "cache_seqlens": files.lengths([10, 10]),
                "page_table": files.Tensor([2, 4], pages[0] + [-1] + pages[1] + [99], "I32")}
        for name in ("k", "v"):
            call[f"{name}_cache"] = files.paged(tensors[name], 4, lambda b, i: pages[b][i])
        self.assert_is_attention(self.run_tensors(call, "page=4"), tensors)
        line = self.strobe("run", "append", "--op", "decode", "--in",
                           self.folder / "in.safetensors", "--out", self.folder / "out.safetensors",
                           status=2)
        self.assertIn("append needs the tensor k", line)

    def test_layout_bhsd_is_that_of_the_file(self):
        tensors = files.inputs(batch=2, heads=3, seqlen_q=2, seqlen_k=7)
        call = files.in_cache(tensors, new=2)
        swapped = {name: tensor if tensor.dtype == "I32" else tensor.swapped(1, 2)
                   for name, tensor in call.items()}
        plain = self.run_tensors(call, "causal")
        written = self.run_tensors(swapped, "causal layout=bhsd")
        for name in ("o", "k_cache", "v_cache"):
            self.assertEqual(written[name].swapped(1, 2).values, plain[name].values)
        self.assertEqual(written["lse"].values, plain["lse"].values)

    def test_left_padding_and_entries(self):
        tensors = files.inputs(batch=1, seqlen_q=1, seqlen_k=9)
        call = files.in_cache(tensors)
        for name in ("k_cache", "v_cache"):  # entry 1 of two
            cache = call[name]
            nothing = [math.nan] * len(cache.values)
            call[name] = files.Tensor([2, *cache.shape[1:]], nothing + cache.values)
        call["cache_batch_idx"] = files.lengths([1])
        call["leftpad_k"] = files.lengths([4])
        self.assert_is_attention(self.run_tensors(call), tensors, lambda row, key: key >= 4)

    def test_rotary_embedding_turns_query_and_new_key(self):
        tensors = files.inputs(batch=1, heads=1, seqlen_q=1, seqlen_k=5, head_dim=2)
        written = self.run_tensors(files.in_cache(tensors, new=1), "rotary=2")
        for name in ("q", "k"):  # the last row, at position 4, by an angle of 4
            a, b = tensors[name].values[-2:]
            tensors[name].values[-2:] = [a * math.cos(4) - b * math.sin(4),
                                         b * math.cos(4) + a * math.sin(4)]
        self.assert_is_attention(written, tensors)
        self.assert_close(written["k_cache"], tensors["k"], 1e-6)

    def test_report_and_row(self):
        tensors = files.inputs(batch=1, heads=2, seqlen_q=1, seqlen_k=9)
        files.write_safetensors(self.folder / "in.safetensors", files.in_cache(tensors, new=1))
        text = self.strobe("run", "rotary=8", "--op", "decode", "--in",
                           self.folder / "in.safetensors", "--report", "--show-row", "head=1,row=0")
        self.assertIn("error against float64, 2 of 2 rows", text)
        self.assertIn("over 9 keys, sum 1.000000", text)

    def test_over_codes(self):
        """A cache of int8 under one scale: codes times scale are read, new keys are coded."""
        tensors = files.inputs(batch=2, heads=4, heads_kv=2, seqlen_q=1, seqlen_k=9)
        scale = 1 / 16
        for name in ("k", "v"):
            coded = [round(value / scale) for value in tensors[name].values]
            tensors[name].values[:] = [max(-127, min(127, code)) * scale for code in coded]
        call = files.in_cache(tensors, new=1)
        for name in ("k", "v"):
            cache = call[f"{name}_cache"]
            codes = [0 if math.isnan(value) else round(value / scale) for value in cache.values]
            call[f"{name}_cache"] = files.Tensor(cache.shape, codes, "I8")
            call[f"{name}_scale"] = files.Tensor([1], [scale])
        for backend in ([], ["--backend", "reference"]):
            written = self.run_tensors(call, "kv=int8:tensor", *backend)
            self.assert_is_attention(written, tensors)
            for name in ("k", "v"):
                self.assertEqual(written[f"{name}_cache"].dtype, "I8")
                self.assertEqual([code * scale for code in written[f"{name}_cache"].values],
                                 tensors[name].values)
        line = self.strobe("run", "kv=int4:tensor", "--op", "decode", "--in",
                           self.folder / "in.safetensors", "--out",
                           self.folder / "out.safetensors", status=2)
        self.assertIn("kv=int4:tensor, and the cache and its scales are kv=int8:tensor", line)

    def test_tensors_that_are_missing_or_flat(self):
        tensors = files.in_cache(files.inputs(seqlen_q=1))
        for change, named in [({"k_cache": None}, "[tensor-missing]"),
                              ({"cache_seqlens": None}, "[tensor-missing]"),
                              ({"q": files.Tensor([2, 8], tensors["q"].values)}, "[run-rank]"),
                              ({"cache_seqlens": files.lengths([8])}, "[cache-length]")]:
            changed = {name: tensor for name, tensor in {**tensors, **change}.items() if tensor}
            files.write_safetensors(self.folder / "in.safetensors", changed)
            line = self.strobe("run", "--op", "decode", "--in", self.folder / "in.safetensors",
                               "--out", self.folder / "out.safetensors", status=2)
            self.assertIn(named, line)


if __name__ == "__main__":
    unittest.main()
