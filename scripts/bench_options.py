"""Writes what options cost, and f16, f64 and AVX2, into docs/performance.md, between its markers.

SPDX-License-Identifier: Apache-2.0
usage: bench_options.py FOLDER [--check]      FOLDER: the files that scripts/bench_options.sh makes

A section is kept for each core that was measured. With --check nothing is written, and the status
is 1 if a figure misses its goal.
"""

import datetime
import sys

from figures import (core_title, load, merged_sections, milliseconds, replace_between, rows_of,
                     share, table, threads_text)

PAGE = "docs/performance.md"
DIMS = (64, 128)
TYPES = ("f32", "bf16", "f16")

# The most that an option may take of the time of the case without it, by type or by type and head
# dim; where there is nothing, the figure is shown for reference.
QUARTER = {"f32": 1.25}
QUARTER_OR_BF16 = {"f32": 1.25, ("bf16", 64): 1.45}
NEARLY_NOTHING = dict.fromkeys(TYPES, 1.03)
HALF = dict.fromkeys(TYPES, .56)
TENTH = dict.fromkeys(TYPES, 1.10)
OPTIONS = [
    ("bias=1,1,q,k", QUARTER_OR_BF16), ("bias=1,h,q,k", QUARTER_OR_BF16), ("softcap=30", QUARTER),
    ("alibi", QUARTER), ("sink_logits", QUARTER), ("dropout=0.1", QUARTER_OR_BF16),
    ("allowed=1,1,q,k", {}), ("intervals=full", NEARLY_NOTHING),
    ("sink_tokens=4", NEARLY_NOTHING), ("causal window=1023,-1 sink_tokens=4", {}),
    ("blocks=64", HALF), ("blocks=128", HALF), ("causal", {}), ("rising", TENTH)]

# A measurement of bench_options.sh, what it is called, and for head dims 64 and 128 the shares of
# the peak that must be and that are gone for; nothing: shown for reference.
SHARES = [
    ("f16", "f16", "{} f16", ((.88, .93), (.90, .94))),
    ("f64", "f64", "{} f64", ((.80, None), (.80, None))),
    ("avx2_f32", "f32, `--backend cpu:avx2`", "{}", ((.80, .86), (.86, .91))),
    ("avx2_bf16", "bf16, `--backend cpu:avx2`", "{} bf16", ((.75, None), (.75, None))),
    ("avx2_f16", "f16, `--backend cpu:avx2`", "{} f16", (None, None)),
]


def case_of(head_dim, dtype):
    return f"h8 q4096 d{head_dim}" + ("" if dtype == "f32" else f" {dtype}")


def most_of(goals, dtype, head_dim):
    return goals.get(dtype, goals.get((dtype, head_dim)))


def option_rows(data):
    """{(case without the option, words of the option or name of the values): row}."""
    found = {}
    for row in data.get("options", {"rows": []})["rows"]:
        words = row["case"].split()
        sizes = 4 if words[3:] and words[3] in TYPES else 3
        name = row.get("values", " ".join(words[sizes:]))
        found[" ".join(words[:sizes]), name] = row
    return found


def option_cell(row, most, what, short):
    """The ratio, the goal beside it, and whether it was met."""
    ratio = row["relative_to"]["ratio"]
    disturbed = "" if row["cpu_over_wall"] >= .97 * row["threads"] else " ~"
    if most is None:
        return f"{ratio:.2f}{disturbed}"
    if ratio > most:
        short.append(f"{what}: {ratio:.3f} of the time, at most {most:.2f}")
        return f"{ratio:.2f}{disturbed} (<= {most:.2f}) **short**"
    return f"{ratio:.2f}{disturbed} (<= {most:.2f})"


def option_table(data, short):
    rows = option_rows(data)
    columns = [(dtype, dim) for dtype in TYPES for dim in DIMS]
    body = []
    for name, goals in OPTIONS:
        cells = []
        for dtype, dim in columns:
            row = rows.get((case_of(dim, dtype), name))
            cells.append("" if row is None else option_cell(
                row, most_of(goals, dtype, dim), f"{name}, {dtype}, d={dim}", short))
        if any(cells):
            label = "values that rise block by block" if name == "rising" else f"`{name}`"
            body.append([label] + cells)
    head = ["time by that of the case without"] + [f"{dtype} d={dim}" for dtype, dim in columns]
    return table(head, body) if body else []


def share_table(data, short):
    body = []
    for name, label, case, goals in SHARES:
        rows = rows_of(data, name)
        for dim, goal in zip(DIMS, goals):
            row = rows.get(case.format(f"h8 q4096 d{dim}"))
            if row is None:
                continue
            value = row["fraction_of_peak"]
            must, go = goal or (None, None)
            verdict = "" if must is None else "must" if go is None or value < go else "go"
            if must is not None and value < must:
                verdict = "**short**"
                short.append(f"{label}, d={dim}: {value:.3f} of the peak, must be {must:.2f}")
            wanted = " / ".join(share(figure) for figure in (must, go) if figure is not None)
            body.append([f"{label}, d={dim}", wanted, f"{share(value)} {verdict}".strip(),
                         milliseconds(row["seconds_median"]), row["peak"], row["backend"]])
    head = ["full, 4096, BSHD, share of peak", "must / go", "measured", "time", "peak", "kernels"]
    return table(head, body) if body else []


def section(data):
    """(core, lines, what fell short) of this machine."""
    machine = next(iter(data.values()))["machine"]
    rows = [row for measurement in data.values() for row in measurement["rows"]]
    disturbed = min(row["cpu_over_wall"] / row["threads"] for row in rows)
    short = []
    lines = [f"### {core_title(machine)}", "",
             f"{machine['model_name']} (family {machine['family']}, model {machine['model']}), "
             f"{threads_text(rows[0]['threads'])}; {machine['compiler']}; "
             f"{datetime.date.today().isoformat()}. "
             f"Least CPU time over wall time of a thread: {disturbed:.2f}.", ""]
    lines += option_table(data, short) + share_table(data, short)
    return core_title(machine), lines, short


def main():
    data = load(sys.argv[1])
    if not data:
        sys.exit(f"{sys.argv[1]} has no measurements; scripts/bench_options.sh makes them")
    core, lines, short = section(data)
    if "--check" not in sys.argv:
        replace_between(PAGE, "bench_options", merged_sections(PAGE, "bench_options", core, lines))
        print(f"written: {PAGE}")
    for line in short:
        print("short:", line)
    sys.exit(1 if short and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
