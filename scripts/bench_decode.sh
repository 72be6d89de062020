#!/usr/bin/env bash
# Measures decoding steps over caches of every kind, split and not, on two threads and on one, for
# the table and the picture of docs/performance.md.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_decode.sh      takes minutes and 16 GiB; leave the machine alone meanwhile
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=out/bench_decode
# shellcheck source=scripts/measure.sh
source scripts/measure.sh

long=()
for type in "" " bf16" " f16"; do
  long+=("h32/8 q1 k65536 d128$type" "h32 q1 k65536 d128$type" "h32/4 q1 k65536 d128$type"
         "h8/1 q1 k131072 d128$type")
done
total=()
for heads in h16/2 h64/8; do
  for cut in "b256 k512" "b64 k2048" "b16 k8192" "b4 k32768" "b1 k131072"; do
    read -r batch keys <<<"$cut"
    total+=("$batch $heads q1 $keys d128 bf16")
  done
done
short=()
for batch in 1 4 16 64 256; do
  for keys in 512 1024 2048; do short+=("b$batch h16/2 q1 k$keys d128 bf16"); done
done
measure two --suite decode --threads 2
measure one "${long[@]}" --op decode --threads 1
measure short "${short[@]}" --op decode --threads 2
measure unsplit "${long[@]}" "${total[@]}" --op decode --splits 1 --threads 2

python3 scripts/bench_decode.py "$out"
