"""Checks that every public header compiles alone, without a warning, after nothing else.

SPDX-License-Identifier: Apache-2.0
usage: check_headers.py COMPILER
"""

import subprocess
import sys

import tree

FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow=local", "-Werror",
         "-fsyntax-only", "-Iinclude", "-x", "c++"]
# clang has one kind of -Wshadow; -Wshadow=local is gcc's name for it.
FLAGS_CLANG = [flag for flag in FLAGS if flag != "-Wshadow=local"]


def compile_alone(compiler, header):
    """The compiler's complaint about a file that includes only `header`, or nothing."""
    flags = FLAGS_CLANG if "clang" in compiler else FLAGS
    run = subprocess.run([compiler, *flags, "-"], input=f'#include "{header}"\n', text=True,
                         cwd=tree.ROOT, capture_output=True, check=False)
    return run.stderr if run.returncode != 0 else ""


def main():
    headers = [name.removeprefix("include/") for name in tree.cxx_files()
               if name.startswith("include/strobe/")]
    complaints = [compile_alone(sys.argv[1], header) for header in headers]
    problems = [complaint for complaint in complaints if complaint]
    if not headers:
        problems = ["no header under include/strobe"]
    all_of_it = tree.text("include/strobe/strobe.hpp")
    problems += [f"include/strobe/strobe.hpp does not include {header}" for header in headers
                 if header != "strobe/strobe.hpp" and f'"{header}"' not in all_of_it]
    tree.report("headers", problems)


if __name__ == "__main__":
    main()
