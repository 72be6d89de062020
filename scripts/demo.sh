#!/usr/bin/env bash
# Installs, builds, and shows the main job: attention of a real transformer layer, exact and fast.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/demo.sh      results go to out/; a few minutes on two cores, most of it building
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

headline() { printf '\n== %s\n\n' "$*"; }

# The command as one could type it, then its output.
show() {
  local word line='$'
  for word in "$@"; do
    case $word in
      *' '*) line+=" \"$word\"" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '%s\n' "$line"
  "$@"
  printf '\n'
}

headline "1 of 4: what building needs"
bash scripts/setup.sh build
printf 'all there after %s s\n' "$SECONDS"

headline "2 of 4: the library and the tool, optimised"
start=$SECONDS
mkdir -p out
cmake --preset release >out/configure.log || {
  cat out/configure.log
  exit 1
}
cmake --build --preset release --target strobe_tool
printf 'built in %s s\n' "$((SECONDS - start))"
strobe=build/release/bin/strobe

headline "3 of 4: a transformer layer reads the opening of Pride and Prejudice"
cat <<'END'
q, k, v of the third layer of all-MiniLM-L6-v2 over 512 tokens, 12 heads, and the output that the
model computed itself (data/minilm/README). Shown: our error against float64 beside that of the
model's own output, and what head 8 attends to from "want" in "must be in want of a wife".

END
show "$strobe" run --in data/minilm/layer3.safetensors --out out/layer3.safetensors --report \
  --show-row head=8,row=22 --tokens data/minilm/tokens.txt --svg out/attention.svg

headline "4 of 4: how fast, how small"
cat <<'END'
8 heads of 64, causal, f32: time, share of the peak that this machine's multiply-add units reach in
the same run, our workspace, the score matrix that is never made, and standard attention, which
makes it (one head at a time for each thread).

END
show "$strobe" bench "h8 q1024 d64 causal" "h8 q4096 d64 causal" --compare standard \
  --json out/bench.json
printf 'At 16k, where standard attention would store 8 GiB of scores:\n\n'
show "$strobe" bench "h8 q16384 d64 causal" --json out/bench_16k.json
python3 scripts/plot_scaling.py out/bench.json out/bench_16k.json out/scaling.svg

cat <<'END'
Two pictures to open in a browser:
  out/attention.svg   the words, shaded by how much each head attends to them
  out/scaling.svg     time and memory against length, ours and standard attention's
The results o and lse are in out/layer3.safetensors.

Next, try:
  build/release/bin/strobe check "b2 h8/2 q333 k1024 d128 bf16 causal window=128,0"
  build/release/bin/strobe explain "h32/8 q65536 d128 bf16 causal" --memory 16GiB
  build/release/bin/strobe doctor
END
printf '\nThe demo took %s s.\n' "$SECONDS"
