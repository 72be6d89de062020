"""Checks who includes whom: api -> plan -> cpu -> cpu/simd; kernels -> semantics -> include/strobe.

SPDX-License-Identifier: Apache-2.0

Each folder names the includes it may write, and no header is let in that would bring more with it,
so the rule holds for what is included in turn as well. docs/architecture.md draws it.
"""

import re

import tree

# What attention means, and what memory is: all that kernels may know of the public surface.
MEANING = ["strobe/dropout.hpp", "strobe/mask.hpp", "strobe/rotary.hpp", "strobe/score.hpp",
           "strobe/tensor.hpp", "strobe/float8.hpp", "strobe/kv_scales.hpp", "strobe/error.hpp"]
INSIDE = ["strobe/", "api/", "plan/", "reference/", "semantics/", "cpu/"]

# The longest matching folder decides. A name ending in "/" lets in the whole folder.
MAY_INCLUDE = {
    "include/strobe/": ["strobe/"],
    "src/semantics/": ["semantics/", *MEANING],
    "src/reference/": ["reference/", "semantics/", *MEANING],
    # Knows nothing of attention: a macro and the number types.
    "src/cpu/simd/": ["cpu/simd/", "semantics/inline.hpp", "strobe/tensor.hpp",
                      "strobe/float8.hpp"],
    # Kernels: one query tile's way over the keys. They know tasks, not who hands them out.
    "src/cpu/tiles/": ["cpu/tiles/", "cpu/forward_task.hpp", "cpu/decode_task.hpp", "semantics/",
                       *MEANING],
    "src/cpu/forward": ["cpu/tiles/", "cpu/forward_task.hpp", "semantics/", *MEANING],
    "src/cpu/combine.hpp": ["cpu/tiles/", "cpu/decode_task.hpp", "semantics/", *MEANING],
    "src/cpu/decode.hpp": ["cpu/tiles/", "cpu/combine.hpp", "cpu/decode_task.hpp",
                           "semantics/", *MEANING],
    "src/cpu/decode_call": ["cpu/", "semantics/", *MEANING],
    "src/cpu/decode_task.hpp": ["cpu/forward_task.hpp", "semantics/", *MEANING],
    "src/cpu/isa/": ["cpu/simd/", "cpu/decode.hpp", "cpu/forward.hpp", "cpu/kernels.hpp"],
    "src/cpu/": ["cpu/", "semantics/", *MEANING],
    "src/gpu/": ["gpu/", "semantics/", *MEANING],
    "src/plan/": ["plan/", "cpu/", "gpu/", "semantics/", "strobe/"],
    "src/api/": ["api/", "plan/", "semantics/", "strobe/"],
    "harness/": ["harness/", *INSIDE],
    "tools/": ["harness/", "tools/", *INSIDE],
    "tests/": ["harness/", "tools/", "tests/", *INSIDE],
    "bench/": ["bench/", "harness/", "strobe/"],
    "examples/": ["strobe/"],
}

# (file, include): why this one is let through.
EXCEPTIONS = {
    ("src/cpu/threads.hpp", "strobe/plan.hpp"): "Parallel, the executor, is declared there",
    ("src/cpu/threads.cpp", "strobe/plan.hpp"): "ThreadPool is declared there",
    ("src/cpu/threads.cpp", "api/messages.hpp"): "all messages stand in one table",
    ("src/cpu/run_forward.hpp", "strobe/plan.hpp"): "Parallel again; kernels do not include it",
    ("src/cpu/decode_call.hpp", "strobe/plan.hpp"): "Parallel again; kernels do not include it",
    ("src/cpu/run_decode.hpp", "strobe/plan.hpp"): "Parallel again; kernels do not include it",
    ("src/cpu/append.hpp", "strobe/plan.hpp"): "Parallel again",
    ("src/cpu/merge.hpp", "strobe/merge.hpp"): "tensors of any number of parts, uncopied",
    ("src/api/merge.cpp", "cpu/merge.hpp"): "merge() needs no plan: there is one way to do it",
    ("src/api/plan.cpp", "cpu/run_forward.hpp"): "Plan::run hands over to the backend",
    ("src/api/plan.cpp", "cpu/decode_call.hpp"): "likewise",
}

# System headers that only these folders may include.
INTRINSICS = re.compile(r"(\w*intrin|arm_neon|arm_sve|arm_bf16|arm_acle|altivec|riscv_vector)\.h")
CUDA = re.compile(
    r"(cuda\w*|cooperative_groups|cute/.*|cutlass/.*|mma|nccl|nv\w+)(\.h|\.hpp|\.cuh|/.*)?")
FRAMEWORK = re.compile(
    r"(torch|ATen|c10|pybind11|nanobind|numpy|jax|xla|tensorflow|dlpack)/.*|Python\.h")
TOOL_LIBRARY = re.compile(r"(CLI|fmt|nlohmann|gtest|gmock|benchmark|openblas\w*)/.*|\w*cblas\w*\.h")
RESTRICTED = [
    (INTRINSICS, ["src/cpu/simd/"], "intrinsics live in src/cpu/simd"),
    (CUDA, ["src/gpu/"], "CUDA lives in src/gpu"),
    (FRAMEWORK, ["python/"], "frameworks live in python"),
    (TOOL_LIBRARY, ["harness/", "tools/", "tests/", "bench/"],
     "the library needs the C++ library and threads only"),
]
STANDARD = re.compile(r"[a-z_]+")
STANDARD_C = re.compile(r"std(int|def)\.h")  # what C headers may include

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def folder_rule(name):
    """The includes that the file's folder may write, or None where there is no rule."""
    matching = [folder for folder in MAY_INCLUDE if name.startswith(folder)]
    return MAY_INCLUDE[max(matching, key=len)] if matching else None


def ours_is_allowed(name, include):
    rule = folder_rule(name)
    if rule is None:
        return False
    if "/" not in include:  # a neighbour in the same folder
        return True
    return any(include == way or (way.endswith("/") and include.startswith(way)) for way in rule)


def problems_of(name, source):
    """Every include of one file that breaks the layering, as lines to print."""
    for match in INCLUDE.finditer(source):
        quoted, system = match.groups()
        include = quoted or system
        line = source.count("\n", 0, match.start()) + 1
        if (name, include) in EXCEPTIONS:
            continue
        if quoted and not any(p.fullmatch(include) for p, _, _ in RESTRICTED):
            if not ours_is_allowed(name, include):
                yield (f'{name}:{line}: "{include}" is not for this folder; '
                       f"allowed: {folder_rule(name)}")
        for pattern, folders, reason in RESTRICTED:
            if pattern.fullmatch(include) and not name.startswith(tuple(folders)):
                yield f"{name}:{line}: <{include}>: {reason}"
        standard = STANDARD_C if name.endswith(".h") else STANDARD
        if name.startswith("include/") and system and not standard.fullmatch(system):
            yield f"{name}:{line}: <{system}>: public headers include the standard library only"
        if name.startswith("include/") and name.endswith(".h") and include.endswith(".hpp"):
            yield f"{name}:{line}: <{include}>: a C header includes C headers only"


def stale_exceptions():
    for name, include in EXCEPTIONS:
        if not (tree.ROOT / name).exists() or include not in tree.text(name):
            yield f"check_layers.py: the exception ({name}, {include}) is not needed any more"


def main():
    problems = [p for name in tree.cxx_files() for p in problems_of(name, tree.text(name))]
    tree.report("layers", problems + list(stale_exceptions()))


if __name__ == "__main__":
    main()
