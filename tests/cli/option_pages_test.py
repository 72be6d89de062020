"""The pages of docs/options: each has its parts, the index names all, and every command passes.

SPDX-License-Identifier: Apache-2.0
"""

import re
import shlex
import unittest

from tool import ROOT, ToolTest

INDEX = ROOT / "docs/options/README.md"
PAGES = sorted(page for page in INDEX.parent.glob("*.md") if page != INDEX)
PARTS = ["In C++", "As a case", "Cost", "Pitfalls", "Together"]


def commands(page):
    """The tool's commands in the shell blocks of a page, as lists of words."""
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "strobe":
                yield words[1:]


class OptionPages(ToolTest):
    def test_index_names_every_page(self):
        linked = set(re.findall(r"\]\((\w+\.md)\)", INDEX.read_text("utf-8")))
        self.assertEqual(linked, {page.name for page in PAGES})

    def test_pages_have_formula_source_and_parts(self):
        for page in PAGES:
            with self.subTest(page.name):
                text = page.read_text("utf-8")
                self.assertEqual(re.findall(r"^## (.*)$", text, re.M), PARTS)
                self.assertIn("```math\n", text)
                self.assertIn("ource", text)
                self.assertRegex(text, r"\.\./semantics\.md#")
                self.assertIn("```cpp\n", text)

    def test_commands_pass(self):
        for page in PAGES:
            found = list(commands(page))
            self.assertTrue(found, f"{page.name} shows no command")
            for words in found:
                with self.subTest(f"{page.name}: {' '.join(words)}"):
                    self.strobe(*words)


if __name__ == "__main__":
    unittest.main()
