"""Runs the tool under test and looks at what it says.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = os.environ.get("STROBE_TOOL", str(ROOT / "build/release/bin/strobe"))
MINILM = ROOT / "data/minilm/layer3.safetensors"
TOKENS = ROOT / "data/minilm/tokens.txt"


class ToolTest(unittest.TestCase):
    """A folder of its own for every test, and the tool."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def strobe(self, *arguments, status=0, stdout=None, environment=None):
        """Runs the tool, expects the exit status, returns stdout (0 and 1) or the error line.
        stdout may name a file instead; environment is added to that of the test."""
        with open(stdout, "w") if stdout else contextlib.nullcontext(subprocess.PIPE) as out:
            done = subprocess.run([TOOL, *map(str, arguments)], stdout=out,
                                  stderr=subprocess.PIPE, text=True, timeout=300, check=False,
                                  env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}{done.stderr}")
        if status < 2:
            self.assertEqual(done.stderr, "")
            return done.stdout
        self.assert_error_line(done.stderr)
        return done.stderr

    def assert_error_line(self, text):
        self.assertTrue(text.startswith("strobe: "), text)
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.endswith("\n"), text)

    def assert_close(self, one, other, most):
        self.assertEqual(one.shape, other.shape)
        for a, b in zip(one.values, other.values):
            if a != b:  # equal infinities have no difference
                self.assertLess(abs(a - b), most)
