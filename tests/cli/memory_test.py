"""Where memory ends: status 3, what was asked for, the largest that fits, and no file left behind.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import resource
import struct
import subprocess
import unittest

import tensor_files as files
from tool import TOOL, ToolTest

MEBI = 2**20


def limited(arguments, mebibytes):
    """Runs the tool with so many addresses."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MEBI, mebibytes * MEBI))

    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, check=False, preexec_fn=limit)


@unittest.skipIf(os.environ.get("STROBE_SANITIZED"), "a sanitizer takes addresses of its own")
class Limits(ToolTest):
    def refused(self, arguments, mebibytes):
        done = limited(arguments, mebibytes)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assert_error_line(done.stderr)
        return done.stderr

    def test_the_case_that_is_said_to_fit_fits(self):
        line = self.refused(["check", "q1 k100000000 h1 d64", "--threads", 1], 768)
        self.assertRegex(line, r"a tensor of 25600000000 bytes \(23\.8 GiB\) cannot be allocated")
        keys = int(re.search(r"the longest seqlen_k is (\d+) ", line)[1])
        self.assertGreater(keys, 300_000)
        done = limited(["check", f"q1 k{keys} h1 d64", "--threads", 1], 768)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.refused(["check", f"q1 k{keys * 3 // 2} h1 d64", "--threads", 1], 768)

    def test_tensors_of_options_count(self):
        line = self.refused(["check", "q60000 k60000 h2 d8 bias=1,h,q,k", "--threads", 1], 768)
        rows = int(re.search(r"the longest sequence is (\d+) ", line)[1])
        self.assertLess(4 * 2 * rows * rows, 768 * MEBI)
        self.assertGreater(4 * 2 * rows * rows, 300 * MEBI)

    def test_bench(self):
        line = self.refused(["bench", "q8 k8 h1 d64 b100000000", "--threads", 1], 768)
        batch = int(re.search(r"the largest batch (\d+);", line)[1])
        self.assertGreater(batch, 10_000)
        self.assertLess(batch, 100_000)

    def test_standard_attention_beside(self):
        """OpenBLAS would wait for ever for a buffer that it does not get."""
        self.refused(["bench", "h8 q1024 d64", "--compare", "standard", "--threads", 2], 300)

    def test_a_file_too_large_to_read(self):
        huge = self.folder / "huge.safetensors"
        tensor = '{"q":{"dtype":"F32","shape":[1,1048576,4,256],"data_offsets":[0,4294967296]}}'
        with open(huge, "wb") as file:
            file.write(struct.pack("<Q", len(tensor)) + tensor.encode())
            file.truncate(8 + len(tensor) + 2**32)
        line = self.refused(["run", "--in", huge, "--out", self.folder / "out.safetensors"], 768)
        self.assertRegex(line, r"a tensor of 4294967296 bytes \(4\.0 GiB\).*machine has \d+ bytes")
        self.assertEqual(list(self.folder.iterdir()), [huge], "nothing is left behind")


@unittest.skipUnless(os.environ.get("STROBE_FAILING_MALLOC"), "malloc cannot be replaced here")
class FailingMalloc(ToolTest):
    def setUp(self):
        super().setUp()
        self.inputs = self.folder / "in.safetensors"
        self.out = self.folder / "out.safetensors"
        files.write_safetensors(self.inputs, files.inputs())

    def run_failing(self, nth):
        """Runs with the nth allocation failing; checks what must hold, returns the exit status."""
        self.out.unlink(missing_ok=True)
        done = subprocess.run(
            [TOOL, "run", "causal", "--in", self.inputs, "--out", self.out, "--threads", "2",
             "--show-row", "head=0,row=0"],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "LD_PRELOAD": os.environ["STROBE_FAILING_MALLOC"],
                 "STROBE_TEST_FAILS": str(nth)})
        self.assertIn(done.returncode, (0, 3), f"allocation {nth}: {done.stderr}")
        if done.returncode == 3:
            self.assert_error_line(done.stderr)
            self.assertRegex(done.stderr, "memory|allocate|refused", f"allocation {nth}")
        left = sorted(path.name for path in self.folder.iterdir())
        self.assertLessEqual(set(left), {"in.safetensors", "out.safetensors"})
        if done.returncode == 0:
            self.assertEqual(files.read_safetensors(self.out).keys(), {"o", "lse"})
        return done.returncode

    def failing(self, sign):
        """Tries the first 40 allocations and then every tenth part more, until none is left."""
        nth, failures, passed = 1, 0, 0
        while passed < 8 and nth < 10**6:
            status = self.run_failing(sign * nth)
            failures += status == 3
            passed = passed + 1 if status == 0 else 0
            nth += max(1, nth // 40)
        self.assertGreater(failures, 60)
        self.assertLess(nth, 10**6)

    def test_one_allocation_fails(self):
        self.failing(1)

    def test_all_from_one_on_fail(self):
        self.failing(-1)


if __name__ == "__main__":
    unittest.main()
