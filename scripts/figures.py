"""What the scripts share that write measured figures into documents.

SPDX-License-Identifier: Apache-2.0
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def load(folder):
    """{name: the JSON of that measurement} of what was measured."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(pathlib.Path(folder).glob("*.json"))}


def rows_of(data, name):
    """{case: row} of one measurement; empty where it was not made."""
    return {row["case"]: row for row in data.get(name, {"rows": []})["rows"]}


def share(value):
    return f"{value:.3f}".lstrip("0")


def milliseconds(seconds):
    return f"{seconds * 1e3:.0f} ms" if seconds >= .1 else f"{seconds * 1e3:.3g} ms"


def threads_text(threads):
    return "1 thread" if threads == 1 else f"{threads} threads"


def core_title(machine):
    if machine["core"] != "unknown core":
        return machine["core"]
    return f"{machine['vendor']} family {machine['family']} model {machine['model']}"


def slug(machine):
    """The core's name for a file: "amd-zen-3"."""
    return re.sub(r"[^a-z0-9]+", "-", core_title(machine).lower()).strip("-")


def table(head, rows):
    """Lines of a Markdown table and a blank one."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def markers(name):
    """The lines between which figures stand: "figures begin", "bench_table begins"."""
    ending = "" if name.endswith("s") else "s"
    return f"<!-- {name} begin{ending} -->", f"<!-- {name} end{ending} -->"


def parts(path, name):
    """The text of a file before, between and after the markers; these stay with their sides."""
    text = (ROOT / path).read_text(encoding="utf-8")
    begin, end = markers(name)
    if begin not in text or end not in text:
        sys.exit(f"{path} lacks the lines {begin} and {end}; put them where the figures belong")
    before, rest = text.split(begin, 1)
    between, after = rest.split(end, 1)
    return before + begin + "\n", between, end + after


def replace_between(path, name, lines):
    """Puts lines between two marker lines of a file."""
    before, _, after = parts(path, name)
    (ROOT / path).write_text(before + "\n".join(lines).strip() + "\n" + after, encoding="utf-8")


def merged_sections(path, name, core, lines):
    """The "### core" sections between the markers with this core's put in or renewed."""
    sections = {part.split("\n", 1)[0]: "### " + part.strip() + "\n"
                for part in re.split(r"^### ", parts(path, name)[1], flags=re.MULTILINE)[1:]}
    sections[core] = "\n".join(lines).strip() + "\n"
    return [sections[section] for section in sorted(sections)]
