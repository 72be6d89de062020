"""Writes what decode.py measured into docs/performance.md, between its markers.

SPDX-License-Identifier: Apache-2.0
usage: decode_report.py      reads bench/results/decode-peers-*.json
"""

import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from figures import (ROOT, core_title, merged_sections, milliseconds, replace_between, share, table,
                     threads_text)

PAGE, MARKERS = "docs/performance.md", "decode_peers"
CALLS = ["sdpa as written", "sdpa, heads repeated", "sdpa, group packed", "matmul, softmax, matmul"]


def ratio(row, call):
    """The median over the rounds of their time by ours; nothing where it was not called."""
    times = row["torch"].get(call)
    if times is None:
        return None
    return statistics.median(theirs / ours for theirs, ours in zip(times, row["strobe"]))


def line(row):
    ratios = [ratio(row, call) for call in CALLS]
    best = min(one for one in ratios if one is not None)
    return [f"`{row['case']}`", milliseconds(statistics.median(row["strobe"])),
            share(statistics.median(row["fraction_of_limit"]))] + \
           ["" if one is None else f"**{one:.2f}**" if one == best else f"{one:.2f}"
            for one in ratios]


def section(results):
    machine = results["machine"]
    rows = results["rows"]
    best = [min(value for value in (ratio(row, call) for call in CALLS) if value is not None)
            for row in rows]
    head = ["one step", "ours", "share of the limit"] + CALLS
    return [f"### {core_title(machine)}", "",
            f"{machine['model_name']} (family {machine['family']}, model {machine['model']}), "
            f"{threads_text(results['threads'])}; PyTorch {results['torch']}; Strobe, "
            f"{machine['compiler']}; {results['date']}. Ahead of the best way on "
            f"{sum(one > 1 for one in best)} of {len(rows)} rows, by {min(best):.2f} to "
            f"{max(best):.2f} times (median {statistics.median(best):.2f}).", "",
            *table(head, [line(row) for row in rows])]


def main():
    for path in sorted((ROOT / "bench/results").glob("decode-peers-*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        core = core_title(results["machine"])
        replace_between(PAGE, MARKERS, merged_sections(PAGE, MARKERS, core, section(results)))
        print(f"written: {PAGE}, {core}")


if __name__ == "__main__":
    main()
