#!/usr/bin/env bash
# Times decoding steps beside PyTorch's and writes docs/performance.md.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_decode_peers.sh [ARGUMENT...]      arguments of scripts/peers/decode.py
#
# Takes ten minutes and 16 GiB; leave the machine alone meanwhile. PyTorch comes with
# scripts/bench_peers.sh's virtual environment, which is made where it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh build
cmake --preset release >/dev/null
cmake --build --preset release --target strobe_tool

python=build/peers/venv/bin/python
if ! "$python" -c 'import torch' 2>/dev/null; then
  python3 -m venv build/peers/venv || {
    echo "scripts/bench_decode_peers.sh: python3 has no venv; install the package python3-venv" >&2
    exit 1
  }
  "$python" -m pip install --quiet torch numpy
fi
"$python" scripts/peers/decode.py "$@"
python3 scripts/peers/decode_report.py
