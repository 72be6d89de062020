// The order of the checks of a forward call: each may rely on those before it; none allocates.
// SPDX-License-Identifier: Apache-2.0
#include "api/validate.hpp"

#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

/// Everything but the lengths' values, which need the memory checked first.
struct Checked {
  Problem problem;
  Lengths longest;
};

Checked check_tensors(const ForwardTensors& tensors, const char* where) {
  Checked checked{check_shapes(tensors, where), {}};
  check_problem(checked.problem, where);
  check_memory(tensors, where);
  checked.longest = {check_side(query_side(tensors), where), check_side(key_side(tensors), where)};
  check_overlaps(tensors, where);
  return checked;
}

/// `problem` with other lengths.
Problem with_lengths(Problem problem, Lengths n) {
  problem.seqlen_q = n.q;
  problem.seqlen_k = n.k;
  return problem;
}

void check_pairs(const ForwardTensors& tensors, const Problem& problem, const char* where) {
  const bool packed = is_packed(tensors);
  check_pair_shapes(pair_views(tensors), problem, {.queries = packed, .keys = packed}, where);
}

/// The offset that a kernel would read.
void check_dropout_state(const ForwardTensors& tensors, const char* where) {
  if (!tensors.dropout_state.given()) return;
  const std::uint64_t offset = static_cast<const std::uint64_t*>(tensors.dropout_state.data)[1];
  if (offset < std::uint64_t{1} << 27) return;
  fail("dropout-offset", where,
       {"dropout_state[1], the offset, is ", offset,
        "; it counts the uses of a seed below 2^27; go on with another seed"});
}

}  // namespace

Problem check_forward(const ForwardTensors& tensors, const Options& options, const char* where) {
  Checked checked = check_tensors(tensors, where);
  check_max(query_side(tensors), "max_seqlen_q", options.max_seqlen_q, where);
  check_max(key_side(tensors), "max_seqlen_k", options.max_seqlen_k, where);
  Problem problem = checked.problem;
  problem.seqlen_q = options.max_seqlen_q > 0 ? options.max_seqlen_q : checked.longest.q;
  problem.seqlen_k = options.max_seqlen_k > 0 ? options.max_seqlen_k : checked.longest.k;
  problem.mask = options.mask;
  problem.score = options.score;
  problem.dropout = options.dropout;
  problem.determinism = options.determinism;
  problem.rotary = options.rotary;
  check_problem(problem, where);
  check_op(problem, Op::forward, 0, where);
  check_pairs(tensors, with_lengths(problem, checked.longest), where);
  check_dropout_state(tensors, where);
  return problem;
}

void check_planned(const ForwardTensors& tensors, const Problem& planned, const char* where) {
  const bool packed = is_packed(tensors);
  if (packed != (planned.storage == Storage::varlen)) {
    fail("plan-storage", where,
         {packed ? "cu_seqlens are given and the plan was made for padded sequences"
                 : "no cu_seqlens are given and the plan was made for packed sequences (varlen)",
          "; make a plan for this problem"});
  }
  const Checked checked = check_tensors(tensors, where);
  check_fits(with_lengths(checked.problem, checked.longest), planned, where);
  check_pairs(tensors, with_lengths(planned, checked.longest), where);
  check_dropout_state(tensors, where);
}

}  // namespace strobe::api
