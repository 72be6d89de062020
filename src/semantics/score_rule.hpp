// What happens to a score before the softmax, and which single pairs are masked: for one pair.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "semantics/forward_params.hpp"
#include "semantics/number_formats.hpp"
#include "semantics/philox.hpp"

namespace strobe {

/// One pair of a query row and a key of one sequence, for one query head.
struct Pair {
  const Sequence& sequence;
  std::int64_t head = 0;
  std::int64_t row = 0;
  std::int64_t key = 0;
};

inline bool truth(const PairTensor& tensor, std::int64_t offset) {
  return static_cast<const std::uint8_t*>(tensor.data)[offset] != 0;
}

/// The bias of a pair; 0 where there is none.
inline double bias_of(const ForwardParams& p, const Pair& pair) {
  if (!p.bias.given()) return 0.0;
  return load_element(p.bias.data, p.bias.dtype,
                      p.bias.offset(pair.sequence.index, pair.head, pair.row, pair.key));
}

/// May the row see this key of its interval? Not where `allowed` or its block is false, nor where
/// the bias is -inf.
inline bool pair_visible(const ForwardParams& p, const Pair& pair) {
  const std::int64_t b = pair.sequence.index;
  if (p.allowed.given() && !truth(p.allowed, p.allowed.offset(b, pair.head, pair.row, pair.key)))
    return false;
  if (p.blocks.given() && !truth(p.blocks, p.blocks.offset(b, pair.head, pair.row / p.mask.block_q,
                                                           pair.key / p.mask.block_k)))
    return false;
  return bias_of(p, pair) != -std::numeric_limits<double>::infinity();
}

/// The slope of a head; 0 where there is none.
inline double alibi_slope(const ForwardParams& p, const Sequence& s, std::int64_t head) {
  if (!p.alibi_slopes.given()) return 0.0;
  return load_element(p.alibi_slopes.data, p.alibi_slopes.dtype,
                      p.alibi_slopes.offset(s.index, head, 0, 0));
}

/// The sink logit of a head: unscaled, uncapped. -inf where there is none.
inline double sink_logit(const ForwardParams& p, std::int64_t head) {
  if (!p.sink_logits.given()) return -std::numeric_limits<double>::infinity();
  return load_element(p.sink_logits.data, p.sink_logits.dtype, p.sink_logits.offset(0, head, 0, 0));
}

/// From s = scale * (q . k) to the score that enters the softmax: softcap, bias, ALiBi. Real is the
/// type that the arithmetic is done in.
template <class Real>
Real score_rule(const ForwardParams& p, const Pair& pair, Real s) {
  if (p.softcap > 0) {
    const Real cap = static_cast<Real>(p.softcap);
    s = cap * std::tanh(s / cap);
  }
  if (p.bias.given()) s += static_cast<Real>(bias_of(p, pair));
  if (p.alibi_slopes.given()) {
    const std::int64_t distance = p.mask.position(pair.row, pair.sequence.lengths) - pair.key;
    s -= static_cast<Real>(alibi_slope(p, pair.sequence, pair.head)) *
         static_cast<Real>(distance < 0 ? -distance : distance);
  }
  return s;
}

/// What dropout multiplies a normalised probability by: 0, or 1 over the share that is kept.
inline double dropout_factor(const ForwardParams& p, const Pair& pair) {
  const std::uint32_t threshold = p.dropout.threshold();
  if (threshold == 0) return 1.0;
  const std::int64_t head = pair.sequence.index * p.num_heads + pair.head;
  const bool keep =
      dropout_draw(p.dropout_seed(), p.dropout_offset(), head, pair.row, pair.key) >= threshold;
  return keep ? p.dropout.keep_scale() : 0.0;
}

}  // namespace strobe
