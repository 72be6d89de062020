// From checked tensors to what a kernel gets.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

/// A stride that no index is ever multiplied with may hold anything; kernels see 0.
template <class View>
std::int64_t stride(const View& view, int axis) {
  return axis >= 0 && view.shape[axis] > 1 ? view.strides[axis] : 0;
}

template <class View>
Strides strides_of(const View& view, Axes axis) {
  return {stride(view, axis.batch), stride(view, axis.row), stride(view, axis.head)};
}

const std::int32_t* entries(const ConstTensorView& view) {
  return view.given() ? static_cast<const std::int32_t*>(view.data) : nullptr;
}

/// [batch, heads, queries, keys], or as many of these axes as `axes` names: -1 for one that is not
/// there. Axes of one value are broadcast: their stride is 0.
PairTensor pair_tensor(const ConstTensorView& view, int batch, int head, int row, int key) {
  if (!view.given()) return {};
  // A tensor without elements has no pairs either, so nothing is read through this pointer.
  static constexpr std::uint64_t kNothing = 0;
  PairTensor tensor;
  tensor.data = view.data != nullptr ? view.data : &kNothing;
  tensor.dtype = view.dtype;
  tensor.batch = stride(view, batch);
  tensor.head = stride(view, head);
  tensor.row = stride(view, row);
  tensor.key = stride(view, key);
  return tensor;
}

void add_pair_tensors(const ForwardTensors& t, ForwardParams& p) {
  p.key_begin = pair_tensor(t.key_begin, 0, 1, 2, -1);
  p.key_end = pair_tensor(t.key_end, 0, 1, 2, -1);
  p.allowed = pair_tensor(t.allowed, 0, 1, 2, 3);
  p.blocks = pair_tensor(t.blocks, 0, 1, 2, 3);
  p.bias = pair_tensor(t.bias, 0, 1, 2, 3);
  p.alibi_slopes = t.alibi_slopes.rank() == 2 ? pair_tensor(t.alibi_slopes, 0, 1, -1, -1)
                                              : pair_tensor(t.alibi_slopes, -1, 0, -1, -1);
  p.sink_logits = pair_tensor(t.sink_logits, -1, 0, -1, -1);
  if (t.dropout_state.given())
    p.dropout_state = static_cast<const std::uint64_t*>(t.dropout_state.data);
}

}  // namespace

ForwardParams forward_params(const ForwardTensors& t, const Problem& problem) {
  const bool packed = is_packed(t);
  const Axes axis = axes_of(packed);
  ForwardParams p;
  p.q = t.q.data;
  p.k = t.k.data;
  p.v = t.v.data;
  p.o = t.o.data;
  p.lse = t.lse.given() ? t.lse.data : nullptr;
  p.q_strides = strides_of(t.q, axis);
  p.k_strides = strides_of(t.k, axis);
  p.v_strides = strides_of(t.v, axis);
  p.o_strides = strides_of(t.o, axis);
  if (t.lse.given())
    p.lse_strides = strides_of(t.lse, packed ? Axes{-1, 1, 0, -1} : Axes{0, 2, 1, -1});
  p.dtype = t.q.dtype;
  p.o_dtype = t.o.dtype;
  p.lse_dtype = lse_dtype_of(p.dtype);
  p.batch = packed ? t.cu_seqlens_q.shape[0] - 1 : t.q.shape[axis.batch];
  p.num_heads = t.q.shape[axis.head];
  p.num_heads_kv = t.k.shape[axis.head];
  p.seqlen_q = packed ? problem.seqlen_q : t.q.shape[axis.row];
  p.seqlen_k = packed ? problem.seqlen_k : t.k.shape[axis.row];
  p.head_dim = t.q.shape[axis.dim];
  p.head_dim_v = t.v.shape[axis.dim];
  p.cu_seqlens_q = entries(t.cu_seqlens_q);
  p.cu_seqlens_k = entries(t.cu_seqlens_k);
  p.seqlens_q = entries(t.seqlens_q);
  p.seqlens_k = entries(t.seqlens_k);
  p.mask = problem.mask;
  p.softmax_scale = problem.score.scale_for(problem.head_dim);
  p.softcap = problem.score.softcap;
  p.dropout = problem.dropout;
  add_pair_tensors(t, p);
  return p;
}

ForwardParams reference_params(const ForwardTensors& tensors, const Problem& problem) {
  ForwardParams p = forward_params(tensors, problem);
  if (tensors.lse.given()) p.lse_dtype = tensors.lse.dtype;
  return p;
}

}  // namespace strobe::api
