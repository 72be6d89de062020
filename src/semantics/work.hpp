// How much work a mask leaves: pairs of query and key, and floating-point operations.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

#include "strobe/mask.hpp"

namespace strobe {

/// Pairs (row, key) of one sequence and one head in which the row sees the key. Exact; beyond
/// int64 it stays at the largest int64. Takes time proportional to lengths.q.
constexpr std::int64_t visible_pairs(const Mask& mask, Lengths lengths) {
  std::int64_t pairs = 0;
  for (std::int64_t row = 0; row < lengths.q; ++row) {
    if (__builtin_add_overflow(pairs, mask.keys(row, lengths).count(), &pairs))
      return std::numeric_limits<std::int64_t>::max();
  }
  return pairs;
}

/// Operations of the two products, a multiplication and an addition each: 2 (head_dim + head_dim_v)
/// for every visible pair of every query head. Softmax is not counted, as is custom.
constexpr double forward_flops(double visible_pairs, std::int64_t head_dim,
                               std::int64_t head_dim_v) {
  return visible_pairs * 2.0 * (static_cast<double>(head_dim) + static_cast<double>(head_dim_v));
}

}  // namespace strobe
