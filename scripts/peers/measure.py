"""Times Strobe and other libraries in turn on the same cases, and compares what they compute.

SPDX-License-Identifier: Apache-2.0
usage: measure.py [CASE...] [--only WORDS] [--rounds N] [--seconds S] [--results FOLDER]

Each library lives in a process of its own (worker.py) that rests while another one is timed; Strobe
is the tool, started anew each round. A round times all of them once; the figure of a pair is the
median over the rounds of their time by ours. Results are kept after every row in
FOLDER/peers-CORE.json. Exit status 1: some outputs differ.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from cases import all_cases, parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import figures

STROBE = figures.ROOT / "build/release/bin/strobe"
PEERS = {"torch": HERE / "torch_peer.py", "onnxruntime": HERE / "onnxruntime_peer.py"}
LONG = 2.0        # seconds of one run from which three rounds do
REST = .05        # for the threads of whoever ran last to fall asleep
# Root mean square of the difference by that of the output: the types' own rounding of p and o.
AGREEMENT = {"f32": 1e-5, "f16": 2e-3, "bf16": 1.5e-2}


class PeerEnded(Exception):
    """A library took its process down; a new one waits for the next case."""


class Peer:
    """The process of one library."""

    def __init__(self, script, threads):
        self.command = [sys.executable, str(script), str(threads)]
        self.process = self.start()
        self.about = self.ask(do="about")

    def start(self):
        return subprocess.Popen(self.command, text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.process = self.start()
            raise PeerEnded(f"its process ended with status {status}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def store(array, dtype):
    """Rounds to the type as it lies in a .npy file; bf16 to nearest even, as two raw bytes."""
    if dtype == "f32":
        return array
    if dtype == "f16":
        return array.astype(numpy.float16)
    bits = array.view(numpy.uint32)
    rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
    return rounded.astype(numpy.uint16).view("V2")


def widened(array):
    """float32 of what a file holds."""
    if array.dtype.kind == "V":
        return (array.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
    return array.astype(numpy.float32)


def write_inputs(case, folder):
    """Normal values; the same on every machine."""
    draws = numpy.random.default_rng(20)
    for name, heads in (("q", case.heads), ("k", case.heads_kv), ("v", case.heads_kv)):
        shape = (case.batch, case.seqlen, heads, case.head_dim)
        numpy.save(folder / f"{name}.npy",
                   store(draws.standard_normal(shape, numpy.float32), case.dtype))
    if case.bias:
        shape = (1, 1, case.seqlen, case.seqlen)
        numpy.save(folder / "bias.npy",
                   store(draws.standard_normal(shape, numpy.float32), case.dtype))


def strobe_output(case, folder, threads):
    """o of `strobe run`, float32 [batch, seqlen, heads, dim]."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    tensors = [word for name in ["q", "k", "v"] + ["bias"] * case.bias
               for word in (f"--{name}", str(folder / f"{name}.npy"))]
    subprocess.run([STROBE, "run", *([case.options] if case.options else []), *tensors, "--out",
                    str(out), "--threads", str(threads)], check=True, stdout=subprocess.DEVNULL)
    return widened(numpy.load(out / "o.npy"))


