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

}  // namespace

Problem check_forward(const ForwardTensors& tensors, const Options& options, const char* where) {
  Checked checked = check_tensors(tensors, where);
  check_longest(tensors, options, where);
  Problem problem = checked.problem;
  problem.seqlen_q = options.max_seqlen_q > 0 ? options.max_seqlen_q : checked.longest.q;
  problem.seqlen_k = options.max_seqlen_k > 0 ? options.max_seqlen_k : checked.longest.k;
  problem.mask = options.mask;
  problem.score = options.score;
  problem.determinism = options.determinism;
  check_problem(problem, where);
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
}

}  // namespace strobe::api
