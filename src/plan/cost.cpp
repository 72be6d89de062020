// Counts what the formulas of docs/performance.md divide by.
// SPDX-License-Identifier: Apache-2.0
#include "plan/cost.hpp"

#include "semantics/work.hpp"

namespace strobe::plan {
namespace {

void add(Cost& cost, const Problem& p, Lengths n, std::int64_t sequences) {
  const std::int64_t pairs = visible_pairs(p.mask, n) * p.num_heads * sequences;
  const auto heads = static_cast<double>(p.num_heads * sequences);
  const auto heads_kv = static_cast<double>(p.num_heads_kv * sequences);
  const auto rows = static_cast<double>(n.q), keys = static_cast<double>(n.k);
  const auto dims = static_cast<double>(p.head_dim), dims_v = static_cast<double>(p.head_dim_v);
  const auto in = static_cast<double>(size_of(p.dtype));
  const auto out = static_cast<double>(size_of(p.o_dtype));
  cost.visible_pairs += pairs;
  cost.flops += forward_flops(static_cast<double>(pairs), p.head_dim, p.head_dim_v);
  cost.bytes +=
      heads * rows * (dims * in + dims_v * out + 4) + heads_kv * keys * (dims + dims_v) * in;
}

}  // namespace

Cost forward_cost(const Problem& problem, const ForwardParams* params) {
  Cost cost;
  if (params == nullptr)
    add(cost, problem, {problem.seqlen_q, problem.seqlen_k}, problem.batch);
  else
    for (std::int64_t b = 0; b < params->batch; ++b)
      add(cost, problem, sequence(*params, b).lengths, 1);
  return cost;
}

}  // namespace strobe::plan
