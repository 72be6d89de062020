"""The progress bar: it moves inside a step where stderr is a terminal, and is nowhere else.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pty
import re
import select
import subprocess
import time
import unittest

from tool import TOOL, ToolTest

# Rows that float64 takes many seconds for in any build, and kernels hardly any time.
LONG = ["check", "h2 q2800 d512", "--threads", "1"]
# Strictly between 0 and 100.
BETWEEN = re.compile(rb"\[#*\.*\] +[1-9]\d? %  h2 q2800")


class Progress(ToolTest):
    def start(self, **streams):
        process = subprocess.Popen([TOOL, *LONG], stdout=subprocess.DEVNULL, **streams)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_moves_inside_a_step_on_a_terminal(self):
        terminal, end = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = self.start(stderr=end)
        os.close(end)
        text, last = b"", time.monotonic() + 240
        while not BETWEEN.search(text) and time.monotonic() < last:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                text += os.read(terminal, 4096)
            except OSError:  # the tool has ended
                break
        self.assertRegex(text, BETWEEN)
        self.assertIsNone(process.poll(), "it was long")

    def test_nothing_where_stderr_is_no_terminal(self):
        process = self.start(stderr=subprocess.PIPE)
        with process.stderr:
            shown, _, _ = select.select([process.stderr], [], [], 4)
            self.assertEqual(shown, [], "the bar comes after two seconds")
            self.assertIsNone(process.poll(), "it was long")


if __name__ == "__main__":
    unittest.main()
