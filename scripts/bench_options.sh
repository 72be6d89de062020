#!/usr/bin/env bash
# Measures what each option costs, and f16, f64 and AVX2 against their peaks, for the tables of
# docs/performance.md.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_options.sh      takes a quarter of an hour; leave the machine alone meanwhile
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=out/bench_options
# shellcheck source=scripts/measure.sh
source scripts/measure.sh

full=("h8 q4096 d64" "h8 q4096 d128")
measure f16 "${full[@]/%/ f16}" --threads 2
measure f64 "${full[@]/%/ f64}" --threads 2
measure avx2_f32 "${full[@]}" --threads 2 --backend cpu:avx2
measure avx2_bf16 "${full[@]/%/ bf16}" --threads 2 --backend cpu:avx2
measure avx2_f16 "${full[@]/%/ f16}" --threads 2 --backend cpu:avx2
measure options --suite options --threads 2

python3 scripts/bench_options.py "$out"
