"""Writes measured figures into docs/performance.md and README.md, between their markers.

SPDX-License-Identifier: Apache-2.0
usage: bench_table.py FOLDER [--check]      FOLDER: the files that scripts/bench_table.sh makes

A section is kept for each core that was measured: running this on another core adds one. The README
keeps the figures of a core that the goals are stated for (PEERS). With --check nothing is written,
and the status is 1 if a figure is below what must be.
"""

import datetime
import re
import sys

from figures import (core_title, load, merged_sections, milliseconds, replace_between, rows_of,
                     share, table)

# What the table promises, as shares of the peak: (must, go for it) for head_dim 64 and 128.
# {d} is the head dim; several cases of one row must all keep the promise.
PROMISES = [
    ("f32 full, 4096, BHSD", "h8 q4096 d{d} layout=bhsd", (.92, .95), (.93, .965)),
    ("f32 full, 16384, BHSD", "h8 q16384 d{d} layout=bhsd", (.92, .95), (.93, .965)),
    ("f32 causal, 4096, BHSD", "h8 q4096 d{d} causal layout=bhsd", (.90, .94), (.91, .955)),
    ("f32 full, 1024, 4 x 8 heads", "b4 h8 q1024 d{d} layout=bhsd", (.88, .93), (.89, .94)),
    ("f32 causal, 1024, 4 x 8 heads", "b4 h8 q1024 d{d} causal layout=bhsd", (.84, .89),
     (.84, .895)),
    ("f32 full, 4096, BSHD", "h8 q4096 d{d}", (.90, .94), (.91, .95)),
    ("f32 causal, 4096, BSHD", "h8 q4096 d{d} causal", (.88, .93), (.89, .935)),
    ("f32 full, 4096, BSHD, GQA 8/2", "h8/2 q4096 d{d}", (.90, .94), (.91, .95)),
    ("f32 causal, 4096, BSHD, GQA 8/2", "h8/2 q4096 d{d} causal", (.88, .93), (.89, .935)),
    ("bf16 full, 4096, BSHD", "h8 q4096 d{d} bf16", (.86, .91), (.89, .945)),
    ("bf16 causal, 4096, BSHD", "h8 q4096 d{d} bf16 causal", (.83, .895), (.86, .92)),
]
# Overlapping softmax and products is untried on Zen 4: there the first figure is 1.5 points lower.
EASIER = {"AMD Zen 4": .015}

# PyTorch 2.15's CPU flash attention on the same kinds of machine: one thread, BHSD, 4096; shares of
# the same peaks for head_dim 64 and 128. On Zen 4 also oneDNN graph at head_dim 128.
PEERS = {
    "AMD Zen 4": {"f32 full": (.73, .78), "f32 causal": (.64, .68),
                  "bf16 full": (.34, .38), "bf16 causal": (.30, .34)},
    "AMD Zen 5": {"f32 full": (.34, .36), "f32 causal": (.30, .32),
                  "bf16 full": (.17, .19), "bf16 causal": (.15, .17)},
}
# What the columns of the table mean, above it.
LEGEND = (
    "The columns must / go are the goals for this core: a share below the "
    "first is a defect (**short**), from the second on there is little left to win (go). PyTorch: "
    "the share of the same peaks that the CPU flash attention of PyTorch 2.15 reached on the same "
    "kind of machine with one thread on BHSD tensors, and ours by it. These are constants recorded "
    "once in `scripts/bench_table.py`, not measured in this run; times taken in turn with PyTorch "
    "are in [Beside PyTorch and ONNX Runtime](#beside-pytorch-and-onnx-runtime).")

DIMS = {"h8 q4096 d40": .76, "h8 q4096 d80": .85, "h8 q4096 d96": .85, "h8 q4096 d160": .85,
        "h8 q4096 d192": .85, "h8 q4096 d256": .85, "h8 q16384 d128 window=256,0": .74}
SPEEDUPS = {"h8 q4096 d64 layout=bhsd": 1.95, "h1 q4096 d64 layout=bhsd": 1.85,
            "h3 q1024 d64 layout=bhsd": 1.85}
PORTABLE = .25
CAUSAL_TIME = .56


class Report:
    """Lines of Markdown, and what fell short."""

    def __init__(self, core):
        self.core = core
        self.lines = []
        self.short = []

    def verdict(self, what, value, must, go=None):
        """How a share compares with what must be; remembers what falls short. Goals are stated for
        the cores of PEERS: elsewhere there is no verdict."""
        if self.core not in PEERS:
            return ""
        if value < must:
            self.short.append(f"{what}: {value:.3f}, must be {must:.3f}")
            return "**short**"
        return "go" if go is not None and value >= go else "must"

    def table(self, head, rows):
        self.lines += table(head, rows)


