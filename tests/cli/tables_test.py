"""The scripts that write measured figures into documents, on figures made up here.

SPDX-License-Identifier: Apache-2.0
"""

import json
import subprocess
import sys
import unittest
import xml.etree.ElementTree

from tool import ROOT, ToolTest

MACHINE = {"core": "AMD Zen 3", "vendor": "AuthenticAMD", "family": 25, "model": 1,
           "model_name": "AMD EPYC", "strobe": "0.1.0", "compiler": "GNU 12.2.0"}


def option(case, ratio, **more):
    return {"case": case, "threads": 2, "cpu_over_wall": 2.0, "relative_to": {"ratio": ratio},
            **more}


def peer(ratio, agrees=True):
    return {"call": "sdpa", "refused": {}, "seconds_median": .02 * ratio, "cpu_over_wall": 2.0,
            "ratio": ratio, "ratios": [ratio], "difference": 1e-6 if agrees else .5,
            "agrees": agrees}


class Tables(ToolTest):
    def run_script(self, *arguments, status=0):
        done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_options_are_held_against_their_goals(self):
        rows = [option("h8 q4096 d64 alibi", 1.10), option("h8 q4096 d64 softcap=30", 1.40),
                option("h8 q4096 d64 bf16 softcap=30", 1.40),
                option("h8 q4096 d128 f16", 1.20, values="rising")]
        path = self.folder / "options.json"
        path.write_text(json.dumps({"machine": MACHINE, "rows": rows}))
        text = self.run_script(ROOT / "scripts/bench_options.py", self.folder, "--check", status=1)
        self.assertEqual(text.splitlines(), [
            "short: softcap=30, f32, d=64: 1.400 of the time, at most 1.25",
            "short: rising, f16, d=128: 1.200 of the time, at most 1.10"])
        path.write_text(json.dumps({"machine": MACHINE, "rows": rows[:1]}))
        self.run_script(ROOT / "scripts/bench_options.py", self.folder, "--check")

    def test_falls_of_the_clock_become_one_note(self):
        sys.path.insert(0, str(ROOT / "scripts"))
        self.addCleanup(sys.path.remove, str(ROOT / "scripts"))
        import bench_table

        fell = "the clock fell from {} to {} GHz: the machine is throttled or busy"
        self.assertEqual(bench_table.notes([fell.format("2.98", "2.46"), "other", "other",
                                            fell.format("2.37", "2.28")]), [
            "Note: other", "Note: the clock fell during some rows, at worst from 2.98 to 2.46 GHz: "
                           "the machine was throttled or busy."])
        self.assertEqual(bench_table.notes([]), [])
        self.assertIn(bench_table.LEGEND, (ROOT / "docs/performance.md").read_text("utf-8"))

    def test_decoding_becomes_a_table_and_a_picture(self):
        def row(problem, seconds, **more):
            return {"case": problem, "problem": problem, "threads": 2, "cpu_over_wall": 2.0,
                    "seconds_median": seconds, "gbytes_per_s": 20.0, "peak_gbytes_per_s": 25.0,
                    "fraction_of_limit": .8, "busy": [1.0, .975], "caches": 4,
                    "cache_bytes": 2**27, **more}

        cuts = ["b256 h16/2 q1 k512 d128 bf16", "b16 h16/2 q1 k8192 d128 bf16",
                "h16/2 q1 k131072 d128 bf16"]
        two = [row(cut, .006) for cut in cuts]
        two.append(row("h32/8 q1 k512 d128 bf16", 1e-4, caches=1, cache_bytes=2**21,
                       label="short", cpu_over_wall=1.5))
        measured = {"two": two, "unsplit": [row(cut, .012, fraction_of_limit=.4) for cut in cuts],
                    "one": [row(cuts[2], .01, threads=1, cpu_over_wall=1.0, busy=[1.0])]}
        for name, rows in measured.items():
            (self.folder / f"{name}.json").write_text(
                json.dumps({"machine": MACHINE, "rows": rows}))
        page = self.folder / "page.md"
        page.write_text("before\n<!-- bench_decode begins -->\nold\n"
                        "<!-- bench_decode ends -->\nafter\n")
        self.run_script(ROOT / "scripts/bench_decode.py", self.folder, page)
        written = page.read_text()
        self.assertNotIn("old", written)
        self.assertIn("| `h16/2 q1 k131072 d128 bf16` |  | 20.0 | 6 ms, .800 | 1.00/.975 | "
                      "12 ms, .400 | 10 ms, .800 |", written)
        self.assertIn("| short (hot) | 20.0 | 0.1 ms, .800 ~ |", written)
        root = xml.etree.ElementTree.parse(
            self.folder / "pictures/decode-amd-zen-3.svg").getroot()
        circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
        self.assertEqual(len(circles), 3 * 3)  # the bound, split and not, at three lengths

    def test_peers_become_a_table_and_a_picture(self):
        strobe = {"seconds_median": .02, "cpu_over_wall": 2.0, "fraction_of_peak": .9}
        nothing = {"refused": {"Attention": "NOT_IMPLEMENTED"}}
        rows = [{"case": f"h8 q4096 d64{words}", "threads": 2, "strobe": strobe,
                 "peers": {"torch": torch, "onnxruntime": onnxruntime}}
                for words, torch, onnxruntime in [
                    ("", peer(1.3), peer(.9)), (" causal", peer(1.6), peer(2.5, agrees=False)),
                    (" bf16", peer(4.0), nothing)]]
        peers = {"torch": {"name": "PyTorch", "version": "9.1"},
                 "onnxruntime": {"name": "ONNX Runtime", "version": "9.2"}}
        (self.folder / "peers-amd-zen-3.json").write_text(json.dumps(
            {"machine": MACHINE, "date": "2026-11-27", "peers": peers, "rows": rows}))
        page = self.folder / "page.md"
        page.write_text("before\n<!-- bench_peers begin -->\nold\n"
                        "<!-- bench_peers end -->\nafter\n")
        text = self.run_script(ROOT / "scripts/peers/report.py", self.folder, self.folder, page)
        self.assertIn("ahead on 4 of 5 rows", text)
        written = page.read_text()
        self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))
        self.assertNotIn("old", written)
        self.assertIn("PyTorch 9.1 and ONNX Runtime 9.2", written)
        self.assertIn("| `h8 q4096 d64 bf16` | 20 ms | .900 | 80 ms, `sdpa` | 4.00 x | "
                      "does not run |  |", written)
        self.assertEqual(written.count("**differs by"), 1)
        root = xml.etree.ElementTree.parse(self.folder / "peers-amd-zen-3.svg").getroot()
        circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
        self.assertEqual(len(circles), 5 + 2)  # the pairs that run, and the legend


if __name__ == "__main__":
    unittest.main()
