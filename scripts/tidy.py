"""Runs clang-tidy over library, harness and tool; a file is skipped while nothing it reads changed.

SPDX-License-Identifier: Apache-2.0
usage: tidy.py BUILD_FOLDER [JOBS]      the folder of a build by clang, with compile_commands.json
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("src/", "harness/", "tools/", "examples/")


def entries(build):
    """The compile commands of the files to check."""
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        name = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if name.startswith(FOLDERS):
            yield name, entry


def fingerprint(entry, configuration):
    """A hash of all that the verdict depends on: the preprocessed file, its flags, the checks."""
    words = shlex.split(entry["command"])
    compiler = next(at for at, word in enumerate(words) if "clang" in pathlib.Path(word).name)
    flags = words[compiler:]
    flags[flags.index("-o") + 1] = "-"
    flags[flags.index("-c")] = "-E"
    text = subprocess.run(flags + ["-C"], cwd=entry["directory"], capture_output=True, check=True)
    return hashlib.sha256(configuration + repr(flags).encode() + text.stdout).hexdigest()


def check(name, entry, build, configuration):
    """The complaints about one file; empty when clean."""
    stamp = build / "tidy" / hashlib.sha256(name.encode()).hexdigest()[:16]
    key = fingerprint(entry, configuration)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == key:
        return ""
    command = ["clang-tidy", "--quiet", "--warnings-as-errors=*", "-p", str(build), name]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        stamp.write_text(key, encoding="utf-8")
        return ""
    return run.stdout + (run.stderr if not run.stdout.strip() else "")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else len(os.sched_getaffinity(0))
    (build / "tidy").mkdir(exist_ok=True)
    configuration = (ROOT / ".clang-tidy").read_bytes()
    bad = total = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(check, name, entry, build, configuration)
                for name, entry in sorted(entries(build), key=lambda pair: pair[0])]
        for run in runs:
            total += 1
            complaints = run.result()
            if complaints:
                bad += 1
                print(complaints, flush=True)
    print(f"clang-tidy: {total} files, {bad} with complaints")
    sys.exit(1 if bad or total == 0 else 0)


if __name__ == "__main__":
    main()
