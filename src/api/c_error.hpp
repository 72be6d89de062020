// Where exceptions end: the C interface's last error of each thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "strobe/strobe.h"

namespace strobe::api {

/// Room for a message on every thread, ended by a zero. Longer ones lose their middle: the id
/// stays.
inline constexpr std::size_t kLastErrorBytes = 1024;

/// Keeps a failure for strobe_last_error; allocates nothing.
void keep_error(strobe_code code, std::string_view text) noexcept;

/// Keeps the exception that is being handled, and returns its code. `where` is the function of the
/// C interface that it shall not leave. Allocates nothing: the exception may be about memory.
strobe_code keep_exception(const char* where) noexcept;

/// Runs body(), and turns whatever it throws into a code.
template <class Body>
strobe_code guarded(const char* where, const Body& body) noexcept {
  try {
    body();
  } catch (...) {
    return keep_exception(where);
  }
  return STROBE_OK;
}

}  // namespace strobe::api
