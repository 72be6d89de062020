# Sourced, from the root: $python of a virtual environment with the newest peers, which is made
# where it is missing. Some gigabytes, since PyTorch's package brings what GPUs need; remove
# build/peers to have newer ones.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

python=build/peers/venv/bin/python
if ! "$python" -c 'import torch, onnxruntime, onnx, numpy' 2>/dev/null; then
  python3 -m venv build/peers/venv || {
    echo "$0: python3 has no venv; install the package python3-venv" >&2
    exit 1
  }
  "$python" -m pip install --quiet torch onnxruntime onnx numpy
fi
