// Counts what the formulas of docs/performance.md divide by.
// SPDX-License-Identifier: Apache-2.0
#include "plan/cost.hpp"

#include <algorithm>

#include "semantics/score_rule.hpp"
#include "semantics/tile_walk.hpp"
#include "semantics/work.hpp"

namespace strobe::plan {
namespace {

/// Pairs of one head, in time that does not grow with sizes from outside: of more than
/// kCountedRows rows, as many are looked at as stand for all. Multiples of the golden ratio, whole
/// parts left out, are spread evenly and fall in step with no chunk.
std::int64_t pairs_of_head(const Mask& mask, Lengths n) {
  constexpr double kGolden = 0.6180339887498949;
  if (n.q <= kCountedRows) return visible_pairs(mask, n);
  double place = 0.0, seen = 0.0;
  for (std::int64_t i = 0; i < kCountedRows; ++i) {
    place += place + kGolden < 1.0 ? kGolden : kGolden - 1.0;
    const auto row = static_cast<std::int64_t>(place * static_cast<double>(n.q));
    seen += static_cast<double>(mask.keys(std::min(row, n.q - 1), n).count());
  }
  const double share = seen / static_cast<double>(kCountedRows) / static_cast<double>(n.k);
  return n.k == 0 || share >= 1.0
             ? n.q * n.k
             : static_cast<std::int64_t>(share * static_cast<double>(n.q * n.k));
}

/// Pairs of one sequence, all heads, counted one by one where they are masked one by one.
std::int64_t counted_pairs(const ForwardParams& p, const Sequence& s) {
  std::int64_t pairs = 0;
  for (std::int64_t head = 0; head < p.num_heads; ++head)
    for (std::int64_t row = 0; row < s.lengths.q; ++row) {
      const Keys keys = joined(row_keys(p, s, head, row));
      if (!p.masks_pairs()) {
        pairs += keys.count();
        continue;
      }
      for (std::int64_t key = keys.sink_begin; key < keys.sink_end; ++key)
        pairs += pair_visible(p, {s, head, row, key});
      for (std::int64_t key = keys.begin; key < keys.end; ++key)
        pairs += pair_visible(p, {s, head, row, key});
    }
  return pairs;
}

/// Of the key and the value of one head, as the cache has them: numbers, or codes and what scales
/// lie beside each token.
double key_bytes(const Problem& p) {
  const std::int64_t dims = p.head_dim + p.head_dim_v;
  if (p.kv_dtype == DType::none) return static_cast<double>(dims * size_of(p.dtype));
  const auto groups = [](std::int64_t dim) { return (dim + kScaleGroup - 1) / kScaleGroup; };
  std::int64_t scales = 0;
  if (p.kv_scales == KvScales::token) scales = 2;
  if (p.kv_scales == KvScales::group) scales = groups(p.head_dim) + groups(p.head_dim_v);
  return static_cast<double>(bytes_of(p.kv_dtype, dims) + scales * size_of(DType::f32));
}

void add(Cost& cost, const Problem& p, Lengths n, std::int64_t sequences, std::int64_t pairs) {
  const auto heads = static_cast<double>(p.num_heads * sequences);
  const auto heads_kv = static_cast<double>(p.num_heads_kv * sequences);
  const auto rows = static_cast<double>(n.q), keys = static_cast<double>(n.k);
  const auto dims = static_cast<double>(p.head_dim), dims_v = static_cast<double>(p.head_dim_v);
  const auto in = static_cast<double>(size_of(p.dtype));
  const auto out = static_cast<double>(size_of(p.o_dtype));
  cost.visible_pairs += pairs;
  cost.flops += forward_flops(static_cast<double>(pairs), p.head_dim, p.head_dim_v);
  const auto lse = static_cast<double>(size_of(lse_dtype_of(p.dtype)));
  if (n.q == 0) return;  // nobody reads the keys
  cost.bytes += heads * rows * (dims * in + dims_v * out + lse) + heads_kv * keys * key_bytes(p);
}

}  // namespace

Cost forward_cost(const Problem& problem, const ForwardParams* params) {
  Cost cost;
  const auto pairs_of = [&](Lengths n) {
    return pairs_of_head(problem.mask, n) * problem.num_heads;
  };
  if (params == nullptr) {
    const Lengths n{problem.seqlen_q, problem.seqlen_k};
    add(cost, problem, n, problem.batch, pairs_of(n) * problem.batch);
    return cost;
  }
  const bool from_memory =
      params->masks_pairs() || params->key_begin.given() || params->key_end.given();
  for (std::int64_t b = 0; b < params->batch; ++b) {
    const Sequence s = sequence(*params, b);
    add(cost, problem, s.lengths, 1, from_memory ? counted_pairs(*params, s) : pairs_of(s.lengths));
  }
  return cost;
}

}  // namespace strobe::plan
