#!/usr/bin/env bash
# Installs what building (or testing) Strobe needs and is not there yet, on Debian or Ubuntu.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/setup.sh [build|test]      build (default): library, tool, demo; test: everything
set -euo pipefail

build_packages=(g++ cmake ninja-build python3 libcli11-dev libfmt-dev nlohmann-json3-dev
  libopenblas0-pthread)
test_packages=(git ccache libgtest-dev libbenchmark-dev clang libclang-rt-dev clang-format
  clang-tidy doxygen shellcheck binutils qemu-user-static pkg-config rustc)
# A compiler for 64-bit Arm is needed where the machine is of another kind.
[ "$(uname -m)" != x86_64 ] || test_packages+=(g++-aarch64-linux-gnu)

fail() {
  printf 'scripts/setup.sh: %s\n' "$*" >&2
  exit 1
}

case "${1:-build}" in
  build) wanted=("${build_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  *) fail "unknown argument '$1'; accepted: build, test" ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  for tool in c++ cmake ninja python3; do
    command -v "$tool" >/dev/null ||
      fail "this system has no apt-get and no '$tool'. Install the equivalents of: ${wanted[*]}"
  done
  printf 'setup: no apt-get here; going on with the compiler and CMake that are installed\n'
  exit 0
fi

installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}
missing=()
for package in "${wanted[@]}"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    fail "these packages are missing and installing them takes root or sudo: ${missing[*]}
  as root:  apt-get update && apt-get install -y ${missing[*]}"
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" \
    >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "'apt-get $*' failed; is there a network, and does /etc/apt name a package archive?"
  }
}
printf 'setup: installing %s\n' "${missing[*]}"
apt update
apt install --yes --no-install-recommends "${missing[@]}"
printf 'setup: installed in %s s\n' "$SECONDS"
