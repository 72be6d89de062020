// The order of the checks: each may rely on those before it. Nothing here allocates on success.
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
  checked.longest = check_lengths(tensors, where);
  check_overlaps(tensors, where);
  return checked;
}

struct PlannedSize {
  const char* name;
  std::int64_t Problem::*member;
};

void check_same_sizes(const Problem& actual, const Problem& planned, const char* where) {
  static constexpr PlannedSize kSizes[] = {{"batch", &Problem::batch},
                                           {"num_heads", &Problem::num_heads},
                                           {"num_heads_kv", &Problem::num_heads_kv},
                                           {"head_dim", &Problem::head_dim},
                                           {"head_dim_v", &Problem::head_dim_v}};
  for (const PlannedSize& size : kSizes) {
    if (actual.*size.member == planned.*size.member) continue;
    fail("plan-mismatch", where,
         {size.name, " is ", actual.*size.member, " and the plan was made for ",
          planned.*size.member, "; make a plan for this problem"});
  }
}

void check_same_types(const Problem& actual, const Problem& planned, const char* where) {
  if (actual.dtype == planned.dtype && actual.o_dtype == planned.o_dtype) return;
  fail(
      "plan-mismatch", where,
      {"q, k and v are ", actual.dtype, " and o is ", actual.o_dtype, " and the plan was made for ",
       planned.dtype, " and ", planned.o_dtype, "; make a plan for this problem"});
}

void check_not_longer(const char* name, std::int64_t actual, std::int64_t planned,
                      const char* where) {
  if (actual <= planned) return;
  fail("plan-longer", where,
       {name, " is ", actual, " and the plan was made for at most ", planned,
        "; make a plan for the longest"});
}

/// The same options, each on in both or in neither: a kept plan has room for what it was made for.
void check_same_options(const Problem& actual, const Problem& planned, const char* where) {
  const auto check = [where](const char* name, bool is, bool was) {
    if (is == was) return;
    fail("plan-option", where,
         {name,
          is ? " is given and the plan was made without it"
             : " is not given and the plan was made with it",
          "; make a plan for this problem"});
  };
  check("key_begin or key_end", actual.intervals != Intervals::none,
        planned.intervals != Intervals::none);
  check("allowed", actual.allowed.given, planned.allowed.given);
  check("bias", actual.bias.given, planned.bias.given);
  check("alibi_slopes", actual.alibi, planned.alibi);
  check("sink_logits", actual.sink_logits, planned.sink_logits);
  if (actual.bias_dtype != planned.bias_dtype) {
    fail("plan-option", where,
         {"bias is ", actual.bias_dtype, " and the plan was made for ", planned.bias_dtype,
          "; make a plan for this problem"});
  }
}

/// `problem` with other lengths.
Problem with_lengths(Problem problem, Lengths n) {
  problem.seqlen_q = n.q;
  problem.seqlen_k = n.k;
  return problem;
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
  check_longest(tensors, options, where);
  Problem problem = checked.problem;
  problem.seqlen_q = options.max_seqlen_q > 0 ? options.max_seqlen_q : checked.longest.q;
  problem.seqlen_k = options.max_seqlen_k > 0 ? options.max_seqlen_k : checked.longest.k;
  problem.mask = options.mask;
  problem.score = options.score;
  problem.dropout = options.dropout;
  problem.determinism = options.determinism;
  check_problem(problem, where);
  check_pair_shapes(tensors, with_lengths(problem, checked.longest), where);
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
  check_same_sizes(checked.problem, planned, where);
  check_same_types(checked.problem, planned, where);
  check_not_longer("seqlen_q", checked.longest.q, planned.seqlen_q, where);
  check_not_longer("seqlen_k", checked.longest.k, planned.seqlen_k, where);
  check_same_options(checked.problem, planned, where);
  check_pair_shapes(tensors, with_lengths(planned, checked.longest), where);
  check_dropout_state(tensors, where);
}

}  // namespace strobe::api
