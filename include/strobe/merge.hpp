// Attention over parts of the keys, made into attention over all of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "strobe/export.h"
#include "strobe/plan.hpp"
#include "strobe/tensor.hpp"

namespace strobe {

/// What forward or decode gave for some of the keys of every row, computed without sink logits.
struct Partial {
  ConstTensorView o{};    ///< [batch, seqlen_q, num_heads, head_dim_v], f32; or f64 with f64
  ConstTensorView lse{};  ///< [batch, num_heads, seqlen_q], of o's type
};

/// What merge reads and writes.
struct MergeTensors {
  std::span<const Partial> parts{};  ///< at least one
  TensorView o{};                    ///< as a part's o; f32, f16 or bf16; f64 for f64 parts
  TensorView lse{};                  ///< as a part's lse; not given: not wanted
  ConstTensorView sink_logits{};     ///< [num_heads], of the parts' type: added once
};

/// o and lse over the keys of all parts, which see no key twice: with m the greatest lse and
/// w_i = exp(lse_i - m), o = sum w_i o_i / sum w_i and lse = m + log(sum w_i). A part whose lse is
/// -inf has seen nothing, and its o is not read. Parts are folded in the order given; another order
/// or grouping changes rounding alone. Outputs may not overlap parts.
/// Throws Error; all checks come before the first write.
/// Source: Dao et al., Flash-Decoding, 2023.
STROBE_API void merge(const MergeTensors& tensors, const Exec& exec = {});

}  // namespace strobe
