#!/usr/bin/env bash
# Random problems, hard values, garbage in unused memory and the fuzzers, for as long as you like.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/soak.sh [MINUTES] [SEED]      default: 60 minutes, a seed from the clock
#
# Half of the time goes to random problems on every backend, half to the fuzz targets. What fails is
# printed with the command that shows it again. The exit status is 0 when nothing did.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

minutes=${1:-60}
seed=${2:-$(($(date +%s) * 1000))}
for number in "$minutes" "$seed"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || {
    echo "scripts/soak.sh: '$number' is no whole number from 1 on" >&2
    exit 2
  }
done
jobs=$(nproc)
failed=0

for preset in gcc fuzz; do
  targets=(strobe_conformance_tests strobe_properties_tests strobe_suites_tests)
  [ "$preset" = gcc ] || targets=(fuzzers)
  cmake --preset "$preset" >/dev/null &&
    cmake --build --preset "$preset" -j "$jobs" --target "${targets[@]}" >/dev/null || exit
done

# The tests that read STROBE_SOAK_SECONDS: each takes as long.
soaking='*RandomProblems.*:*RandomDecode.*:*RandomHistories.*:*UnseenMemory.*'
programs=(build/gcc/bin/strobe_conformance_tests build/gcc/bin/strobe_properties_tests)
count=0
for program in "${programs[@]}"; do
  tests=$("$program" --gtest_list_tests "--gtest_filter=$soaking" | grep -c '^  ')
  [ "$tests" -le "$count" ] || count=$tests
done
seconds=$((minutes * 30 / count))
printf 'seed %s: %s s for each kind of problem and backend\n' "$seed" "$seconds"
pids=()
for program in "${programs[@]}"; do
  STROBE_SOAK_SECONDS=$seconds STROBE_SOAK_SEED=$seed "$program" --gtest_brief=1 \
    "--gtest_filter=$soaking" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done

# The whole of ggml's grid, of which CI runs a sample.
STROBE_GGML_GRID=all build/gcc/bin/strobe_suites_tests --gtest_brief=1 \
  '--gtest_filter=*Ggml*' || failed=1

fuzzers=$(find tests/fuzz -name '*_fuzz.cpp' | wc -l)
rounds=$(((fuzzers + jobs - 1) / jobs))
bash scripts/fuzz.sh $((minutes * 30 / rounds)) || failed=1
exit "$failed"
