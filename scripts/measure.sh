# Sourced by scripts that fill a part of docs/performance.md: builds the tool, and runs it.
# SPDX-License-Identifier: Apache-2.0
# usage: set `out`, a folder under out/, then: source scripts/measure.sh
# shellcheck shell=bash

bash scripts/setup.sh build
cmake --preset release >/dev/null
cmake --build --preset release --target strobe_tool
strobe=build/release/bin/strobe
rm -rf "${out:?}"
mkdir -p "$out"

# measure NAME BENCH-ARGUMENT...: one run of the tool, its rows in $out/NAME.json. What this build
# or machine cannot do is left out of the tables.
measure() {
  local name=$1
  shift
  printf '\n== %s: strobe bench %s\n' "$name" "$*"
  "$strobe" bench "$@" --json "$out/$name.json" || printf 'left out: %s\n' "$name"
}