def strobe_bench(case, folder, threads):
    """(machine, row) of one process of the tool."""
    path = folder / "bench.json"
    subprocess.run([STROBE, "bench", case.text, "--threads", str(threads), "--json", str(path)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bench = json.loads(path.read_text(encoding="utf-8"))
    return bench["machine"], bench["rows"][0]


def fastest(peer, calls, seconds):
    """The call that a first look finds fastest."""
    if len(calls) == 1:
        return calls[0]
    return min(calls, key=lambda call: peer.ask(do="time", call=call, seconds=seconds / 4)
               ["seconds_median"])


def prepare(peer, case, folder, ours):
    """What a row says of a peer before it is timed."""
    row = {"refused": {}}
    try:
        ready = peer.ask(do="prepare", case=case.text, folder=str(folder))
        row["refused"] = ready["refused"]
        if not ready["calls"]:
            return row
        call = fastest(peer, ready["calls"], .5)
        peer.ask(do="output", call=call, path=str(folder / "peer.npy"))
    except PeerEnded as ended:
        row["refused"]["process"] = str(ended)
        return row
    theirs = numpy.load(folder / "peer.npy")
    difference = numpy.sqrt(numpy.mean((theirs - ours) ** 2) / numpy.mean(ours ** 2))
    return {**row, "call": call, "difference": float(difference),
            "agrees": bool(difference <= AGREEMENT[case.dtype])}


def summed_up(times):
    return {"seconds_median": statistics.median(one["seconds_median"] for one in times),
            "cpu_over_wall": statistics.median(one["cpu_over_wall"] for one in times)}


class Rounds:
    """The times of one case: ours by a process a visit, theirs by the processes that wait."""

    def __init__(self, case, peers, calls, options):
        self.case, self.peers, self.calls, self.options = case, peers, calls, options
        self.times = {name: [] for name in ["strobe", *calls]}
        self.machine = None

    def visit(self, name, folder):
        time.sleep(REST)
        if name == "strobe":
            self.machine, row = strobe_bench(self.case, folder, self.options.threads)
            return row
        return self.peers[name].ask(do="time", call=self.calls[name],
                                    seconds=self.options.seconds)

    def run(self, folder):
        """All of them once a round, another one first each time. One whose process ends is left
        out from there on."""
        names = list(self.times)
        rounds = self.options.rounds
        turn = 0
        while turn < rounds:
            at = turn % len(names)
            for name in names[at:] + names[:at]:
                try:
                    self.times[name].append(self.visit(name, folder))
                except PeerEnded:
                    names.remove(name)
                    del self.times[name]
            turn += 1
            if self.times["strobe"][-1]["seconds_median"] > LONG:
                rounds = min(rounds, 3)


def measure_case(case, peers, options, folder):
    """(machine, row) of one case."""
    write_inputs(case, folder)
    ours = strobe_output(case, folder, options.threads)
    theirs = {name: prepare(peer, case, folder, ours) for name, peer in peers.items()}
    calls = {name: row["call"] for name, row in theirs.items() if "call" in row}
    rounds = Rounds(case, peers, calls, options)
    rounds.run(folder)
    strobe = rounds.times.pop("strobe")
    row = {"case": case.text, "threads": strobe[0]["threads"], "rounds": len(strobe),
           "strobe": {"backend": strobe[0]["backend"], "peak": strobe[0]["peak"],
                      "fraction_of_peak": statistics.median(
                          one["fraction_of_peak"] for one in strobe),
                      **summed_up(strobe)}, "peers": theirs}
    for name, times in rounds.times.items():
        ratios = [one["seconds_median"] / our["seconds_median"]
                  for one, our in zip(times, strobe)]
        theirs[name].update(summed_up(times), ratio=statistics.median(ratios), ratios=ratios)
    return rounds.machine, row


def line_of(row):
    """A row as it is shown while the others are measured."""
    cells = [f"{row['case']:<34} {figures.milliseconds(row['strobe']['seconds_median']):>9}"]
    for name, peer in row["peers"].items():
        if "ratio" not in peer:
            cells.append(f"{name}: does not run")
            continue
        cells.append(f"{name}: {peer['ratio']:.2f} x ({peer['call']})"
                     + ("" if peer["agrees"] else f" DIFFERS by {peer['difference']:.2g}"))
    return "   ".join(cells)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help="cases of docs/cases.md instead of the list")
    parser.add_argument("--only", default="", help="cases that hold these words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=.5, help="of timed runs in a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--results", type=pathlib.Path, default=figures.ROOT / "bench/results")
    return parser.parse_args()


def main():
    options = arguments()
    options.results.mkdir(parents=True, exist_ok=True)
    cases = [case for case in [parse(text) for text in options.case] or all_cases()
             if all(word in case.text.split() + [case.dtype] for word in options.only.split())]
    if not cases:
        sys.exit(f"no case holds the words {options.only}")
    peers = {name: Peer(script, options.threads) for name, script in PEERS.items()}
    results = {"date": datetime.date.today().isoformat(),
               "peers": {name: peer.about for name, peer in peers.items()}, "rows": []}
    with tempfile.TemporaryDirectory(prefix="strobe-peers-") as folder:
        for case in cases:
            try:
                results["machine"], row = measure_case(case, peers, options, pathlib.Path(folder))
            except subprocess.CalledProcessError as failed:
                print(f"{case.text}: left out, strobe gave status {failed.returncode}", flush=True)
                continue
            results["rows"].append(row)
            path = options.results / f"peers-{figures.slug(results['machine'])}.json"
            path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(line_of(row), flush=True)
    for peer in peers.values():
        peer.close()
    if not results["rows"]:
        sys.exit("nothing was measured")
    pairs = [peer for row in results["rows"] for peer in row["peers"].values() if "ratio" in peer]
    print(f"ahead on {sum(peer['ratio'] > 1 for peer in pairs)} of {len(pairs)} rows; {path}")
    sys.exit(0 if all(peer["agrees"] for peer in pairs) else 1)


if __name__ == "__main__":
    main()
