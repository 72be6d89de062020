"""Times a decoding step of Strobe beside PyTorch's, in turn and on cold caches.

SPDX-License-Identifier: Apache-2.0
usage: decode.py [--rounds N] [--seconds S] [--threads T] [--results FOLDER]

PyTorch has no cache of its own: it is called on keys and values [batch, heads, seqlen, dim], which
lie as it likes them, in four ways. Like Strobe's, its caches are taken one after the other, more
than 512 MiB in all. A round times all of them once; the figure is the median over the rounds of
their time by ours. Rows go to FOLDER/decode-peers-CORE.json; decode_report.py takes them there.
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

import torch

from cases import number

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import figures

STROBE = figures.ROOT / "build/release/bin/strobe"
COLD = 2 ** 29
REST = .05        # for the threads of whoever ran last to fall asleep
AGREEMENT = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


def all_cases():
    long = [f"{heads} d128{dtype}" for dtype in ("", " bf16", " f16")
            for heads in ("h32/8 q1 k65536", "h32 q1 k65536", "h32/4 q1 k65536", "h8/1 q1 k131072")]
    total = [f"{batch}{heads} q1 {keys} d128 bf16" for heads in ("h16/2", "h64/8")
             for batch, keys in (("b256 ", "k512"), ("b64 ", "k2048"), ("b16 ", "k8192"),
                                 ("b4 ", "k32768"), ("", "k131072"))]
    return long + total


class Step:
    """One step of PyTorch over caches in rotation."""

    def __init__(self, text):
        self.batch, self.heads = number(text, "b", 1), number(text, "h", 1)
        grouped = text.split("/")
        self.heads_kv = int(grouped[1].split()[0]) if len(grouped) > 1 else self.heads
        keys, dim = number(text, "k", 0), number(text, "d", 0)
        self.dtype = next((TYPES[word] for word in text.split() if word in TYPES), torch.float32)
        self.group = self.heads // self.heads_kv
        self.q = torch.randn(self.batch, self.heads, 1, dim).to(self.dtype)
        shape = (self.batch, self.heads_kv, keys, dim)
        size = 2 * self.batch * self.heads_kv * keys * dim * self.q.element_size()
        count = max(2, COLD // size + 1) if size <= 4 * COLD else 1
        one = torch.randn(shape).to(self.dtype)
        self.caches = [(one.clone(), one.flip(2).contiguous()) for _ in range(count)]
        self.next = 0

    def cache(self):
        self.next = (self.next + 1) % len(self.caches)
        return self.caches[self.next]

    def as_written(self):
        k, v = self.cache()
        return torch.nn.functional.scaled_dot_product_attention(self.q, k, v,
                                                                enable_gqa=self.group > 1)

    def repeated(self):
        k, v = (x.repeat_interleave(self.group, 1) for x in self.cache())
        return torch.nn.functional.scaled_dot_product_attention(self.q, k, v)

    def packed(self):
        k, v = self.cache()
        q = self.q.view(self.batch, self.heads_kv, self.group, -1)
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return o.view(self.batch, self.heads, 1, -1)

    def standard(self):
        k, v = self.cache()
        q = self.q.view(self.batch, self.heads_kv, self.group, -1)
        p = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -.5, -1)
        return (p @ v).view(self.batch, self.heads, 1, -1)

    def calls(self):
        named = {"sdpa as written": self.as_written, "matmul, softmax, matmul": self.standard}
        if self.group > 1:
            named.update({"sdpa, heads repeated": self.repeated, "sdpa, group packed": self.packed})
        return named


def agrees(step):
    """All ways compute the same."""
    outputs = []
    for call in step.calls().values():
        step.next = -1
        outputs.append(call().float())
    worst = max(float(((o - outputs[0]).norm() / outputs[0].norm())) for o in outputs)
    return worst <= AGREEMENT[step.dtype]


def timed(call, seconds):
    call()
    walls, begin = [], time.perf_counter()
    while len(walls) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
        if walls[-1] > 2:
            break
    return statistics.median(walls)


def strobe(text, threads, path):
    subprocess.run([STROBE, "bench", text, "--op", "decode", "--threads", str(threads), "--json",
                    path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bench = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    return bench["machine"], bench["rows"][0]


def measure(text, options, folder):
    step = Step(text)
    calls = step.calls()
    row = {"case": text, "agrees": agrees(step), "strobe": [],
           "torch": {name: [] for name in calls}, "fraction_of_limit": []}
    with torch.inference_mode():
        for _ in range(options.rounds):
            time.sleep(REST)
            machine, ours = strobe(text, options.threads, os.path.join(folder, "bench.json"))
            row["strobe"].append(ours["seconds_median"])
            row["fraction_of_limit"].append(ours["fraction_of_limit"])
            for name, call in calls.items():
                time.sleep(REST)
                row["torch"][name].append(timed(call, options.seconds))
    return machine, row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=.3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--results", type=pathlib.Path, default=figures.ROOT / "bench/results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.results.mkdir(parents=True, exist_ok=True)
    results = {"date": datetime.date.today().isoformat(), "torch": torch.__version__,
               "threads": options.threads, "rows": []}
    with tempfile.TemporaryDirectory(prefix="strobe-peers-") as folder:
        for text in all_cases():
            results["machine"], row = measure(text, options, folder)
            results["rows"].append(row)
            path = options.results / f"decode-peers-{figures.slug(results['machine'])}.json"
            path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            best = min(statistics.median(times) for times in row["torch"].values())
            print(f"{text:<36} {figures.milliseconds(statistics.median(row['strobe'])):>9}  "
                  f"best of PyTorch {best / statistics.median(row['strobe']):.2f} x"
                  + ("" if row["agrees"] else "  PyTorch's own calls DIFFER"), flush=True)


if __name__ == "__main__":
    main()
