// From the checked tensors of a decode call to what append and kernels get.
// SPDX-License-Identifier: Apache-2.0
#include "api/params.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

/// [1], [heads], or the cache's axes, the last in groups.
Scales scales_of(const ConstTensorView& view) {
  if (!view.given()) return {};
  // A scale without elements has no keys either, so nothing is read through this pointer.
  static constexpr float kNothing = 0;
  Scales scales{.data = view.data != nullptr ? static_cast<const float*>(view.data) : &kNothing};
  if (view.rank() == 1) {
    scales.strides.head = stride(view, 0);
    return scales;
  }
  scales.strides = strides_of(view, Axes{});
  if (view.rank() == 4) scales.group = stride(view, 3);
  return scales;
}

/// The call as attention over the cache, new keys included.
ForwardParams attention_params(const DecodeTensors& t, const Problem& problem) {
  const KvCache& cache = t.cache;
  ForwardParams p;
  add_queries(t, Axes{}, p);
  add_keys(cache.k_cache, cache.v_cache, Axes{}, p);
  p.batch = t.q.shape[0];
  p.seqlen_q = t.q.shape[1];
  p.seqlen_k = problem.seqlen_k;
  p.cache_seqlens = entries(cache.cache_seqlens);
  p.seqlens_new = entries(t.seqlens_new);
  p.seqlen_new = t.k.given() ? t.k.shape[1] : 0;
  p.cache_batch_idx = entries(cache.cache_batch_idx);
  p.leftpad_k = entries(cache.leftpad_k);
  p.kv_dtype = problem.kv_dtype;
  p.kv_scales = problem.kv_scales;
  p.k_scales = scales_of(cache.k_scale);
  p.v_scales = scales_of(cache.v_scale);
  if (cache.page_table.given()) {
    p.page_table = entries(cache.page_table);
    p.page_table_stride = stride(cache.page_table, 0);
    p.page_size = cache.k_cache.shape[1];
  }
  add_meaning(problem, p);
  add_pair_tensors(pair_views(t), p);
  return p;
}

}  // namespace

DecodeParams decode_params(const DecodeTensors& t, const Problem& problem) {
  DecodeParams p;
  p.attention = attention_params(t, problem);
  p.k_cache = t.cache.k_cache.data;
  p.v_cache = t.cache.v_cache.data;
  if (appends_scales(t)) {
    p.k_scale = static_cast<float*>(t.cache.k_scale.data);
    p.v_scale = static_cast<float*>(t.cache.v_scale.data);
  }
  if (t.k.given()) {
    p.k_new = t.k.data;
    p.v_new = t.v.data;
    p.k_new_strides = strides_of(t.k, Axes{});
    p.v_new_strides = strides_of(t.v, Axes{});
  }
  p.rotary = problem.rotary;
  if (t.rotary_cos.given()) {
    p.rotary_cos = t.rotary_cos.data;
    p.rotary_sin = t.rotary_sin.data;
    p.rotary_dtype = t.rotary_cos.dtype;
    p.rotary_cos_stride = stride(t.rotary_cos, 0);
    p.rotary_sin_stride = stride(t.rotary_sin, 0);
  }
  return p;
}

DecodeParams decode_reference_params(const DecodeTensors& tensors, const Problem& problem) {
  DecodeParams p = decode_params(tensors, problem);
  if (tensors.lse.given()) p.attention.lse_dtype = tensors.lse.dtype;
  return p;
}

}  // namespace strobe::api
