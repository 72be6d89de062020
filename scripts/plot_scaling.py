"""Draws time and memory against length, ours and standard attention's, from `strobe bench --json`.

SPDX-License-Identifier: Apache-2.0
usage: python3 scripts/plot_scaling.py bench.json [more.json ...] picture.svg

Every row of the files becomes a point at its seqlen_q. Standard attention's time is drawn where it
was measured (--compare standard); the memory that its score matrix takes follows from the shape.
Plain Python, no packages; the picture refers to nothing outside itself.
"""

import json
import math
import re
import sys
from html import escape

WIDTH, HEIGHT = 1080, 470
PANEL = {"top": 96, "height": 290, "width": 400}
PANEL_LEFT = (90, 620)
STROBE, STANDARD = "#1b6ca8", "#d95f02"

STYLE = """<style>
text { font: 12px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #333333; }
.title { font-size: 20px; font-weight: bold; fill: #111111; }
.panel { font-size: 14px; font-weight: bold; fill: #111111; }
.note { fill: #666666; }
.grid { stroke: #e4e4e4; stroke-width: 1; }
.axis { stroke: #888888; stroke-width: 1; fill: none; }
</style>
"""


def read_points(paths):
    """One point a row, by rising length: length, seconds, bytes; None where there is no figure."""
    points = []
    machine = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            bench = json.load(file)
        machine = bench["machine"]
        for row in bench["rows"]:
            length = re.search(r"(?:^|\s)q(\d+)", row["case"])
            if length is None:
                raise SystemExit(f"plot_scaling: {path}: the case \"{row['case']}\" has no q")
            standard = row.get("standard") or {}
            points.append({
                "length": int(length.group(1)),
                "shape": re.sub(r"(?:^|\s)[qk]\d+", " ", row["case"]).strip(),
                "threads": row["threads"],
                "seconds": row["seconds_median"],
                "bytes": row["workspace_bytes"],
                "standard_seconds": standard.get("seconds_median"),
                "standard_bytes": row["score_matrix_bytes"],
            })
    if not points:
        raise SystemExit("plot_scaling: the files hold no rows")
    return sorted(points, key=lambda point: point["length"]), machine


def seconds_text(value):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 0.9995 or unit == "us":
            return f"{value * scale:.3g} {unit}"


def bytes_text(value):
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def length_text(value):
    return f"{value // 1024}k" if value % 1024 == 0 else str(value)


class Axis:
    """A logarithmic axis from the step below the least value to the step above the greatest."""

    def __init__(self, values, base, begin, end):
        values = [value for value in values if value]
        self.base, self.begin, self.end = base, begin, end
        self.low = math.floor(math.log(min(values), base) + 1e-9)
        self.high = max(self.low + 1, math.ceil(math.log(max(values), base) - 1e-9))

    def place(self, value):
        part = (math.log(value, self.base) - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self):
        step = max(1, (self.high - self.low) // 8)
        return [self.base**power for power in range(self.low, self.high + 1, step)]


def text(x, y, content, anchor="start", kind=""):
    """`kind` is a class of STYLE, or a colour."""
    look = f'style="fill:{kind}"' if kind.startswith("#") else f'class="{kind}"'
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {look}>'
            f"{escape(content)}</text>\n")


def frame(x_axis, y_axis, left, y_text):
    """Grid, tick labels and border of one panel."""
    right = left + PANEL["width"]
    top, bottom = PANEL["top"], PANEL["top"] + PANEL["height"]
    svg = ""
    for value in y_axis.ticks():
        y = y_axis.place(value)
        svg += f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>\n'
        svg += text(left - 8, y + 4, y_text(value), "end", "note")
    for value in x_axis.ticks():
        x = x_axis.place(value)
        svg += f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>\n'
        svg += text(x, bottom + 18, length_text(value), "middle", "note")
    svg += f'<path class="axis" d="M{left} {top}V{bottom}H{right}"/>\n'
    return svg + text((left + right) / 2, bottom + 38, "sequence length", "middle", "note")


def series(points, axes, value_text, colour):
    """A line through the points, a dot and a title for each, the value at the last one."""
    x_axis, y_axis = axes
    placed = [(x_axis.place(x), y_axis.place(y), y) for x, y in points if y]
    if not placed:
        return ""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in placed)
    svg = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>\n'
    for x, y, value in placed:
        svg += (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">'
                f"<title>{escape(value_text(value))}</title></circle>\n")
    x, y, value = placed[-1]
    return svg + text(x - 6, y - 9, value_text(value), "end", colour)


def panel(points, which, title, value_text):
    left = PANEL_LEFT[which == "bytes"]
    ours = [(point["length"], point[which]) for point in points]
    theirs = [(point["length"], point[f"standard_{which}"]) for point in points]
    base = 4 if which == "bytes" else 10
    x_axis = Axis([x for x, _ in ours], 2, left, left + PANEL["width"])
    y_axis = Axis([y for _, y in ours + theirs], base, PANEL["top"] + PANEL["height"], PANEL["top"])
    svg = text(left, PANEL["top"] - 14, title, kind="panel")
    svg += frame(x_axis, y_axis, left, value_text)
    svg += series(theirs, (x_axis, y_axis), value_text, STANDARD)
    return svg + series(ours, (x_axis, y_axis), value_text, STROBE)


def legend():
    svg = ""
    names = ((STROBE, "Strobe"), (STANDARD, "standard attention, which stores the score matrix"))
    x = PANEL_LEFT[0]
    for colour, name in names:
        svg += f'<rect x="{x}" y="{HEIGHT - 26}" width="22" height="4" fill="{colour}"/>\n'
        svg += text(x + 30, HEIGHT - 20, name)
        x += 60 + 7 * len(name)
    return svg


def picture(points, machine):
    shapes = " and ".join(sorted({point["shape"] for point in points}))
    threads = " and ".join(sorted({str(point["threads"]) for point in points}))
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           f'viewBox="0 0 {WIDTH} {HEIGHT}">\n{STYLE}'
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n')
    svg += text(PANEL_LEFT[0], 36, "Attention forward against sequence length", kind="title")
    svg += text(PANEL_LEFT[0], 58, f"{shapes}; {threads} threads, {machine['core']}", kind="note")
    svg += panel(points, "seconds", "time", seconds_text)
    svg += panel(points, "bytes", "memory beside inputs and outputs", bytes_text)
    return svg + legend() + "</svg>\n"


def main(arguments):
    if len(arguments) < 2 or not arguments[-1].endswith(".svg"):
        raise SystemExit("usage: python3 scripts/plot_scaling.py bench.json [...] picture.svg")
    points, machine = read_points(arguments[:-1])
    with open(arguments[-1], "w", encoding="utf-8") as file:
        file.write(picture(points, machine))


if __name__ == "__main__":
    main(sys.argv[1:])
