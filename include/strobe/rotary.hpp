// Rotary position embedding: what turns a pair of dimensions by an angle that grows with position.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "strobe/export.h"

namespace strobe {

/// The first `dim` dimensions of every head of q and of new keys are turned, in pairs (a, b), by an
/// angle t: a becomes a cos t - b sin t, b becomes b cos t + a sin t, computed in f64 and rounded
/// once. Pair i of a row at position p turns by t = p * base^(-2 i / dim), or by what rotary_cos
/// and rotary_sin hold in row p. Source: Su et al., RoFormer, 2021.
struct Rotary {
  std::int64_t dim = 0;      ///< even, at most head_dim; the dimensions after it stay; 0: off
  bool interleaved = false;  ///< pairs are (2 i, 2 i + 1); else (i, i + dim / 2)
  double base = 10000.0;     ///< above 0; not read where tables are given

  constexpr bool operator==(const Rotary&) const = default;
};

/// How a model stretches positions beyond those it was trained on.
enum class RotaryScaling : std::int32_t {
  none,
  linear,  ///< positions are divided by `factor` (Chen et al., Position Interpolation, 2023)
  ntk,     ///< base grows by factor^(dim / (dim - 2)), so that the slowest pair is stretched by
           ///< `factor` and the fastest hardly (bloc97, NTK-aware scaling, 2023)
  llama3,  ///< slow pairs are divided by `factor`, fast ones not, between them a blend by
           ///< wavelength (Llama 3.1, 2024)
};

/// What the tables of fill_rotary_tables are made for.
struct RotaryTableOptions {
  Rotary rotary{};
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1.0;            ///< at least 1
  double low_freq_factor = 1.0;   ///< llama3: wavelengths above original / low are stretched
  double high_freq_factor = 4.0;  ///< llama3: wavelengths below original / high are not
  std::int64_t original_positions = 8192;  ///< llama3: positions that the model was trained on
};

/// Writes cos and sin of the angles of positions [0, positions), each [positions, dim / 2],
/// row-major: what rotary_cos and rotary_sin take. Throws Error(invalid_argument) for an odd dim, a
/// factor below 1, spans of another size.
STROBE_API void fill_rotary_tables(const RotaryTableOptions& options, std::int64_t positions,
                                   std::span<float> cos, std::span<float> sin);

}  // namespace strobe
