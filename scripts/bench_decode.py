"""Writes what a decoding step takes into docs/performance.md, between its markers, and a picture.

SPDX-License-Identifier: Apache-2.0
usage: bench_decode.py FOLDER [PAGE]      FOLDER: the files that scripts/bench_decode.sh makes

A section is kept for each core that was measured; its picture lies beside the page, in pictures/.
"""

import datetime
import pathlib
import re
import sys

from figures import (ROOT, core_title, load, merged_sections, milliseconds, replace_between, share,
                     slug, table, threads_text)
from plot_scaling import (HEIGHT, PANEL, PANEL_LEFT, STROBE, STYLE, WIDTH, Axis, frame,
                          seconds_text, series, text)

PAGE = "docs/performance.md"
# Shapes whose tokens stay the same in all while sequences grow longer.
TOTAL = ("h16/2", "h64/8")
UNSPLIT, BOUND = "#d95f02", "#888888"


def by_problem(data, name):
    """{the case in its shortest form: row} of one measurement; empty where it was not made."""
    return {row["problem"]: row for row in data.get(name, {"rows": []})["rows"]}


def disturbed(row):
    return "" if row["cpu_over_wall"] >= .9 * row["threads"] else " ~"


def cell(row):
    """Time and share of the limit; nothing where it was not measured."""
    if row is None:
        return ""
    time = milliseconds(row["seconds_median"])
    return f"{time}, {share(row['fraction_of_limit'])}{disturbed(row)}"


def step_table(data):
    one, unsplit = by_problem(data, "one"), by_problem(data, "unsplit")
    body = []
    for problem, row in by_problem(data, "two").items():
        label = row.get("label", "") + (" (hot)" if row["caches"] == 1 and
                                        row["cache_bytes"] < 2**29 else "")
        body.append([f"`{problem}`", label, f"{row['gbytes_per_s']:.1f}", cell(row),
                     "/".join(share(part) if part < 1 else f"{part:.2f}" for part in row["busy"]),
                     cell(unsplit.get(problem)), cell(one.get(problem))])
    head = ["one step", "", "GB/s", "time, share of the limit", "busy", "not split", "one thread"]
    return table(head, body) if body else []


def batch_table(data):
    """Steps of many short sequences: a row for each batch, a column for each length."""
    rows = {}
    for problem, row in by_problem(data, "short").items():
        batch = re.search(r"\bb(\d+)\b", problem)
        keys = int(re.search(r"\bk(\d+)\b", problem)[1])
        rows.setdefault(int(batch[1]) if batch else 1, {})[keys] = row
    if not rows:
        return []
    lengths = sorted({keys for row in rows.values() for keys in row})
    body = [[str(batch)] + [cell(row.get(keys)) for keys in lengths]
            for batch, row in sorted(rows.items())]
    return ["", "Batches of short sequences, 16/2 heads, bf16: time of a step, share of the limit.",
            ""] + table(["batch"] + [f"{keys} keys" for keys in lengths], body)


def points_of(rows, heads):
    """[(keys of a sequence, row)] of one shape at its constant total, by rising length."""
    points = []
    for problem, row in rows.items():
        words = problem.split()
        batch = int(words[0][1:]) if words[0].startswith("b") else 1
        keys = re.search(r"\bk(\d+)\b", problem)
        if heads in words and "q1" in words and "bf16" in words and keys and \
                batch * int(keys[1]) == 131072 and len(words) == 5 + (batch > 1):
            points.append((int(keys[1]), row))
    return sorted(points, key=lambda point: point[0])


def panel(data, heads, left):
    split = points_of(by_problem(data, "two"), heads)
    unsplit = points_of(by_problem(data, "unsplit"), heads)
    bound = [(keys, row["cache_bytes"] / (row["peak_gbytes_per_s"] * 1e9)) for keys, row in split]
    lines = [(bound, BOUND)] + [([(keys, row["seconds_median"]) for keys, row in points], colour)
                                for points, colour in ((unsplit, UNSPLIT), (split, STROBE))]
    placed = [point for points, _ in lines for point in points]
    x_axis = Axis([x for x, _ in placed], 2, left, left + PANEL["width"])
    y_axis = Axis([y for _, y in placed], 2, PANEL["top"] + PANEL["height"], PANEL["top"])
    svg = text(left, PANEL["top"] - 14, f"{heads} heads, 131072 tokens in all", kind="panel")
    svg += frame(x_axis, y_axis, left, seconds_text)
    return svg + "".join(series(points, (x_axis, y_axis), seconds_text, colour)
                         for points, colour in lines)


def legend():
    svg, x = "", PANEL_LEFT[0]
    for colour, name in ((STROBE, "Strobe"), (UNSPLIT, "Strobe, not split (--splits 1)"),
                         (BOUND, "time to read the cache")):
        svg += f'<rect x="{x}" y="{HEIGHT - 26}" width="22" height="4" fill="{colour}"/>\n'
        svg += text(x + 30, HEIGHT - 20, name)
        x += 60 + 7 * len(name)
    return svg


def picture(data, machine):
    threads = threads_text(data["two"]["rows"][0]["threads"])
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           f'viewBox="0 0 {WIDTH} {HEIGHT}">\n{STYLE}'
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n')
    svg += text(PANEL_LEFT[0], 36, "A decoding step against sequence length", kind="title")
    svg += text(PANEL_LEFT[0], 58, f"head_dim 128, bf16, one query; {threads}, "
                f"{core_title(machine)}", kind="note")
    for heads, left in zip(TOTAL, PANEL_LEFT):
        if points_of(by_problem(data, "two"), heads):
            svg += panel(data, heads, left)
    return svg + legend() + "</svg>\n"


def section(data, picture_name):
    """(core, lines) of this machine."""
    machine = next(iter(data.values()))["machine"]
    rows = [row for measurement in data.values() for row in measurement["rows"]]
    least = min(row["cpu_over_wall"] / row["threads"] for row in rows)
    core = core_title(machine)
    lines = [f"### {core}", "",
             f"{machine['model_name']} (family {machine['family']}, model {machine['model']}), "
             f"{threads_text(data['two']['rows'][0]['threads'])}; {machine['compiler']}; "
             f"{datetime.date.today().isoformat()}. "
             f"Least CPU time over wall time of a thread: {least:.2f}.", "",
             f"![a decoding step against sequence length](pictures/{picture_name})", ""]
    return core, lines + step_table(data) + batch_table(data)


def main():
    data = load(sys.argv[1])
    page = sys.argv[2] if len(sys.argv) > 2 else PAGE
    if "two" not in data:
        sys.exit(f"{sys.argv[1]} has no measurement two.json; scripts/bench_decode.sh makes it")
    machine = data["two"]["machine"]
    name = f"decode-{slug(machine)}.svg"
    target = (ROOT / page).parent / "pictures" / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(picture(data, machine), encoding="utf-8")
    core, lines = section(data, name)
    replace_between(page, "bench_decode", merged_sections(page, "bench_decode", core, lines))
    print(f"written: {page} and {pathlib.Path(target).name}")


if __name__ == "__main__":
    main()
