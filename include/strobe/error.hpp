// What a call throws when it cannot do what was asked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "strobe/export.h"

namespace strobe {

/// What kind of trouble it is.
enum class Code : std::int32_t {
  invalid_argument = 1,  ///< the caller's mistake: shapes, types, overlaps, lengths
  unsupported = 2,       ///< a right question that no kernel of this build or machine answers
  out_of_memory = 3,     ///< an allocation failed; the message says how much was asked for
  device = 4,            ///< the machine lacks what was asked for, or failed
};

/// The only exception of this library. what() says what is wrong with the numbers, what would be
/// accepted, and what to do. Every message is listed in docs/errors.md. (Where not even a message
/// finds memory, std::bad_alloc comes instead.)
/// Whenever a call throws, no output has been written.
class STROBE_API Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const noexcept { return code_; }

 private:
  Code code_;
};

}  // namespace strobe