def peer_share(core, label, column):
    """PyTorch's share for a row of the table, or None where it has no such row."""
    kind = " ".join(label.replace(",", "").split()[:2])
    if "4096" not in label or core not in PEERS:
        return None
    return PEERS[core][kind][column]


def prefill_table(report, data):
    rows = rows_of(data, "prefill")
    easier = EASIER.get(report.core, 0)
    body = []
    for label, case, *promises in PROMISES:
        cells = [label]
        for column, (dim, (must, go)) in enumerate(zip((64, 128), promises)):
            row = rows.get(case.format(d=dim))
            if row is None:
                cells += ["", "", ""]
                continue
            value = row["fraction_of_peak"]
            verdict = report.verdict(f"{label}, d={dim}", value, must - easier, go)
            peer = peer_share(report.core, label, column)
            cells += [f"{share(must - easier)} / {share(go)}", f"{share(value)} {verdict}",
                      f"{share(peer)} ({value / peer:.2f} x)" if peer else ""]
            if peer and value <= peer:
                report.short.append(f"{label}, d={dim}: not ahead of PyTorch's {peer}")
        body.append(cells)
    if report.core in PEERS:
        report.lines += [LEGEND, ""]
    report.table(["share of peak, two threads", "d=64 must / go", "measured", "PyTorch",
                  "d=128 must / go", "measured", "PyTorch"], body)


def ratio_tables(report, data):
    """Threads, causal against full, head dims, portable."""
    prefill, one, two = (rows_of(data, name) for name in ("prefill", "scaling_one", "scaling_two"))
    body = []
    for case, must in SPEEDUPS.items():
        if case in one and case in two:
            value = one[case]["seconds_median"] / two[case]["seconds_median"]
            verdict = report.verdict(f"two threads, {case}", value, must)
            body.append([f"two threads against one, `{case}`", f"{must} x", f"{value:.2f} x",
                         verdict])
    for dim in (64, 128):
        full, causal = f"h8 q4096 d{dim} layout=bhsd", f"h8 q4096 d{dim} causal layout=bhsd"
        if full in prefill and causal in prefill:
            value = prefill[causal]["seconds_median"] / prefill[full]["seconds_median"]
            verdict = report.verdict(f"causal d={dim}, of the full time", -value, -CAUSAL_TIME)
            body.append([f"causal time of full time, 4096, d={dim}", f"<= {CAUSAL_TIME}",
                         f"{share(value)} ({1 / value:.2f} x)", verdict])
    for case, must in DIMS.items():
        row = rows_of(data, "dims").get(case)
        if row:
            value = row["fraction_of_peak"]
            body.append([f"`{case}`", share(must), share(value), report.verdict(case, value, must)])
    for case, row in rows_of(data, "portable").items():
        value = row["fraction_of_peak"]
        body.append([f"portable kernels, `{case}`, of the 128-bit mul + add peak", share(PORTABLE),
                     share(value), report.verdict(f"portable {case}", value, PORTABLE)])
    report.table(["", "must", "measured", ""], body)


def nearest_row(prefill, case, bf16, causal):
    """The BSHD share of the table for the head_dim nearest to the case's."""
    dim = int(re.search(r"\bd(\d+)", case)[1])
    nearest = 64 if abs(dim - 64) <= abs(dim - 128) else 128
    key = f"h8 q4096 d{nearest}" + (" bf16" if bf16 else "") + (" causal" if causal else "")
    return prefill.get(key)


def suite_tables(report, data):
    prefill = rows_of(data, "prefill")
    body = []
    for case, row in rows_of(data, "odd").items():
        beside = nearest_row(prefill, case, "bf16" in case, "causal" in case)
        if beside is None:
            continue
        value, must = row["fraction_of_peak"], beside["fraction_of_peak"] - .04
        body.append([f"`{case}`", share(value), share(beside["fraction_of_peak"]),
                     report.verdict(f"odd {case}", value, must)])
    if body:
        report.lines += ["Odd shapes (seeded), beside the table's BSHD row of the nearest "
                         "head_dim; four points below it is what must be:", ""]
        report.table(["case", "share", "row", ""], body)
    body = [[row.get("label", ""), f"`{case}`", milliseconds(row["seconds_median"]),
             share(row["fraction_of_peak"]), share(row["fraction_of_limit"])]
            for case, row in rows_of(data, "models").items()]
    if body:
        report.lines += ["Shapes of known models:", ""]
        report.table(["model", "case", "time", "share of peak", "share of the nearer limit"], body)


def mebibytes(count):
    return f"{count / 2**20:.2f} MiB"


