// Floating-point numbers of 8 bits, for what is kept rather than computed in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

namespace strobe {

/// A sign, 7 - kFraction bits of exponent, kFraction of fraction. Sizes above kLargest are NaN, but
/// for an infinity where the fraction is 0, as IEEE 754 has it.
template <int kFraction, int kBias, std::uint8_t kLargest>
struct Float8 {
  std::uint8_t bits = 0;

  constexpr Float8() = default;
  /// Rounds to nearest, ties to even; what is too large, infinity too, becomes the largest number;
  /// a NaN stays a NaN.
  explicit constexpr Float8(float value) : bits(rounded(std::bit_cast<std::uint32_t>(value))) {}
  constexpr operator float() const {
    const std::uint32_t size = bits & 0x7fu, fraction = size & ((1u << kFraction) - 1u);
    const float sign = (bits & 0x80u) != 0 ? -1.0f : 1.0f;
    if (size > kLargest)
      return sign * (fraction == 0 ? std::numeric_limits<float>::infinity()
                                   : std::numeric_limits<float>::quiet_NaN());
    if (size == fraction) return sign * (static_cast<float>(fraction) * kLeast);
    return sign * std::bit_cast<float>((size << (23 - kFraction)) + kRebias);
  }

 private:
  static constexpr std::uint32_t kRebias = std::uint32_t{127 - kBias} << 23;
  /// The smallest number above 0.
  static constexpr float kLeast =
      std::bit_cast<float>(std::uint32_t{127 + 1 - kBias - kFraction} << 23);

  static constexpr std::uint8_t rounded(std::uint32_t word) {
    const std::uint32_t sign = (word >> 24) & 0x80u, size = word & 0x7fffffffu;
    if (size > 0x7f800000u) return static_cast<std::uint8_t>(sign | 0x7fu);
    const std::uint32_t code = size >= kRebias + (1u << 23)
                                   ? nearest(size - kRebias, 23 - kFraction)
                                   : multiple_of_least(size);
    return static_cast<std::uint8_t>(sign | std::min<std::uint32_t>(code, kLargest));
  }
  /// Below the smallest normal number: whole multiples of kLeast, and nothing below half of one.
  static constexpr std::uint32_t multiple_of_least(std::uint32_t size) {
    const int shift = 151 - kBias - kFraction - static_cast<int>(size >> 23);
    return shift > 24 ? 0u : nearest((size & 0x7fffffu) | 0x800000u, shift);
  }
  /// x / 2^shift to the nearest whole number, ties to even.
  static constexpr std::uint32_t nearest(std::uint32_t x, int shift) {
    return (x + (1u << (shift - 1)) - 1u + ((x >> shift) & 1u)) >> shift;
  }
};

/// 4 bits of exponent, 3 of fraction (OCP E4M3, "fn"): largest 448, no infinity, NaN 0x7f and 0xff.
using float8_e4m3 = Float8<3, 7, 0x7e>;
/// 5 bits of exponent, 2 of fraction (OCP E5M2, IEEE-like): largest 57344; the upper half of f16.
using float8_e5m2 = Float8<2, 15, 0x7b>;

}  // namespace strobe
