// What the programs here share: a table is printed, or the error that kept it from being.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/core.h>

#include "strobe/error.hpp"

namespace strobe::bench {

inline int print(void (*table)()) {
  try {
    table();
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

}  // namespace strobe::bench
