// The turn of one pair of dimensions, and the angle it has at a position.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "semantics/decode_params.hpp"
#include "semantics/number_formats.hpp"

namespace strobe {

/// cos and sin of one pair's angle.
struct Turn {
  double cos = 1.0;
  double sin = 0.0;
};

/// The two dimensions of a pair: their places in the row, or what they hold.
template <class T>
struct RotaryPair {
  T a{};
  T b{};
};

constexpr RotaryPair<std::int64_t> rotary_pair(const Rotary& rotary, std::int64_t pair) {
  if (rotary.interleaved) return {2 * pair, 2 * pair + 1};
  return {pair, pair + rotary.dim / 2};
}

constexpr RotaryPair<double> turned(const Turn& turn, RotaryPair<double> x) {
  return {x.a * turn.cos - x.b * turn.sin, x.b * turn.cos + x.a * turn.sin};
}

/// Radians from one position to the next, for pair `pair` of rotary.dim / 2: base^(-2 pair / dim).
/// Source: Su et al., RoFormer, 2021.
inline double rotary_step(const Rotary& rotary, std::int64_t pair) {
  return std::pow(rotary.base, -2.0 * static_cast<double>(pair) / static_cast<double>(rotary.dim));
}

inline Turn turn_by(double angle) { return {std::cos(angle), std::sin(angle)}; }

/// What the call's tables hold for `position`. They begin at position 0; a row before it, which
/// sees no key, is not turned.
inline Turn table_turn(const DecodeParams& p, std::int64_t position, std::int64_t pair) {
  if (position < 0) return {};
  return {load_element(p.rotary_cos, p.rotary_dtype, position * p.rotary_cos_stride + pair),
          load_element(p.rotary_sin, p.rotary_dtype, position * p.rotary_sin_stride + pair)};
}

/// The turn of `pair` at `position`, from the call's tables or its base.
inline Turn rotary_turn(const DecodeParams& p, std::int64_t position, std::int64_t pair) {
  if (p.rotary_cos != nullptr) return table_turn(p, position, pair);
  return turn_by(static_cast<double>(position) * rotary_step(p.rotary, pair));
}

// --- positions beyond those that a model was trained on: each a step in place of rotary_step's ---

/// base' = base factor^(dim / (dim - 2)), so base'^(-2 pair / dim) has this factor beside the
/// plain step: 1 for the fastest pair, 1 / factor for the slowest, pair dim / 2 - 1.
/// Source: bloc97, NTK-aware scaled RoPE, 2023.
inline double ntk_stretch(const RotaryTableOptions& options, std::int64_t pair) {
  if (pair == 0) return 1.0;  // also of dim 2, which has no slower pair
  return std::pow(options.factor,
                  -2.0 * static_cast<double>(pair) / static_cast<double>(options.rotary.dim - 2));
}

/// With wavelength 2 pi / step, in positions, and turns = original_positions / wavelength:
/// s = (turns - low) / (high - low), within 0 and 1, is the share of the plain step; the rest is
/// divided by factor. Source: Llama 3.1, 2024, `apply_scaling` of its reference code.
inline double llama3_step(const RotaryTableOptions& options, double step) {
  const double wavelength = 2 * std::numbers::pi / step;
  const double turns = static_cast<double>(options.original_positions) / wavelength;
  const double share = std::clamp(
      (turns - options.low_freq_factor) / (options.high_freq_factor - options.low_freq_factor), 0.0,
      1.0);
  return (1 - share) * step / options.factor + share * step;
}

/// Radians from one position to the next as `options.scaling` has it. linear: positions are divided
/// by factor. Source: Chen et al., Extending Context Window by Positional Interpolation, 2023.
inline double scaled_rotary_step(const RotaryTableOptions& options, std::int64_t pair) {
  const double step = rotary_step(options.rotary, pair);
  switch (options.scaling) {
    case RotaryScaling::linear: return step / options.factor;
    case RotaryScaling::ntk: return step * ntk_stretch(options, pair);
    case RotaryScaling::llama3: return llama3_step(options, step);
    case RotaryScaling::none: break;
  }
  return step;
}

}  // namespace strobe
