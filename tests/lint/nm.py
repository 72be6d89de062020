"""Checks that an instruction set's object emits nothing the linker could hand to a lesser machine.

SPDX-License-Identifier: Apache-2.0
usage: nm.py NM OBJECT...      objects that are compiled for every machine are ignored

Of two equal weak symbols (inline functions, templates) a linker keeps either. So every symbol that
an object of src/cpu/isa defines is local or lies in that instruction set's namespace; and the
harness's vector loops, which share one namespace, define no weak symbol at all.
"""

import pathlib
import re
import subprocess
import sys

# Emitted by the compiler itself; holds an address, never an instruction.
COMPILER_OWN = re.compile(r"DW\.ref\.__gxx_personality_v0|__odr_asan.*|__start_.*|__stop_.*")
# Mangled: vtable, typeinfo, guard or local static of ..., then a name nested in namespaces.
PREFIX = r"_Z(?:T[VTIS]|GV|GR|Z)*N[KVrRO]*"


def isa_of(path):
    """"avx512" for .../cpu/isa/avx512.cpp.o, None for other objects."""
    parts = pathlib.PurePath(path).parts
    if len(parts) < 3 or parts[-3:-1] != ("cpu", "isa"):
        return None
    return parts[-1].split(".")[0]


def is_vector_loops(path):
    return pathlib.PurePath(path).name.startswith("vector_loops_")


def defined_symbols(nm, path):
    """(kind, mangled name) of every symbol that the object defines, local ones left out."""
    listing = subprocess.run([nm, "--defined-only", "--extern-only", "--format=posix", path],
                             capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        name, kind = line.split()[:2]
        yield kind, name


def own(name, isa):
    """Whether a mangled name lies in namespace strobe::cpu::<isa>."""
    return re.match(f"{PREFIX}6strobe3cpu{len(isa)}{isa}", name) is not None


def allowed(kind, name, path):
    """Whether the object at `path` may define this symbol."""
    if COMPILER_OWN.fullmatch(name):
        return True
    if is_vector_loops(path):
        return kind not in "WVwvu"
    return own(name, isa_of(path))


def demangled(name):
    tool = subprocess.run(["c++filt", name], capture_output=True, text=True, check=False)
    return tool.stdout.strip() or name


def main():
    nm, paths = sys.argv[1], sys.argv[2:]
    objects = [path for path in paths if isa_of(path) or is_vector_loops(path)]
    if not any(map(isa_of, objects)):
        sys.exit("nm: no object of src/cpu/isa among the arguments")
    bad = total = 0
    for path in objects:
        for kind, name in defined_symbols(nm, path):
            total += 1
            if not allowed(kind, name, path):
                bad += 1
                print(f"{pathlib.PurePath(path).name}: {kind} {demangled(name)}")
    print(f"nm: {len(objects)} objects, {total} symbols, {bad} that the linker might share")
    if bad:
        print("Put what they name into the namespace of the instruction set, or inline it always.")
    sys.exit(1 if bad or total == 0 else 0)


if __name__ == "__main__":
    main()
