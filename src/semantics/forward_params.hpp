// What a forward kernel gets: strided pointers, sizes, meaning. Checked before it is made.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "strobe/dropout.hpp"
#include "strobe/kv_scales.hpp"
#include "strobe/mask.hpp"
#include "strobe/tensor.hpp"

namespace strobe {

/// The largest head_dim and head_dim_v that there are.
inline constexpr std::int64_t kMostHeadDim = 1024;

/// Elements from one batch entry, row or head to the next; dim is contiguous.
struct Strides {
  std::int64_t batch = 0;
  std::int64_t row = 0;
  std::int64_t head = 0;

  constexpr std::int64_t offset(std::int64_t b, std::int64_t r, std::int64_t h) const {
    return b * batch + r * row + h * head;
  }
};

/// A tensor [batch, heads, queries, keys]: strides in elements, 0 along an axis that is broadcast.
struct PairTensor {
  const void* data = nullptr;  ///< null: not given
  DType dtype = DType::none;
  std::int64_t batch = 0, head = 0, row = 0, key = 0;

  constexpr bool given() const { return data != nullptr; }
  constexpr std::int64_t offset(std::int64_t b, std::int64_t h, std::int64_t r,
                                std::int64_t k) const {
    return b * batch + h * head + r * row + k * key;
  }
};

/// Scales of the keys or values of a quantised cache. Strides are those of the cache's entries or
/// pages, slots and heads, 0 along an axis that shares one.
struct Scales {
  const float* data = nullptr;  ///< null: not quantised
  Strides strides{};
  std::int64_t group = 0;  ///< from one group of kScaleGroup dims to the next
};

struct ForwardParams {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* o = nullptr;
  void* lse = nullptr;  ///< null: not wanted
  Strides q_strides{}, k_strides{}, v_strides{}, o_strides{}, lse_strides{};
  DType dtype = DType::f32;      ///< of q, k, v
  DType o_dtype = DType::f32;    ///< dtype or f32; the reference also writes f64
  DType lse_dtype = DType::f32;  ///< f32, for f64 f64; the reference always writes either

  std::int64_t batch = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_heads_kv = 0;
  std::int64_t seqlen_q = 0;  ///< of the padded tensors; packed: unused
  std::int64_t seqlen_k = 0;
  std::int64_t head_dim = 0;
  std::int64_t head_dim_v = 0;

  const std::int32_t* cu_seqlens_q = nullptr;  ///< packed: [batch + 1]; both or neither
  const std::int32_t* cu_seqlens_k = nullptr;
  const std::int32_t* seqlens_q = nullptr;  ///< [batch], or null
  const std::int32_t* seqlens_k = nullptr;

  // Keys in a cache, as decode reads them: strides of k and v go over its entries or pages.
  const std::int32_t* cache_seqlens = nullptr;    ///< [batch]: not null: k and v are a cache's
  const std::int32_t* seqlens_new = nullptr;      ///< [batch], or null
  const std::int32_t* cache_batch_idx = nullptr;  ///< [batch], or null
  const std::int32_t* leftpad_k = nullptr;        ///< [batch], or null
  const std::int32_t* page_table = nullptr;       ///< null: contiguous
  std::int64_t page_table_stride = 0;             ///< entries from sequence to sequence
  std::int64_t page_size = 0;
  std::int64_t seqlen_new = 0;   ///< keys that the call has appended, seqlens_new aside
  DType kv_dtype = DType::none;  ///< of k and v where they are codes; else none, and `dtype` holds
  KvScales kv_scales = KvScales::none;
  Scales k_scales{}, v_scales{};

  Mask mask{};
  PairTensor key_begin{}, key_end{};  ///< i32, one value a row
  PairTensor allowed{};               ///< bool
  PairTensor blocks{};                ///< bool, one value for mask.block_q x mask.block_k pairs
  PairTensor bias{};                  ///< f32 or dtype
  PairTensor alibi_slopes{};          ///< f32, or f64 for f64; one value a head
  PairTensor sink_logits{};           ///< f32, or f64 for f64; one value a head
  double softmax_scale = 1.0;
  double softcap = 0.0;
  Dropout dropout{};                             ///< unless dropout_state is given
  const std::uint64_t* dropout_state = nullptr;  ///< seed and offset

