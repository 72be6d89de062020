"""Writes the tables and pictures of bench/results/peers-*.json into docs/performance.md.

SPDX-License-Identifier: Apache-2.0
usage: report.py [RESULTS PICTURES PAGE]      without arguments: of this tree

One section and one picture for each core; plain Python, no packages.
"""

import json
import math
import os
import pathlib
import sys
from html import escape

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import figures

MARKER = "bench_peers"
NAMES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
COLOURS = {"torch": "#d95f02", "onnxruntime": "#1b6ca8"}
LEFT, RIGHT, TOP, STEP = 320, 960, 96, 22
WIDTH = 1080

STYLE = """<style>
text { font: 12px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #333333; }
.title { font-size: 20px; font-weight: bold; fill: #111111; }
.note { fill: #666666; }
.case { font-family: "DejaVu Sans Mono", monospace; }
.grid { stroke: #e4e4e4; stroke-width: 1; }
.one { stroke: #111111; stroke-width: 1.5; }
</style>
"""


def undisturbed(times, threads):
    return times["cpu_over_wall"] >= .97 * threads


def peer_cells(row, name):
    """Time, ratio and call of a peer, or that it has none."""
    peer = row["peers"].get(name, {"refused": {}})
    if "ratio" not in peer:
        return ["does not run", ""]
    differs = "" if peer["agrees"] else f", **differs by {peer['difference']:.1g}**"
    return [f"{figures.milliseconds(peer['seconds_median'])}, `{peer['call']}`{differs}",
            f"{peer['ratio']:.2f} x"]


def rows_that_run(results):
    return [(row, name) for row in results["rows"] for name in results["peers"]
            if "ratio" in row["peers"].get(name, {})]


def ahead(results):
    """(rows on which Strobe is faster, rows)."""
    pairs = rows_that_run(results)
    return sum(row["peers"][name]["ratio"] > 1 for row, name in pairs), len(pairs)


def section(results, picture):
    """Lines of one core's section."""
    machine = results["machine"]
    won, rows = ahead(results)
    versions = " and ".join(f"{peer['name']} {peer['version']}" for peer in
                            results["peers"].values())
    lines = [f"### {figures.core_title(machine)}", "",
             f"{machine['model_name']} (family {machine['family']}, model {machine['model']}), "
             f"{figures.threads_text(results['rows'][0]['threads'])}; {versions}; "
             f"Strobe {machine['strobe']}, {machine['compiler']}; {results['date']}. Ahead on "
             f"{won} of {rows} rows. `~`: other processes ran beside some of Strobe's runs.", "",
             f"![how many times as fast as the others]({picture})", ""]
    body = []
    for row in results["rows"]:
        ours = row["strobe"]
        mark = "" if undisturbed(ours, row["threads"]) else " ~"
        cells = [f"`{row['case']}`", figures.milliseconds(ours["seconds_median"]) + mark,
                 figures.share(ours["fraction_of_peak"])]
        for name in results["peers"]:
            cells += peer_cells(row, name)
        body.append(cells)
    head = ["case", "Strobe", "share of peak"]
    for name in results["peers"]:
        head += [NAMES[name], "ratio"]
    return lines + figures.table(head, body)


def text(x, y, content, anchor="start", kind=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
            f"{escape(content)}</text>\n")


def axis(results):
    """A place for every ratio, logarithmic, and the ticks."""
    ratios = [row["peers"][name]["ratio"] for row, name in rows_that_run(results)] or [1.0]
    low = math.floor(math.log2(min(*ratios, .9)))
    high = math.ceil(math.log2(max(*ratios, 2.0)))

    def place(ratio):
        return LEFT + (math.log2(ratio) - low) / (high - low) * (RIGHT - LEFT)
    return place, [2.0 ** power for power in range(low, high + 1)]


def grid(place, ticks, bottom):
    svg = ""
    for tick in ticks:
        kind = "one" if tick == 1 else "grid"
        svg += (f'<line class="{kind}" x1="{place(tick):.1f}" y1="{TOP - 8}" '
                f'x2="{place(tick):.1f}" y2="{bottom}"/>\n')
        svg += text(place(tick), bottom + 16, f"{tick:g} x", "middle", "note")
    return svg


def dots(row, place, y):
    """A dot for each peer that runs the case."""
    svg = text(LEFT - 12, y + 4, row["case"], "end", "case")
    for name, peer in row["peers"].items():
        if "ratio" in peer:
            title = f"{NAMES[name]}, {peer['call']}: {peer['ratio']:.2f} x"
            svg += (f'<circle cx="{place(peer["ratio"]):.1f}" cy="{y}" r="5" '
                    f'fill="{COLOURS[name]}"><title>{escape(title)}</title></circle>\n')
    return svg


def drawing(results):
    """The picture: cases downwards, times of the others by ours to the right."""
    bottom = TOP + STEP * len(results["rows"])
    height = bottom + 60
    place, ticks = axis(results)
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}">\n{STYLE}'
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n')
    svg += text(24, 36, "How many times as long the others take", kind="title")
    svg += text(24, 58, f"{figures.core_title(results['machine'])}, "
                f"{figures.threads_text(results['rows'][0]['threads'])}, attention forward; right "
                "of the line at 1 x Strobe is faster", kind="note")
    svg += grid(place, ticks, bottom)
    for index, row in enumerate(results["rows"]):
        svg += dots(row, place, TOP + STEP * index + STEP // 2)
    x = LEFT
    for name, peer in results["peers"].items():
        svg += f'<circle cx="{x}" cy="{bottom + 40}" r="5" fill="{COLOURS[name]}"/>\n'
        svg += text(x + 12, bottom + 44, f"{peer['name']} {peer['version']}")
        x += 240
    return svg + "</svg>\n"


def main(arguments):
    root = figures.ROOT
    defaults = [root / "bench/results", root / "docs/pictures", root / "docs/performance.md"]
    folder, pictures, page = map(pathlib.Path, arguments or defaults)
    lines = []
    for path in sorted(folder.glob("peers-*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        picture = pictures / f"{path.stem}.svg"
        picture.write_text(drawing(results), encoding="utf-8")
        lines += section(results, os.path.relpath(picture, page.parent))
        won, rows = ahead(results)
        print(f"{path.stem}: ahead on {won} of {rows} rows")
    if not lines:
        sys.exit(f"{folder} holds no peers-*.json; scripts/bench_peers.sh makes them")
    figures.replace_between(page, MARKER, lines)
    print(f"written: {page}")


if __name__ == "__main__":
    main(sys.argv[1:])
