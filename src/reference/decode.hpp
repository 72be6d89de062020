// Attention over a KV cache in float64: append, rotary embedding, then forward.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "semantics/decode_params.hpp"

namespace strobe::reference {

/// Writes the new keys, turned, and values into the cache.
void append(const DecodeParams& p);

/// q turned, in q's type, [batch, seqlen_q, num_heads, head_dim] row-major; what `turned` of
/// turned_params() points to. Empty where nothing turns.
std::vector<std::byte> turn_queries(const DecodeParams& p);

/// What is left to do after append() and turn_queries(): p.attention with q replaced.
ForwardParams turned_params(const DecodeParams& p, const std::vector<std::byte>& turned);

/// All of it; o and lse are written by forward().
void decode(const DecodeParams& p);

}  // namespace strobe::reference
