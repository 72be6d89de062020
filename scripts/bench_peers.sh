#!/usr/bin/env bash
# Times Strobe beside PyTorch and ONNX Runtime on this machine and writes docs/performance.md.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/bench_peers.sh [ARGUMENT...]      arguments of scripts/peers/measure.py: --help
#
# Takes half an hour; leave the machine alone meanwhile. The newest of both libraries go to a
# virtual environment under build/ the first time: some gigabytes, since PyTorch's package brings
# what GPUs need. Remove build/peers to have newer ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh build
cmake --preset release >/dev/null
cmake --build --preset release --target strobe_tool

# shellcheck source=scripts/peers_venv.sh
source scripts/peers_venv.sh

status=0
"$python" scripts/peers/measure.py "$@" || status=$?
case " $* " in
  *' --results '*) ;; # a trial: its figures stay where they were asked for
  *) [ "$status" -gt 1 ] || python3 scripts/peers/report.py ;;
esac
exit "$status"
