// Ranks, types and shapes of the tensors of a call, against each other.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {

void check_rank(const Named& tensor, int rank, const char* axes, const char* where) {
  if (tensor.view.rank() != rank) {
    fail("tensor-rank", where,
         {tensor.name, " has shape ", tensor.view.shape, "; it takes ", rank,
          rank == 1 ? " axis: " : " axes: ", axes});
  }
  for (const std::int64_t size : tensor.view.shape) {
    if (size >= 0) continue;
    fail("shape-negative", where,
         {tensor.name, " has shape ", tensor.view.shape, "; sizes are at least 0"});
  }
}

void check_type(const Named& tensor, DType type, const char* where) {
  if (tensor.view.dtype == type) return;
  fail("dtype-mismatch", where, {tensor.name, " is ", tensor.view.dtype, "; it must be ", type});
}

void check_given(const Named& tensor, const char* needed, const char* where) {
  if (tensor.view.given()) return;
  fail("tensor-missing", where, {tensor.name, " is not given; ", needed, " are needed"});
}

void check_equal(const Common& common, const Named& a, const Named& b, const char* where) {
  const std::int64_t size_a = a.view.shape[common.axis_a];
  const std::int64_t size_b = b.view.shape[common.axis_b];
  if (size_a == size_b) return;
  fail("shape-mismatch", where,
       {common.size, " is ", size_a, " in ", a.name, " ", a.view.shape, " and ", size_b, " in ",
        b.name, " ", b.view.shape, "; they must be equal"});
}

void check_seqlens_shape(const Named& seqlens, std::int64_t batch, const char* where) {
  if (!seqlens.view.given()) return;
  check_rank(seqlens, 1, "batch", where);
  check_type(seqlens, DType::i32, where);
  if (seqlens.view.shape[0] == batch) return;
  fail("seqlens-shape", where,
       {seqlens.name, " has ", seqlens.view.shape[0], " entries and the batch ", batch,
        " sequences; it needs one entry for each"});
}

namespace {

/// Decides between packed and padded; both cu_seqlens or neither.
bool check_cu_seqlens(const ForwardTensors& t, const char* where) {
  const Named cu_q{"cu_seqlens_q", t.cu_seqlens_q};
  const Named cu_k{"cu_seqlens_k", t.cu_seqlens_k};
  if (cu_q.view.given() != cu_k.view.given()) {
    fail("cu-seqlens-pair", where,
         {cu_q.view.given() ? "cu_seqlens_q" : "cu_seqlens_k", " is given without ",
          cu_q.view.given() ? "cu_seqlens_k" : "cu_seqlens_q",
          "; packed sequences need both, padded ones neither"});
  }
  if (!cu_q.view.given()) return false;
  for (const Named& cu : {cu_q, cu_k}) {
    check_rank(cu, 1, "batch + 1", where);
    check_type(cu, DType::i32, where);
  }
  const std::int64_t entries_q = cu_q.view.shape[0];
  const std::int64_t entries_k = cu_k.view.shape[0];
  if (entries_q != entries_k || entries_q == 0) {
    fail("cu-seqlens-shape", where,
         {"cu_seqlens_q has ", entries_q, " entries and cu_seqlens_k ", entries_k,
          "; both need batch + 1"});
  }
  return true;
}

void check_tensor_ranks(const ForwardTensors& t, bool packed, const char* where) {
  const char* const axes = packed ? "total, heads, dim (packed, as cu_seqlens are given)"
                                  : "batch, seqlen, heads, dim (packed sequences, which have "
                                    "no batch axis, need cu_seqlens_q and cu_seqlens_k)";
  const int rank = packed ? 3 : 4;
  for (const Named& tensor : {Named{"q", t.q}, Named{"k", t.k}, Named{"v", t.v}, Named{"o", t.o}}) {
    check_given(tensor, "q, k, v and o", where);
    check_rank(tensor, rank, axes, where);
  }
  if (t.lse.given()) {
    check_rank({"lse", t.lse}, rank - 1, packed ? "heads, total" : "batch, heads, seqlen_q", where);
    check_type({"lse", t.lse}, lse_dtype_of(t.q.dtype), where);
  }
}

void check_input_types(const ForwardTensors& t, const char* where) {
  for (const Named& tensor : {Named{"k", t.k}, Named{"v", t.v}}) {
    if (tensor.view.dtype == t.q.dtype) continue;
    fail("dtype-mismatch", where,
         {"q is ", t.q.dtype, " and ", tensor.name, " is ", tensor.view.dtype,
          "; q, k and v must have one type"});
  }
}

void check_common_sizes(const ForwardTensors& t, bool packed, const char* where) {
  const Named q{"q", t.q};
  const Named k{"k", t.k};
  const Named v{"v", t.v};
  const Named o{"o", t.o};
  const Axes axis = axes_of(packed);
  if (!packed) {
    check_equal({"batch", axis.batch, axis.batch}, q, k, where);
    check_equal({"batch", axis.batch, axis.batch}, q, v, where);
    check_equal({"batch", axis.batch, axis.batch}, q, o, where);
  }
  check_equal({packed ? "the total of keys" : "seqlen_k", axis.row, axis.row}, k, v, where);
  check_equal({packed ? "the total of queries" : "seqlen_q", axis.row, axis.row}, q, o, where);
  check_equal({"num_heads_kv", axis.head, axis.head}, k, v, where);
  check_equal({"num_heads", axis.head, axis.head}, q, o, where);
  check_equal({"head_dim", axis.dim, axis.dim}, q, k, where);
  check_equal({"head_dim_v", axis.dim, axis.dim}, v, o, where);
  if (!t.lse.given()) return;
  const Named lse{"lse", t.lse};
  if (!packed) check_equal({"batch", axis.batch, 0}, q, lse, where);
  check_equal({"num_heads", axis.head, packed ? 0 : 1}, q, lse, where);
  check_equal({packed ? "the total of queries" : "seqlen_q", axis.row, packed ? 1 : 2}, q, lse,
              where);
}

}  // namespace

Problem check_shapes(const ForwardTensors& t, const char* where) {
  const bool packed = check_cu_seqlens(t, where);
  check_tensor_ranks(t, packed, where);
  check_input_types(t, where);
  check_common_sizes(t, packed, where);

  const Axes axis = axes_of(packed);
  Problem problem;
  problem.batch = packed ? t.cu_seqlens_q.shape[0] - 1 : t.q.shape[axis.batch];
  problem.num_heads = t.q.shape[axis.head];
  problem.num_heads_kv = t.k.shape[axis.head];
  problem.seqlen_q = packed ? 0 : t.q.shape[axis.row];
  problem.seqlen_k = packed ? 0 : t.k.shape[axis.row];
  problem.head_dim = t.q.shape[axis.dim];
  problem.head_dim_v = t.v.shape[axis.dim];
  problem.dtype = t.q.dtype;
  problem.o_dtype = t.o.dtype;
  check_seqlens_shape({"seqlens_q", t.seqlens_q}, problem.batch, where);
  check_seqlens_shape({"seqlens_k", t.seqlens_k}, problem.batch, where);
  if (t.seqlens_q.given() || t.seqlens_k.given()) problem.storage = Storage::seqlens;
  if (packed) problem.storage = Storage::varlen;
  if (t.q.strides[axis.head] > t.q.strides[axis.row]) problem.layout = Layout::bhsd;
  check_pair_types(pair_views(t), problem, where);
  check_dropout_state_shape(t.dropout_state, where);
  return problem;
}

}  // namespace strobe::api