  constexpr std::uint64_t dropout_seed() const {
    return dropout_state != nullptr ? dropout_state[0] : dropout.seed;
  }
  constexpr std::uint64_t dropout_offset() const {
    return dropout_state != nullptr ? dropout_state[1] : dropout.offset;
  }

  /// Is a pair's visibility more than its row's interval?
  constexpr bool masks_pairs() const { return allowed.given() || blocks.given() || bias.given(); }

  constexpr std::int64_t kv_head(std::int64_t head) const {
    return head / (num_heads / num_heads_kv);
  }
};

/// Where one sequence of the batch lies.
struct Sequence {
  std::int64_t batch = 0;    ///< index into the padded tensors; packed: 0
  std::int64_t index = 0;    ///< which sequence it is, packed or not
  std::int64_t first_q = 0;  ///< its first row in q, o, lse
  std::int64_t first_k = 0;
  std::int64_t k_batch = 0;             ///< index into padded keys, or into the cache
  const std::int32_t* pages = nullptr;  ///< its row of the page table; null: contiguous
  std::int64_t leftpad = 0;             ///< slots before its first key
  std::int64_t rows = 0;                ///< rows of o to write: those past lengths.q get 0 and -inf
  Lengths lengths{};
};

constexpr Sequence sequence(const ForwardParams& p, std::int64_t b) {
  Sequence s;
  s.index = b;
  if (p.cu_seqlens_q != nullptr) {
    s.first_q = p.cu_seqlens_q[b];
    s.first_k = p.cu_seqlens_k[b];
    s.lengths = {p.cu_seqlens_q[b + 1] - s.first_q, p.cu_seqlens_k[b + 1] - s.first_k};
  } else {
    s.batch = s.k_batch = b;
    s.lengths = {p.seqlen_q, p.seqlen_k};
    s.rows = p.seqlen_q;
  }
  if (p.cache_seqlens != nullptr) {
    s.lengths.k = p.cache_seqlens[b] + (p.seqlens_new != nullptr ? p.seqlens_new[b] : p.seqlen_new);
    if (p.cache_batch_idx != nullptr) s.k_batch = p.cache_batch_idx[b];
    if (p.page_table != nullptr) s.pages = p.page_table + b * p.page_table_stride;
    if (p.leftpad_k != nullptr) s.leftpad = p.leftpad_k[b];
  }
  if (p.seqlens_q != nullptr) s.lengths.q = std::min<std::int64_t>(s.lengths.q, p.seqlens_q[b]);
  if (p.seqlens_k != nullptr) s.lengths.k = std::min<std::int64_t>(s.lengths.k, p.seqlens_k[b]);
  if (p.cu_seqlens_q != nullptr) s.rows = s.lengths.q;  // gaps between sequences stay untouched
  return s;
}

/// Where key `key` of a sequence starts, in elements from k (strides k_strides) or from v.
constexpr std::int64_t key_offset(const ForwardParams& p, const Sequence& s, const Strides& strides,
                                  std::int64_t key, std::int64_t kv_head) {
  if (s.pages != nullptr)
    return strides.offset(s.pages[key / p.page_size], key % p.page_size, kv_head);
  return strides.offset(s.k_batch, s.first_k + key, kv_head);
}

/// The keys that a row sees as far as intervals go: mask, key_begin, key_end.
constexpr Keys row_keys(const ForwardParams& p, const Sequence& s, std::int64_t head,
                        std::int64_t row) {
  RowLimits limits;
  if (p.key_begin.given())
    limits.begin = static_cast<const std::int32_t*>(
        p.key_begin.data)[p.key_begin.offset(s.index, head, row, 0)];
  if (p.key_end.given())
    limits.end =
        static_cast<const std::int32_t*>(p.key_end.data)[p.key_end.offset(s.index, head, row, 0)];
  if (limits.begin < s.leftpad) limits.begin = s.leftpad;
  return p.mask.keys(row, s.lengths, limits);
}

}  // namespace strobe
