"""The process of a peer: prepares a case, times calls of it, writes what they compute.

SPDX-License-Identifier: Apache-2.0

One JSON object a line comes in and one goes out:
  {"do": "about"}                        name, version, threads
  {"do": "prepare", "case", "folder"}    the calls that run, and why others do not
  {"do": "time", "call", "seconds"}      seconds_median, cpu_over_wall, samples
  {"do": "output", "call", "path"}       writes o as float32 [batch, seqlen, heads, dim]
"""

import json
import os
import statistics
import sys
import time

import numpy

from cases import parse

WARM_UP = .2
LEAST_RUNS = 3


def load(folder, name):
    """An input as it lies in its file; bf16 as its bits."""
    array = numpy.load(os.path.join(folder, f"{name}.npy"))
    return array.view(numpy.uint16) if array.dtype.kind == "V" else array


def time_call(call, seconds):
    """Warms up, then times single runs until there are enough."""
    end = time.perf_counter() + WARM_UP
    call()
    while time.perf_counter() < end:
        call()
    walls = []
    cpu = time.process_time()
    begin = time.perf_counter()
    while len(walls) < LEAST_RUNS or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
    return {"seconds_median": statistics.median(walls), "samples": len(walls),
            "cpu_over_wall": (time.process_time() - cpu) / (time.perf_counter() - begin)}


def reason(error):
    """The first line of an error, cut to what a table can hold."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


class Worker:
    """Serves one peer: an object with about() and calls(case, folder), which gives
    {name: function}; a function returns o, and output(o, case) makes it float32 BSHD. A function is
    tried once before it is offered."""

    def __init__(self, peer):
        self.peer = peer
        self.case = None
        self.calls = {}

    def prepare(self, request):
        self.case = parse(request["case"])
        self.calls = {}
        refused = {}
        for name, make in self.peer.calls(self.case, request["folder"]).items():
            try:
                call = make()
                call()
                self.calls[name] = call
            except Exception as error:  # whatever a library says when it cannot
                refused[name] = reason(error)
        return {"calls": list(self.calls), "refused": refused}

    def answer(self, request):
        if request["do"] == "about":
            return self.peer.about()
        if request["do"] == "prepare":
            return self.prepare(request)
        call = self.calls[request["call"]]
        if request["do"] == "time":
            return time_call(call, request["seconds"])
        numpy.save(request["path"], self.peer.output(call(), self.case))
        return {}


def serve(make_peer):
    """Libraries may print: what they print goes to stderr, answers to the real stdout."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(make_peer(int(sys.argv[1])))
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)
