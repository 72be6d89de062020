// The mask of docs/semantics.md said a second time: one rule after the other, for one row and one
// key, in integers too wide to overflow. Shares nothing with Mask::keys but the fields' names.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "strobe/mask.hpp"

namespace strobe::testing {

__extension__ typedef __int128 Wide;

/// Quotient rounded towards minus infinity.
constexpr Wide floor_quotient(Wide value, Wide by) {
  const Wide quotient = value / by;
  return value % by < 0 ? quotient - 1 : quotient;
}

constexpr bool sees_by_rules(const Mask& mask, Lengths lengths, std::int64_t row,
                             std::int64_t key) {
  const Wide j = key;
  Wide pos = row;
  if (mask.align == Align::bottom_right) pos += Wide{lengths.k} - lengths.q;

  const bool in_sequence = j >= 0 && j < lengths.k;

  const bool in_chunk =
      mask.chunk == 0 || floor_quotient(pos, mask.chunk) == floor_quotient(j, mask.chunk);

  const bool not_in_future = !mask.causal || j <= pos;
  const bool within_right = mask.right == -1 || j <= pos + mask.right;
  const bool in_prefix = j < mask.prefix;
  const bool not_after = (not_in_future && within_right) || in_prefix;

  Wide first = 0;  // of the sequence, or of the row's chunk where that begins later
  if (mask.chunk > 0 && floor_quotient(pos, mask.chunk) > 0)
    first = floor_quotient(pos, mask.chunk) * mask.chunk;
  const bool within_left = mask.left == -1 || j >= pos - mask.left;
  const bool is_sink = j >= first && j < first + mask.sink_tokens;
  const bool not_before = within_left || is_sink;

  return in_sequence && in_chunk && not_after && not_before;
}

}  // namespace strobe::testing
