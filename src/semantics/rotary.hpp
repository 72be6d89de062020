// The turn of one pair of dimensions, and the angle it has at a position.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "semantics/decode_params.hpp"
#include "semantics/number_formats.hpp"

namespace strobe {

/// cos and sin of one pair's angle.
struct Turn {
  double cos = 1.0;
  double sin = 0.0;
};

/// Radians from one position to the next, for pair `pair` of rotary.dim / 2.
inline double rotary_step(const Rotary& rotary, std::int64_t pair) {
  return std::pow(rotary.base, -2.0 * static_cast<double>(pair) / static_cast<double>(rotary.dim));
}

/// The turn of `pair` at `position`, from the call's tables or its base.
inline Turn rotary_turn(const DecodeParams& p, std::int64_t position, std::int64_t pair) {
  if (p.rotary_cos != nullptr)
    return {load_element(p.rotary_cos, p.rotary_dtype, position * p.rotary_cos_stride + pair),
            load_element(p.rotary_sin, p.rotary_dtype, position * p.rotary_sin_stride + pair)};
  const double angle = static_cast<double>(position) * rotary_step(p.rotary, pair);
  return {std::cos(angle), std::sin(angle)};
}

/// Which dimensions a pair has.
struct RotaryPair {
  std::int64_t a = 0;
  std::int64_t b = 0;
};
constexpr RotaryPair rotary_pair(const Rotary& rotary, std::int64_t pair) {
  if (rotary.interleaved) return {2 * pair, 2 * pair + 1};
  return {pair, pair + rotary.dim / 2};
}

}  // namespace strobe
