#!/usr/bin/env bash
# Measures what docs/performance.md states and writes it there, with machine, compiler and date.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_table.sh      takes some minutes; leave the machine alone meanwhile
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh build
cmake --preset release >/dev/null
cmake --build --preset release --target strobe_tool
strobe=build/release/bin/strobe
out=out/bench
mkdir -p "$out"

# measure NAME BENCH-ARGUMENT...: one run of the tool, its rows in $out/NAME.json
measure() {
  local name=$1
  shift
  printf '\n== %s: strobe bench %s\n' "$name" "$*"
  "$strobe" bench "$@" --json "$out/$name.json"
}

"$strobe" doctor || true
measure prefill --suite prefill --threads 2
measure scaling_one "h8 q4096 d64 layout=bhsd" "h1 q4096 d64 layout=bhsd" \
  "h3 q1024 d64 layout=bhsd" --threads 1
measure scaling_two "h8 q4096 d64 layout=bhsd" "h1 q4096 d64 layout=bhsd" \
  "h3 q1024 d64 layout=bhsd" --threads 2
measure dims "h8 q4096 d40" "h8 q4096 d80" "h8 q4096 d96" "h8 q4096 d160" "h8 q4096 d192" \
  "h8 q4096 d256" "h8 q16384 d128 window=256,0" --threads 2
measure odd --suite odd --threads 2
measure models --suite models --threads 2
measure portable "h8 q4096 d64" "h8 q4096 d128" --threads 2 --backend cpu:portable
measure memory "h8 q4096 d64 causal" "h8 q16384 d64 causal" "h8 q65536 d64 causal" --threads 2
measure standard "h8 q1024 d64" "h8 q4096 d64" "h8 q4096 d64 causal" "h8 q4096 d128" \
  "h8 q4096 d128 bf16" "h8 q4096 d128 bf16 causal" --threads 2 --compare standard

python3 scripts/bench_table.py "$out"
