// From checked tensors to what a kernel gets.
// SPDX-License-Identifier: Apache-2.0
#include "api/params.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

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

}  // namespace

void add_pair_tensors(const PairViews& t, ForwardParams& p) {
  p.key_begin = pair_tensor(t.key_begin, 0, 1, 2, -1);
  p.key_end = pair_tensor(t.key_end, 0, 1, 2, -1);
  p.allowed = pair_tensor(t.allowed, 0, 1, 2, 3);
  p.blocks = pair_tensor(t.blocks, 0, 1, 2, 3);
  p.bias = pair_tensor(t.bias, 0, 1, 2, 3);
  p.alibi_slopes = t.alibi_slopes.rank() == 2 ? pair_tensor(t.alibi_slopes, 0, 1, -1, -1)
                                              : pair_tensor(t.alibi_slopes, -1, 0, -1, -1);
  p.sink_logits = pair_tensor(t.sink_logits, -1, 0, -1, -1);
}

void add_meaning(const Problem& problem, ForwardParams& p) {
  p.mask = problem.mask;
  p.softmax_scale = problem.score.scale_for(problem.head_dim);
  p.softcap = problem.score.softcap;
}

ForwardParams forward_params(const ForwardTensors& t, const Problem& problem) {
  const bool packed = is_packed(t);
  const Axes axis = axes_of(packed);
  ForwardParams p;
  add_queries(t, axis, p);
  add_keys(t.k, t.v, axis, p);
  p.batch = packed ? t.cu_seqlens_q.shape[0] - 1 : t.q.shape[axis.batch];
  p.seqlen_q = packed ? problem.seqlen_q : t.q.shape[axis.row];
  p.seqlen_k = packed ? problem.seqlen_k : t.k.shape[axis.row];
  p.cu_seqlens_q = entries(t.cu_seqlens_q);
  p.cu_seqlens_k = entries(t.cu_seqlens_k);
  p.seqlens_k = entries(t.seqlens_k);
  add_meaning(problem, p);
  p.dropout = problem.dropout;
  add_pair_tensors(pair_views(t), p);
  if (t.dropout_state.given())
    p.dropout_state = static_cast<const std::uint64_t*>(t.dropout_state.data);
  return p;
}

ForwardParams reference_params(const ForwardTensors& tensors, const Problem& problem) {
  ForwardParams p = forward_params(tensors, problem);
  if (tensors.lse.given()) p.lse_dtype = tensors.lse.dtype;
  return p;
}

}  // namespace strobe::api
