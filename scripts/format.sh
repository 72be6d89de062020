#!/usr/bin/env bash
# Formats every C++ file as .clang-format says; with --check, fails if one is not.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/format.sh [--check]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
case "${1:-}" in
  '') ;;
  --check) mode=(--dry-run -Werror) ;;
  *) echo "scripts/format.sh: unknown argument '$1'; accepted: --check" >&2 && exit 2 ;;
esac
command -v clang-format >/dev/null || {
  echo "scripts/format.sh: clang-format is missing; 'bash scripts/setup.sh test' installs it" >&2
  exit 2
}

# Without git (an unpacked archive): every file there is.
sources() {
  if [ -e .git ] && command -v git >/dev/null; then
    git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard -- \
      '*.cpp' '*.hpp' '*.h'
  else
    find include src harness tools tests examples -name '*.[ch]pp' -print0
  fi
}
sources | xargs -0 clang-format --style=file "${mode[@]}"
