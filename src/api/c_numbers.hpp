// Arrays of callers in C: pointers and counts become spans.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "api/c_structs.hpp"
#include "api/messages.hpp"

namespace strobe::api {

inline std::size_t read_count(std::int64_t count, const char* name, const char* where) {
  if (count < 0) {
    fail("c-count", where,
         {name, " is ", count, "; it counts what lies in memory, so give 0 or more"});
  }
  return static_cast<std::size_t>(count);
}

/// Where there are no numbers the pointer may be null. `of` says what there is a number for.
template <class Number>
std::span<Number> numbers(Number* first, std::size_t count, const char* name, const char* of,
                          const char* where) {
  if (count > 0) check_pointer(first, name, of, where);
  return {first, count};
}

}  // namespace strobe::api
