#!/usr/bin/env bash
# Runs every fuzz target for a while, as many at a time as there are cores.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/fuzz.sh [SECONDS-EACH]      default: 60; wants the build of preset fuzz
#
# What a target finds new is kept in build/fuzz/found/TARGET, where the next run goes on. An input
# that fails is printed with the command that shows it again; the exit status is then 1.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || {
  echo "scripts/fuzz.sh: '$seconds' is no number of seconds; accepted: 1 and more" >&2
  exit 2
}
bin=build/fuzz/bin
found=build/fuzz/found
targets=()
for source in tests/fuzz/*_fuzz.cpp; do
  target=$(basename "$source" _fuzz.cpp)
  [ -x "$bin/strobe_fuzz_$target" ] || {
    echo "scripts/fuzz.sh: $bin/strobe_fuzz_$target is missing; build it:" >&2
    echo "  cmake --preset fuzz && cmake --build --preset fuzz --target fuzzers" >&2
    exit 2
  }
  targets+=("$target")
done

# fuzz TARGET: one target, its output in a log.
fuzz() {
  local target=$1 options=(-timeout=20 -rss_limit_mb=3000 -max_len=1024 -print_final_stats=1)
  [ ! -e "tests/fuzz/$target.dict" ] || options+=("-dict=tests/fuzz/$target.dict")
  mkdir -p "$found/$target"
  "$bin/strobe_fuzz_$target" "${options[@]}" "-max_total_time=$seconds" \
    "-artifact_prefix=$found/$target-" "$found/$target" "tests/fuzz/corpus/$target" \
    >"$found/$target.log" 2>&1
}

mkdir -p "$found"
running=()
failed=0
# Waits for the target that was started first.
finish_one() {
  local target=${running[0]%:*} file
  if wait "${running[0]#*:}"; then
    printf '%-12s %s, %s\n' "$target" \
      "$(sed -nE 's/^stat::number_of_executed_units: ([0-9]+)$/\1 inputs/p' "$found/$target.log")" \
      "$(sed -nE 's/.* cov: ([0-9]+) .*/\1 branches/p' "$found/$target.log" | tail -n 1)"
  else
    failed=1
    printf '%-12s FAILED\n' "$target"
    grep -v -E '^#[0-9]|^INFO' "$found/$target.log" | tail -n 60
    file=$(sed -nE 's/.*Test unit written to (.*)/\1/p' "$found/$target.log" | tail -n 1)
    printf 'reproduce: %s %s\n' "$bin/strobe_fuzz_$target" "$file"
    printf 'keep it:   cp %s tests/fuzz/corpus/%s/WHAT_IT_WAS\n' "$file" "$target"
  fi
  running=("${running[@]:1}")
}

for target in "${targets[@]}"; do
  [ "${#running[@]}" -lt "$(nproc)" ] || finish_one
  fuzz "$target" &
  running+=("$target:$!")
done
while [ "${#running[@]}" -gt 0 ]; do finish_one; done
exit "$failed"
