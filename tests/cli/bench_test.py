"""strobe bench: the fields of its JSON, how they agree, and the picture made of them.

SPDX-License-Identifier: Apache-2.0
"""

import json
import subprocess
import sys
import unittest
import xml.etree.ElementTree

from tool import ROOT, ToolTest

NUMBERS = ["seconds_median", "seconds_min", "seconds_max", "gflops", "peak_gflops",
           "fraction_of_peak", "gbytes_per_s", "peak_gbytes_per_s", "fraction_of_bandwidth",
           "fraction_of_limit", "workspace_bytes", "peak_rss_bytes", "cpu_over_wall"]


class Bench(ToolTest):
    def rows(self, *arguments):
        path = self.folder / "bench.json"
        self.strobe("bench", *arguments, "--json", path)
        bench = json.loads(path.read_text())
        self.assertEqual(sorted(bench), ["machine", "rows"])
        self.assertIn("core", bench["machine"])
        return bench["rows"]

    def test_fields(self):
        cases = ["h2 q256 d64 bf16", "b2 h4/2 q200 k300 d40/24 causal layout=bhsd"]
        rows = self.rows(*cases, "--threads", 1, "--backend", "cpu:portable")
        self.assertEqual([row["case"] for row in rows], cases)
        for row in rows:
            self.assertEqual((row["op"], row["backend"]), ("forward", "cpu:portable"))
            self.assertEqual(row["threads"], 1)
            for field in NUMBERS:
                self.assertGreater(row[field], 0, field)

    def test_figures_agree(self):
        row, = self.rows("h4 q512 d64 causal", "--threads", 1)
        self.assertLessEqual(row["seconds_min"], row["seconds_median"])
        self.assertLessEqual(row["seconds_median"], row["seconds_max"])
        flops = 4 * 4 * 64 * (512 * 513 // 2)
        self.assertAlmostEqual(row["gflops"] * row["seconds_median"] * 1e9 / flops, 1, places=6)
        moved = 4 * (4 * 512 * 4 * 64 + 4 * 512)
        per_run = row["gbytes_per_s"] * row["seconds_median"] * 1e9
        self.assertAlmostEqual(per_run / moved, 1, places=6)
        self.assertAlmostEqual(row["fraction_of_peak"], row["gflops"] / row["peak_gflops"])
        self.assertAlmostEqual(row["fraction_of_bandwidth"],
                               row["gbytes_per_s"] / row["peak_gbytes_per_s"])
        self.assertAlmostEqual(row["fraction_of_limit"],
                               max(row["fraction_of_peak"], row["fraction_of_bandwidth"]))

    def test_standard_attention_beside_it_and_the_picture(self):
        rows = self.rows("h2 q128 d32 causal", "h2 q256 d32 causal", "--compare", "standard")
        for row, length in zip(rows, [128, 256]):
            self.assertGreater(row["standard"]["seconds_median"], 0)
            self.assertGreaterEqual(row["standard"]["score_bytes"], 4 * length**2)
            self.assertEqual(row["score_matrix_bytes"], 2 * 4 * length**2)
        picture = self.folder / "scaling.svg"
        subprocess.run([sys.executable, ROOT / "scripts/plot_scaling.py",
                        self.folder / "bench.json", picture], check=True)
        root = xml.etree.ElementTree.parse(picture).getroot()
        circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
        self.assertEqual(len(circles), 8)  # two panels, two lines, two lengths

    def test_varlen_and_reference(self):
        rows = self.rows("b3 h2 q64 d16 varlen", "b3 h2 q64 d16 seqlens", "--backend", "reference")
        self.assertEqual([row["backend"] for row in rows], ["reference"] * 2)
        # Both storages pose the same sequences.
        work = [row["gflops"] * row["seconds_median"] for row in rows]
        self.assertAlmostEqual(work[0], work[1])

    def test_no_work(self):
        row, = self.rows("h2 q4 k0 d8")
        self.assertEqual((row["gflops"], row["fraction_of_peak"]), (0, 0))

    def test_relative_to_another_case(self):
        plain = "h2 q256 d64"
        slow, same = self.rows(f"{plain} softcap=30", plain, "--relative-to", plain, "--threads", 1)
        for row in (slow, same):
            other = row["relative_to"]
            self.assertEqual(other["case"], plain)
            self.assertLessEqual(other["seconds_min"], other["seconds_median"])
            self.assertLessEqual(other["seconds_median"], other["seconds_max"])
            self.assertGreaterEqual(row["samples"], 7)
        # Of CPU time, which a busy machine disturbs least.
        self.assertGreater(slow["relative_to"]["cpu_ratio"], .8)
        self.assertGreater(slow["relative_to"]["ratio"], 0)
        self.assertNotIn("relative_to", self.rows(plain, "--threads", 1)[0])

    def test_a_case_to_compare_with_is_refused_before_anything_is_timed(self):
        line = self.strobe("bench", "h2 q64 d16", "--relative-to", "h3/2 q64 d16", status=2)
        self.assertIn("3 heads", line)

    def test_values(self):
        row, = self.rows("h2 q256 d64", "--values", "rising", "--threads", 1)
        self.assertEqual(row["values"], "rising")
        self.assertNotIn("values", self.rows("h2 q64 d16")[0])
        text = self.strobe("check", "h2 q100 d32 causal", "--values", "rising")
        self.assertIn("--values rising --seed 0", text)

    def test_every_case_of_the_suites_is_one_that_a_kernel_takes(self):
        for suite in ["prefill", "models", "odd", "options"]:
            with self.subTest(suite):  # the file is refused after the cases were planned
                line = self.strobe("bench", "--suite", suite, "--json", self.folder / "no/a.json",
                                   status=2)
                self.assertIn("[output-place]", line)

    def test_an_existing_file_stays_when_a_case_is_refused(self):
        path = self.folder / "bench.json"
        path.write_text("precious")
        self.strobe("bench", "h2 q64 d16", "h3/2 q64 d16", "--json", path, status=2)
        self.assertEqual(path.read_text(), "precious")


if __name__ == "__main__":
    unittest.main()
