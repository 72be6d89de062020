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

# shellcheck source=scripts/peers_venv.sh
source scripts/peers_venv.sh
"$python" scripts/peers/decode.py "$@"
python3 scripts/peers/decode_report.py