def memory_table(report, data):
    body = [[f"`{case}`", milliseconds(row["seconds_median"]), mebibytes(row["workspace_bytes"]),
             mebibytes(row["peak_rss_bytes"]), mebibytes(row["score_matrix_bytes"])]
            for case, row in rows_of(data, "memory").items()]
    if body:
        report.table(["memory", "time", "workspace, two threads", "peak RSS, tensors included",
                      "the score matrix it does not have"], body)
    body = []
    for case, row in rows_of(data, "standard").items():
        standard = row.get("standard", {})
        if "seconds_median" in standard:
            body.append([f"`{case}`", milliseconds(row["seconds_median"]),
                         milliseconds(standard["seconds_median"]),
                         f"{standard['seconds_median'] / row['seconds_median']:.2f} x",
                         mebibytes(standard["workspace_bytes"])])
    if body:
        report.table(["beside standard attention", "ours", "standard", "ratio",
                      "memory that standard held"], body)


def notes(remarks):
    """Lines for what the tool remarked. Of falls of the clock, one with the deepest."""
    fell = re.compile(r"the clock fell from ([\d.]+) to ([\d.]+) GHz")
    others = sorted({remark for remark in remarks if not fell.match(remark)})
    falls = [fell.match(remark).groups() for remark in remarks if fell.match(remark)]
    lines = [f"Note: {remark}" for remark in others]
    if falls:
        high, low = min(falls, key=lambda fall: float(fall[1]) / float(fall[0]))
        lines.append(f"Note: the clock fell during some rows, at worst from {high} to {low} GHz: "
                     "the machine was throttled or busy.")
    return lines


def section(data):
    """The section of this machine: (core, Markdown lines, what fell short)."""
    machine = data["prefill"]["machine"]
    report = Report(core_title(machine))
    rows = [row for measurement in data.values() for row in measurement["rows"]]
    disturbed = min(row["cpu_over_wall"] / row["threads"] for row in rows)
    peaks = sorted({(row["peak"], round(row["peak_gflops"] / 10) * 10)
                    for row in data["prefill"]["rows"]})
    report.lines += [
        f"### {report.core}", "",
        f"{machine['model_name']} (family {machine['family']}, model {machine['model']}), "
        f"{machine['threads']} threads, {machine['architecture']}, huge pages "
        f"`{machine['transparent_huge_pages']}`; {machine['compiler']}; "
        f"{datetime.date.today().isoformat()}. "
        f"Least CPU time over wall time of a thread: {disturbed:.2f}. "
        "Peaks: " + ", ".join(f"{name} {gflops} GFLOP/s" for name, gflops in peaks) + ".", ""]
    if report.core not in PEERS:
        report.lines += ["The goals are stated for " + " and ".join(PEERS) + ".", ""]
    prefill_table(report, data)
    ratio_tables(report, data)
    memory_table(report, data)
    suite_tables(report, data)
    report.lines += notes([row["remark"] for row in rows if row.get("remark")])
    return report


def readme_lines(core, data):
    """The short table of the README."""
    rows = rows_of(data, "prefill")
    lines = [f"Share of the multiply-add (f32) or bf16-dot peak of the same run, {core}, two "
             "threads,", "8 heads, 4096 queries and keys, FLOPs of visible pairs only; in memory "
             "as [batch, heads, seqlen,", "dim] (BHSD) or [batch, seqlen, heads, dim] (BSHD). In "
             "brackets PyTorch 2.15's CPU flash attention", "on such a core, recorded once, one "
             "thread, BHSD:", "",
             "| | d=64 | d=128 |", "|---|---|---|"]
    for kind, layout, case in (("f32 full", "BHSD", "h8 q4096 d{d} layout=bhsd"),
                               ("f32 causal", "BHSD", "h8 q4096 d{d} causal layout=bhsd"),
                               ("bf16 full", "BSHD", "h8 q4096 d{d} bf16"),
                               ("bf16 causal", "BSHD", "h8 q4096 d{d} bf16 causal")):
        cells = []
        for column, dim in enumerate((64, 128)):
            row = rows.get(case.format(d=dim))
            peer = PEERS.get(core, {}).get(kind)
            cells.append("" if row is None else share(row["fraction_of_peak"]) +
                         (f" ({share(peer[column])})" if peer else ""))
        lines.append(f"| {kind}, {layout} | {cells[0]} | {cells[1]} |")
    return lines


def main():
    data = load(sys.argv[1])
    if "prefill" not in data:
        sys.exit(f"{sys.argv[1]} has no prefill.json; scripts/bench_table.sh makes it")
    report = section(data)
    if "--check" not in sys.argv:
        replace_between("docs/performance.md", "bench_table",
                        merged_sections("docs/performance.md", "bench_table", report.core,
                                        report.lines))
        print("written: docs/performance.md")
        if report.core in PEERS:
            replace_between("README.md", "figures", readme_lines(report.core, data))
            print("written: README.md")
    for line in report.short:
        print("short:", line)
    sys.exit(1 if report.short and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
