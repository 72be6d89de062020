"""Runs the example programs that a page quotes and compares what they print with what it says.

SPDX-License-Identifier: Apache-2.0
usage: check_quotes.py [--update] PAGE... --programs PROGRAM...

A quote is a ```text block whose first line is "$ PROGRAM ARGUMENTS"; a picture is quoted by
<!-- FILE: PROGRAM ARGUMENTS --> anywhere on the page. --update writes what was printed instead.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys

QUOTE = re.compile(r"^```text\n\$ ([^\n]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"<!-- (\S+\.svg): (.+?) -->")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--programs", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    programs = {program.name: program.resolve() for program in options.programs}
    wrong, quotes = [], 0

    def output(command):
        words = shlex.split(command)
        if words[0] not in programs:
            sys.exit(f"{words[0]} is not among the programs {', '.join(sorted(programs))}")
        program = programs[words[0]]
        runner = [sys.executable, "-B"] if program.suffix == ".py" else []
        run = subprocess.run([*runner, program, *words[1:]], capture_output=True, text=True,
                             check=False)
        if run.returncode != 0:
            sys.exit(f"{command}: exit status {run.returncode}: {run.stderr}")
        return run.stdout

    for page in options.pages:
        source = page.read_text("utf-8")

        def fresh(quote, page=page):
            nonlocal quotes
            quotes += 1
            printed = output(quote[1])
            if printed != quote[2]:
                wrong.append(f"{page}: what it quotes of `{quote[1]}` is not what it prints:\n"
                             f"{printed}")
            return f"```text\n$ {quote[1]}\n{printed}```"

        updated = QUOTE.sub(fresh, source)
        if options.update:
            page.write_text(updated, "utf-8")
        for name, command in PICTURE.findall(source):
            quotes += 1
            picture, printed = page.parent / name, output(command)
            if not picture.exists() or picture.read_text("utf-8") != printed:
                wrong.append(f"{picture} is not what `{command}` prints")
            if options.update:
                picture.parent.mkdir(exist_ok=True)
                picture.write_text(printed, "utf-8")
    if quotes == 0:
        sys.exit("no quotes found: the check would check nothing")
    if options.update:
        return
    if wrong:
        sys.exit("\n".join(wrong) + "\nTo write what is printed now: the same with --update")
    print(f"{quotes} quotes are what the programs print")


if __name__ == "__main__":
    main()
