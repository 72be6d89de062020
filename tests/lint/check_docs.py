"""Checks that documents are true where a program can tell: links, paths, commands, quoted code.

SPDX-License-Identifier: Apache-2.0
usage: check_docs.py [TOOL]      TOOL: the built strobe, whose --help knows the options
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import tree

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A path of this repository, in backquotes.
QUOTED_PATH = re.compile(
    r"`((?:include|src|harness|tools|tests|bench|examples|scripts|docs|cmake|data|simt)/[\w./-]*)`")
# What comes with later work: documents may name it before it is there.
LATER = re.compile(r"src/(context_parallel|gpu)/.*|simt/.*|python/.*")
NO_SPDX = re.compile(
    r"LICENSE|(?!.*CMakeLists\.txt).*\.txt|\.clang-format|\.gitignore|\.gitattributes|"
    r".*\.(md|json|svg|safetensors|npy)|data/.*|tests/fuzz/corpus/.*")
SPDX = "SPDX-License-Identifier: Apache-2.0"


def anchors(source):
    """The names that headings can be linked by, as the usual Markdown viewers make them."""
    plain = FENCE.sub("", source)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in HEADING.findall(plain)}


def broken_links(name, source):
    for match in LINK.finditer(FENCE.sub("", source)):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (tree.ROOT / name).parent / path
        if path and not file.exists():
            yield f"{name}: the link {target} leads nowhere"
            continue
        linked = file.read_text("utf-8") if path.endswith(".md") else source
        if anchor and anchor not in anchors(linked):
            yield f"{name}: {path or name} has no heading #{anchor}"


def missing_paths(name, source):
    for path in QUOTED_PATH.findall(source):
        if not LATER.fullmatch(path) and not (tree.ROOT / path).exists():
            yield f"{name}: `{path}` is not there"


def commands(source):
    """Commands of the shell blocks, as lists of words."""
    for language, body in FENCE.findall(source):
        if language not in ("sh", "bash", "console", "shell"):
            continue
        for line in re.sub(r"\\\n\s*", " ", body).splitlines():
            for command in re.split(r"&&|\|(?!\|)|;", line):
                words = shlex.split(command, comments=True)
                if words:
                    yield words


class CommandChecks:
    """What a quoted command may be: a script here, a preset here, the tool with its own options."""

    def __init__(self, tool):
        self.tool = tool
        presets = json.loads(tree.text("CMakePresets.json"))["configurePresets"]
        self.presets = {preset["name"] for preset in presets if not preset.get("hidden")}
        self.help = {}

    def help_of(self, subcommand):
        if subcommand not in self.help:
            run = subprocess.run([self.tool, subcommand, "--help"], capture_output=True, text=True,
                                 check=False)
            self.help[subcommand] = run.stdout if run.returncode == 0 else None
        return self.help[subcommand]

    def problem(self, words):
        """What is wrong with a command, or nothing."""
        program = words[0]
        if program in ("bash", "sh", "python3") and len(words) > 1 and "/" in words[1]:
            return None if (tree.ROOT / words[1]).exists() else f"{words[1]} is not there"
        preset = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--preset"]
        if program in ("cmake", "ctest") and preset and preset[0] not in self.presets:
            return f"no preset {preset[0]}"
        if pathlib.PurePath(program).name == "strobe" and self.tool and len(words) > 1:
            return self.tool_problem(words[1:])
        return None

    def tool_problem(self, words):
        if words[0].startswith("-"):
            return None
        text = self.help_of(words[0])
        if text is None:
            return f"strobe has no command {words[0]}"
        unknown = [word for word in words[1:] if re.match(r"--?[a-z]", word)
                   and not re.search(rf"(?<![\w-]){re.escape(word.split('=')[0])}(?![\w-])", text)]
        return f"strobe {words[0]} has no option {unknown[0]}" if unknown else None


def quoted_programs(name, source):
    """Blocks that say which file they quote: <!-- examples/hello.cpp --> before the fence."""
    for match in re.finditer(r"<!--\s*(\S+\.(?:cpp|hpp|c|rs|txt))\s*-->\s*\n```\w*\n(.*?)^```",
                             source, re.MULTILINE | re.DOTALL):
        file, body = match.groups()
        if not (tree.ROOT / file).exists():
            yield f"{name}: quotes {file}, which is not there"
        elif body.strip() not in tree.text(file):
            yield f"{name}: what it quotes of {file} is not what stands there"


def missing_spdx(name):
    if NO_SPDX.fullmatch(name):
        return
    head = "\n".join(tree.text(name).splitlines()[:4])
    if SPDX not in head:
        yield f"{name}: the second line must be the SPDX line ({SPDX})"


def main():
    checks = CommandChecks(sys.argv[1] if len(sys.argv) > 1 else None)
    problems = []
    for name in tree.files():
        problems += missing_spdx(name)
        if not name.endswith(".md"):
            continue
        source = tree.text(name)
        problems += broken_links(name, source)
        problems += missing_paths(name, source)
        problems += quoted_programs(name, source)
        problems += [f"{name}: `{' '.join(words)}`: {wrong}" for words in commands(source)
                     if (wrong := checks.problem(words))]
    tree.report("docs", problems)


if __name__ == "__main__":
    main()
