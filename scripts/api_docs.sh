#!/usr/bin/env bash
# Writes the API reference of include/strobe as HTML to build/api/html. Installs doxygen if missing.
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/api_docs.sh
#
# Fails on everything that Doxygen complains of (a type or function without a comment, a reference
# that leads nowhere), but for members of a type, which may speak for themselves, and for
# specialisations, for which the template speaks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'scripts/api_docs.sh: %s\n' "$*" >&2
  exit 1
}

if ! command -v doxygen >/dev/null; then
  command -v apt-get >/dev/null || fail "doxygen is missing; install it (no apt-get here)"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "doxygen is missing; as root: apt-get install doxygen"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends doxygen
fi

rm -rf build/api
mkdir -p build/api
doxygen docs/Doxyfile
member='.* of (struct|class) .*'
specialisation='[^ ]*< .* > \(variable\) of namespace [^ ]*'
fine="Member ($member|$specialisation) is not documented"
if grep -Ev "$fine" build/api/warnings.txt >&2; then
  fail "see above; all warnings are in build/api/warnings.txt"
fi
printf 'API reference: %s/build/api/html/index.html\n' "$PWD"
