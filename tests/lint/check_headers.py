"""Checks that every public header compiles alone, without a warning; C headers as C11 too.

SPDX-License-Identifier: Apache-2.0
usage: check_headers.py COMPILER
"""

import shutil
import subprocess
import sys

import tree

FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-Iinclude"]
CXX = ["-std=c++20", "-x", "c++"]
C = ["-std=c11", "-Wstrict-prototypes", "-Wc++-compat", "-x", "c"]
# clang has one kind of -Wshadow; -Wshadow=local is gcc's name for it.
SHADOW_GCC = ["-Wshadow=local"]
C_COMPILERS = ("gcc", "clang")  # those of them that are installed


def compile_alone(compiler, language, header):
    """The compiler's complaint about a file that includes only `header`, or nothing."""
    shadow = [] if "clang" in compiler else SHADOW_GCC
    run = subprocess.run([compiler, *FLAGS, *shadow, *language, "-"],
                         input=f'#include "{header}"\nextern int and_nothing_else;\n',
                         text=True, cwd=tree.ROOT, capture_output=True, check=False)
    return run.stderr if run.returncode != 0 else ""


def main():
    headers = [name.removeprefix("include/") for name in tree.cxx_files()
               if name.startswith("include/strobe/")]
    complaints = [compile_alone(sys.argv[1], CXX, header) for header in headers]
    complaints += [compile_alone(compiler, C, header) for header in headers
                   if header.endswith(".h") for compiler in C_COMPILERS if shutil.which(compiler)]
    problems = [complaint for complaint in complaints if complaint]
    if not headers:
        problems = ["no header under include/strobe"]
    all_of_it = tree.text("include/strobe/strobe.hpp")
    problems += [f"include/strobe/strobe.hpp does not include {header}" for header in headers
                 if header.endswith(".hpp") and header != "strobe/strobe.hpp"
                 and f'"{header}"' not in all_of_it]
    tree.report("headers", problems)


if __name__ == "__main__":
    main()
