// The two steps of a decode call before attention: append new keys and values, turn the queries.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "semantics/decode_params.hpp"
#include "strobe/plan.hpp"

namespace strobe::cpu {

/// Doubles that append() and turn_queries() need as scratch: the step of each pair, and for each
/// thread cos and sin of each pair at one position. 0 where nothing turns.
std::size_t rotary_scratch(const Rotary& rotary, int threads);

/// Writes the new keys, turned, and values into the cache; the bits are the reference's.
void append(const DecodeParams& p, const Parallel& parallel, int threads,
            std::span<double> scratch);

/// Writes q turned to `q`, in q's type, [batch, seqlen_q, num_heads, head_dim] row-major. Rows past
/// a sequence's length, which nobody reads, stay as they are. rotary.dim is above 0.
void turn_queries(const DecodeParams& p, void* q, const Parallel& parallel, int threads,
                  std::span<double> scratch);

}  // namespace strobe::cpu
