// What forward and decode tell a kernel alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/checks.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::api {

/// A stride that no index is ever multiplied with may hold anything; kernels see 0.
template <class View>
std::int64_t stride(const View& view, int axis) {
  return axis >= 0 && view.shape[axis] > 1 ? view.strides[axis] : 0;
}

template <class View>
Strides strides_of(const View& view, Axes axis) {
  return {stride(view, axis.batch), stride(view, axis.row), stride(view, axis.head)};
}

/// q, o and lse: pointers, strides, sizes, types.
template <class Tensors>
void add_queries(const Tensors& t, Axes axis, ForwardParams& p) {
  const bool packed = axis.batch < 0;
  p.q = t.q.data;
  p.o = t.o.data;
  p.lse = t.lse.given() ? t.lse.data : nullptr;
  p.q_strides = strides_of(t.q, axis);
  p.o_strides = strides_of(t.o, axis);
  if (t.lse.given())
    p.lse_strides = strides_of(t.lse, packed ? Axes{-1, 1, 0, -1} : Axes{0, 2, 1, -1});
  p.dtype = t.q.dtype;
  p.o_dtype = t.o.dtype;
  p.lse_dtype = lse_dtype_of(p.dtype);
  p.num_heads = t.q.shape[axis.head];
  p.head_dim = t.q.shape[axis.dim];
  p.seqlens_q = entries(t.seqlens_q);
}

/// Keys and values, of a call or of a cache.
inline void add_keys(const ConstTensorView& k, const ConstTensorView& v, Axes axis,
                     ForwardParams& p) {
  p.k = k.data;
  p.v = v.data;
  p.k_strides = strides_of(k, axis);
  p.v_strides = strides_of(v, axis);
  p.num_heads_kv = k.shape[axis.head];
  p.head_dim_v = v.shape[axis.dim];
}

/// Mask and score, as far as they are numbers.
void add_meaning(const Problem& problem, ForwardParams& p);

/// What masks and scores take from memory.
void add_pair_tensors(const PairViews& t, ForwardParams& p);

}  // namespace strobe::api
