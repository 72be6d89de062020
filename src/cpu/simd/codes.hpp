// Types of the codes of a quantised cache, as rows of them lie in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "strobe/tensor.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Two codes of 4 bits, the first in the low half.
struct Int4Pair {
  std::uint8_t bits;
};

/// Codes in one element of memory.
template <class Code>
inline constexpr int codes_in = 1;
template <>
inline constexpr int codes_in<Int4Pair> = 2;

}  // namespace strobe::cpu::STROBE_ISA
