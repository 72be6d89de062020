#!/usr/bin/env bash
# Installs what is missing, builds in every way that must work, and runs every test.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/test.sh [STEP...]      none: all steps
# steps: format reference gcc clang tidy asan fuzz tsan aarch64
#
# Stops at the first failure and shows the command. The last line is "N passed, N failed": the tests
# of all builds together; a step that is no test (format, a build) counts only when it fails.
# The steps are called by a name put together below:
# shellcheck disable=SC2317
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

all_steps=(format reference gcc clang tidy asan fuzz tsan aarch64)
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=("${all_steps[@]}")
for step in "${steps[@]}"; do
  case " ${all_steps[*]} " in
    *" $step "*) ;;
    *) echo "scripts/test.sh: unknown step '$step'; accepted: ${all_steps[*]}" >&2 && exit 2 ;;
  esac
done

jobs=$(nproc)
logs=build/test-logs
mkdir -p "$logs"
passed=0
failed=0

finish() {
  printf 'logs: %s\n' "$logs"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}

# run NAME COMMAND...: shows name and time, keeps the output, stops everything on failure.
run() {
  local name=$1 start=$SECONDS log
  log=$logs/${name// /-}.log
  shift
  printf '%-28s' "$name"
  if "$@" >"$log" 2>&1; then
    count_tests "$log"
    printf '%5d s%s\n' $((SECONDS - start)) "$counted"
    return
  fi
  count_tests "$log"
  [ -n "$counted" ] || failed=$((failed + 1))
  printf '%5d s  FAILED%s\n\n' $((SECONDS - start)) "$counted"
  # Of a failed test the beginning, where it says what it saw; of anything else the end.
  awk '/\*\*\*(Failed|Timeout|Exception)/ {found = 1} found && lines++ < 40' "$log"
  tail -n 40 "$log"
  printf '\nfailed: %s\n' "$*"
  finish
}

# Adds ctest's "100% tests passed, 0 tests failed out of 12" to the totals.
count_tests() {
  local bad total
  counted=
  read -r bad total < <(sed -nE \
    's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$1") || return 0
  passed=$((passed + total - bad))
  failed=$((failed + bad))
  counted="  $((total - bad)) of $total tests"
}

# build PRESET [BUILD-ARGUMENT...]
build() {
  local preset=$1
  shift
  run "$preset configure" cmake --preset "$preset" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  run "$preset build" cmake --build --preset "$preset" -j "$jobs" "$@"
}

# tests PRESET [CTEST-ARGUMENT...]
tests() {
  local preset=$1
  shift
  run "$preset tests" ctest --preset "$preset" -j "$jobs" --no-tests=error "$@"
}

step_format() {
  run 'format' bash scripts/format.sh --check
  run 'shellcheck' shellcheck scripts/*.sh .ci/run
}

# The API reference has a comment for every type and function.
step_reference() {
  run 'API reference' bash scripts/api_docs.sh
}

# Random problems for about two minutes of processor time: the same ones on every machine.
step_gcc() {
  build gcc
  STROBE_RANDOM_TIMES=2 tests gcc
}

# Unoptimised, where an inline function that ought to have vanished is emitted (tests/lint/nm.py).
step_clang() {
  build clang
  tests clang
}

step_tidy() {
  [ -e build/clang/compile_commands.json ] || build clang
  run 'clang-tidy' python3 scripts/tidy.py build/clang "$jobs"
}

# The lint tests read the same tree whatever the build; the suites of others run the code that the
# conformance tests run.
step_asan() {
  build asan
  tests asan --label-exclude 'lint|suites'
}

# A minute for each target, as many at a time as there are cores; an hour: scripts/soak.sh.
step_fuzz() {
  build fuzz --target fuzzers
  run 'fuzz' bash scripts/fuzz.sh 60
}

# The tests that are about threads: forward and decode through every executor, plans run at once.
# The others would take a quarter of an hour more for the same code. ThreadSanitizer wants its
# shadow where address randomisation may put something else.
step_tsan() {
  build tsan --target strobe_threads_tests
  run 'tsan tests' setarch "$(uname -m)" --addr-no-randomize \
    ctest --preset tsan -j "$jobs" --no-tests=error --label-regex threads
}

# Not the random problems, which take a minute each in an emulator and whose arithmetic the portable
# kernels of the native builds share.
step_aarch64() {
  if [ "$(uname -m)" != x86_64 ]; then
    printf '%-28s  skipped: the native builds are of %s already\n' aarch64 "$(uname -m)"
    return
  fi
  build aarch64
  tests aarch64 --label-exclude suites --exclude-regex Random
}

run 'setup' bash scripts/setup.sh test
for step in "${steps[@]}"; do
  "step_$step"
done
printf 'all of it in %d s on %d cores\n' "$SECONDS" "$jobs"
finish
