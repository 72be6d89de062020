// Parts of the caller's workspace, one after the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace strobe::cpu {

inline constexpr std::size_t kAlignment = 64;

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// The first multiple of kAlignment at or after `p`; at most kAlignment - 1 bytes on.
inline std::byte* align(std::byte* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  return p + ((kAlignment - address % kAlignment) % kAlignment);
}

}  // namespace strobe::cpu
