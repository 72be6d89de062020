"""The files of this repository as the lint tests see them: what git tracks or would track.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CXX_SUFFIXES = {".cpp", ".hpp", ".c", ".h", ".cu", ".cuh"}
SKIPPED_FOLDERS = {".git", "build", "out", "__pycache__", ".venv"}


def files():
    """Every file, relative to the root, sorted. Without git: everything outside build folders."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    listing = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False) if (ROOT / ".git").exists() else None
    if listing is not None and listing.returncode == 0:
        names = [pathlib.PurePath(name) for name in listing.stdout.decode().split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    kept = [name for name in names
            if not SKIPPED_FOLDERS & set(name.parts) and (ROOT / name).is_file()]
    return sorted(set(map(str, kept)))


def cxx_files():
    """C++ and C sources and headers."""
    return [name for name in files() if pathlib.PurePath(name).suffix in CXX_SUFFIXES]


def text(name):
    """A file's contents."""
    return (ROOT / name).read_text(encoding="utf-8")


def report(title, problems):
    """Prints every problem and ends the program: status 1 if there is any."""
    for problem in problems:
        print(problem)
    print(f"{title}: {len(problems)} problem{'s' if len(problems) != 1 else ''}")
    sys.exit(1 if problems else 0)
