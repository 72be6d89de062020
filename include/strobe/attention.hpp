// Exact attention: o = softmax(score(q kT)) v, without ever storing the score matrix.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "strobe/dropout.hpp"
#include "strobe/export.h"
#include "strobe/kv_cache.hpp"
#include "strobe/plan.hpp"
#include "strobe/problem.hpp"
#include "strobe/rotary.hpp"
#include "strobe/tensor.hpp"

namespace strobe {

/// What memory. Any strides, only dim must be contiguous; inputs may overlap each other, no
/// element of an output may be another's or an input's. An output given is an output wanted.
/// Packed sequences drop the batch axis: [total, heads, dim] with both cu_seqlens.
struct ForwardTensors {
  ConstTensorView q{};             ///< [batch, seqlen_q, num_heads, head_dim]
  ConstTensorView k{};             ///< [batch, seqlen_k, num_heads_kv, head_dim]
  ConstTensorView v{};             ///< [batch, seqlen_k, num_heads_kv, head_dim_v]
  TensorView o{};                  ///< [batch, seqlen_q, num_heads, head_dim_v], q's type or f32
  TensorView lse{};                ///< [batch, num_heads, seqlen_q]; packed [num_heads, total];
                                   ///< f32, or f64 for f64
  ConstTensorView cu_seqlens_q{};  ///< [batch + 1] i32: packed sequence b is rows [cu[b], cu[b+1])
  ConstTensorView cu_seqlens_k{};  ///< [batch + 1] i32
  ConstTensorView seqlens_q{};     ///< [batch] i32: shortens sequences, from the end
  ConstTensorView seqlens_k{};     ///< [batch] i32

  // Masks and scores that lie in memory. Rows and keys count from 0 in their own sequence, packed
  // or not; an axis of size 1 (or stride 0) is broadcast. All act together with Options.
  ConstTensorView key_begin{};  ///< i32 [batch or 1, num_heads or 1, seqlen_q]: first key seen
  ConstTensorView key_end{};    ///< i32, likewise: one past the last key seen
  ConstTensorView allowed{};    ///< bool [batch or 1, num_heads or 1, seqlen_q or 1, seqlen_k or 1]
  ConstTensorView blocks{};     ///< bool [batch or 1, num_heads or 1, ceil(seqlen_q / block_q),
                                ///< ceil(seqlen_k / block_k)]; sizes of a block: Mask
  ConstTensorView bias{};       ///< f32 or q's type, shaped as allowed; -inf masks
  ConstTensorView alibi_slopes{};   ///< [num_heads] or [batch, num_heads], f32; or f64 for f64
  ConstTensorView sink_logits{};    ///< [num_heads], likewise: one more score, without a value
  ConstTensorView dropout_state{};  ///< u64 [2]: seed and offset, read at run instead of Options'
};

/// What meaning.
struct Options {
  Mask mask{};
  Score score{};
  Dropout dropout{};
  Determinism determinism = Determinism::batch_invariant;
  std::int64_t max_seqlen_q = 0;  ///< packed sequences: the longest; 0: read from cu_seqlens
  std::int64_t max_seqlen_k = 0;
  Rotary rotary{};  ///< decode only
};

/// Computes o and, where given, lse = log(sum over the visible keys of exp(s)), natural logarithm,
/// the sink logit included, dropout not. A row that sees no key gets o = 0 and lse = -inf, or the
/// sink logit. Equal bits on every run and for any number of threads. Without Exec::parallel,
/// starts threads for the call when the work is worth it; without Exec::workspace, allocates one.
/// Throws Error; all checks come before the first write.
/// Source of the method: Dao et al., FlashAttention, 2022; Dao, FlashAttention-2, 2023.
STROBE_API void forward(const ForwardTensors& tensors, const Options& options = {},
                        const Exec& exec = {});

/// What memory decode works on. Sequence b has cache_seqlens[b] keys in the cache; with k and v it
/// gets seqlen_new more (of seqlens_new[b] where given), which are written behind them in this call
/// and seen by it; its length is then the sum of both. The caller advances cache_seqlens. Rotary
/// embedding turns q and the new k, each row at its own position.
struct DecodeTensors {
  ConstTensorView q{};          ///< [batch, seqlen_q, num_heads, head_dim]
  ConstTensorView k{};          ///< [batch, seqlen_new, num_heads_kv, head_dim]; not given: no new
                                ///< keys
  ConstTensorView v{};          ///< [batch, seqlen_new, num_heads_kv, head_dim_v]; with k
  TensorView o{};               ///< [batch, seqlen_q, num_heads, head_dim_v], q's type or f32
  TensorView lse{};             ///< [batch, num_heads, seqlen_q]; f32, or f64 for f64
  KvCache cache{};              ///< of q's type, or quantised
  ConstTensorView seqlens_q{};  ///< i32 [batch]: shortens the queries, from the end
  ConstTensorView seqlens_new{};  ///< i32 [batch]: shortens the new keys, from the end
  ConstTensorView rotary_cos{};   ///< [positions, rotary.dim / 2], f32 or q's type; both or neither
  ConstTensorView rotary_sin{};   ///< likewise

  // As in ForwardTensors; keys count from slot 0 of the sequence.
  ConstTensorView key_begin{};     ///< i32 [batch or 1, num_heads or 1, seqlen_q]
  ConstTensorView key_end{};       ///< i32, likewise
  ConstTensorView allowed{};       ///< bool [batch or 1, num_heads or 1, seqlen_q or 1, seqlen_k or
                                   ///< 1]; seqlen_k is at least the longest length
  ConstTensorView blocks{};        ///< bool, for blocks of pairs
  ConstTensorView bias{};          ///< f32 or q's type, shaped as allowed
  ConstTensorView alibi_slopes{};  ///< [num_heads] or [batch, num_heads]
  ConstTensorView sink_logits{};   ///< [num_heads]
};

/// Appends k and v to the cache where they are given, then attends: forward() over the cache, with
/// the same meaning and, for the same keys, the same bits, whatever the pages, the batch, the
/// splits or the number of threads. Made for few queries against many keys, right for any number.
/// Options::dropout, max_seqlen_q and max_seqlen_k stay at their defaults.
/// Throws Error; all checks, page table entries among them, come before the first write.
/// Source of the method: Dao et al., Flash-Decoding, 2023.
STROBE_API void decode(const DecodeTensors& tensors, const Options& options = {},
                       const Exec& exec = {});

}  // namespace strobe
