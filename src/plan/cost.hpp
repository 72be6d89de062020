// What a call costs on paper: pairs, FLOPs, bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "semantics/forward_params.hpp"
#include "strobe/problem.hpp"

namespace strobe::plan {

struct Cost {
  std::int64_t visible_pairs = 0;  ///< pairs of query and key that the mask leaves, all heads
  double flops = 0;                ///< 2 (head_dim + head_dim_v) a visible pair
  double bytes = 0;                ///< q, k, v, o and lse once
};

/// Sequences of up to this many queries are counted to the pair, longer ones from a sample of rows
/// (to about a millionth): a count must not take longer than the work itself.
inline constexpr std::int64_t kCountedRows = std::int64_t{1} << 20;

/// Of the problem's longest lengths, or, with `params`, of the lengths that these hold.
Cost forward_cost(const Problem& problem, const ForwardParams* params = nullptr);

}  // namespace strobe::plan
