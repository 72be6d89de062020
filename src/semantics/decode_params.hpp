// What a decode call gets beyond attention over its cache: new keys and values, rotary embedding.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "semantics/forward_params.hpp"
#include "strobe/rotary.hpp"

namespace strobe {

/// `attention` describes the call after the append: its lengths count the new keys. Its q is not
/// turned yet.
struct DecodeParams {
  ForwardParams attention{};

  const void* k_new = nullptr;  ///< [batch, seqlen_new, num_heads_kv, head_dim]; null: no append
  const void* v_new = nullptr;
  Strides k_new_strides{}, v_new_strides{};
  void* k_cache = nullptr;  ///< attention.k and attention.v, to be written
  void* v_cache = nullptr;
  float* k_scale = nullptr;  ///< attention.k_scales.data, where the append writes scales
  float* v_scale = nullptr;

  Rotary rotary{};
  const void* rotary_cos = nullptr;  ///< [positions, rotary.dim / 2]; null: angles from the base
  const void* rotary_sin = nullptr;
  DType rotary_dtype = DType::f32;
  std::int64_t rotary_cos_stride = 0;  ///< elements from position to position
  std::int64_t rotary_sin_stride = 0;

  constexpr std::int64_t new_keys(std::int64_t b) const {
    if (k_new == nullptr) return 0;
    return attention.seqlens_new != nullptr ? attention.seqlens_new[b] : attention.seqlen_new;
  }
};

/// Turned queries lie row-major, [batch, seqlen_q, num_heads, head_dim].
constexpr Strides turned_strides(const ForwardParams& p) {
  return {.batch = p.seqlen_q * p.num_heads * p.head_dim,
          .row = p.num_heads * p.head_dim,
          .head = p.head_dim};
}

}  // namespace strobe
