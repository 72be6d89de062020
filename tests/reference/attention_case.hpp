// A small attention problem in float64 with its memory, and the paper's formula said once more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "reference/forward.hpp"
#include "semantics/forward_params.hpp"
#include "tests/support/mask_by_rules.hpp"

namespace strobe::testing {

struct Sizes {
  std::int64_t batch = 1;
  std::int64_t num_heads = 1;
  std::int64_t num_heads_kv = 1;
  std::int64_t seqlen_q = 1;
  std::int64_t seqlen_k = 1;
  std::int64_t head_dim = 1;
  std::int64_t head_dim_v = 1;
};

/// [batch, seqlen, heads, dim], row-major.
constexpr Strides bshd(std::int64_t seqlen, std::int64_t heads, std::int64_t dim) {
  return {.batch = seqlen * heads * dim, .row = heads * dim, .head = dim};
}

/// Outputs start as NaN, so that an element nobody wrote is seen.
struct AttentionCase {
  ForwardParams params{};
  std::vector<double> q{}, k{}, v{}, o{}, lse{};

  explicit AttentionCase(const Sizes& n, const Mask& mask = {}, std::uint64_t seed = 1)
      : q(random(n.batch * n.seqlen_q * n.num_heads * n.head_dim, seed)),
        k(random(n.batch * n.seqlen_k * n.num_heads_kv * n.head_dim, seed + 1000)),
        v(random(n.batch * n.seqlen_k * n.num_heads_kv * n.head_dim_v, seed + 2000)),
        o(nans(n.batch * n.seqlen_q * n.num_heads * n.head_dim_v)),
        lse(nans(n.batch * n.seqlen_q * n.num_heads)) {
    params.q_strides = bshd(n.seqlen_q, n.num_heads, n.head_dim);
    params.k_strides = bshd(n.seqlen_k, n.num_heads_kv, n.head_dim);
    params.v_strides = bshd(n.seqlen_k, n.num_heads_kv, n.head_dim_v);
    params.o_strides = bshd(n.seqlen_q, n.num_heads, n.head_dim_v);
    params.lse_strides = {.batch = n.num_heads * n.seqlen_q, .row = 1, .head = n.seqlen_q};
    params.dtype = params.o_dtype = params.lse_dtype = DType::f64;
    params.batch = n.batch;
    params.num_heads = n.num_heads;
    params.num_heads_kv = n.num_heads_kv;
    params.seqlen_q = n.seqlen_q;
    params.seqlen_k = n.seqlen_k;
    params.head_dim = n.head_dim;
    params.head_dim_v = n.head_dim_v;
    params.mask = mask;
    params.softmax_scale = 1 / std::sqrt(static_cast<double>(n.head_dim));
  }

  /// The params with this object's memory; a copy of the object has memory of its own.
  ForwardParams with_memory() {
    ForwardParams p = params;
    p.q = q.data();
    p.k = k.data();
    p.v = v.data();
    p.o = o.data();
    p.lse = lse.data();
    return p;
  }

  AttentionCase& run() {
    reference::forward(with_memory());
    return *this;
  }

  /// o and lse of one row, after run().
  std::vector<double> o_row(std::int64_t batch, std::int64_t head, std::int64_t row) const {
    const double* first = o.data() + params.o_strides.offset(batch, row, head);
    return {first, first + params.head_dim_v};
  }
  double lse_of(std::int64_t batch, std::int64_t head, std::int64_t row) const {
    return lse[static_cast<std::size_t>(params.lse_strides.offset(batch, row, head))];
  }

  static std::vector<double> nans(std::int64_t size) {
    return std::vector<double>(static_cast<std::size_t>(size),
                               std::numeric_limits<double>::quiet_NaN());
  }

  /// Even in (-2, 2); the same on every machine.
  static std::vector<double> random(std::int64_t size, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::vector<double> values(static_cast<std::size_t>(size));
    for (double& value : values) value = static_cast<double>(engine() >> 11) * 0x1p-51 - 2;
    return values;
  }
};

/// softmax(scale q kT) v of one row as a formula, in long double, with the unsafe softmax and a
/// mask from the rules; gives the head_dim_v outputs and then the lse.
inline std::vector<double> by_formula(const AttentionCase& c, Lengths lengths, std::int64_t batch,
                                      std::int64_t head, std::int64_t row) {
  const ForwardParams& p = c.params;
  const std::int64_t kv = head * p.num_heads_kv / p.num_heads;
  std::vector<long double> o(static_cast<std::size_t>(p.head_dim_v), 0.0L);
  long double sum = 0.0L;
  for (std::int64_t j = 0; j < lengths.k; ++j) {
    if (!sees_by_rules(p.mask, lengths, row, j)) continue;
    long double score = 0.0L;
    for (std::int64_t d = p.head_dim; d-- > 0;)
      score += static_cast<long double>(c.q[p.q_strides.offset(batch, row, head) + d]) *
               c.k[p.k_strides.offset(batch, j, kv) + d];
    const long double weight = std::exp(p.softmax_scale * score);
    sum += weight;
    for (std::size_t d = 0; d < o.size(); ++d)
      o[d] += weight * c.v[p.v_strides.offset(batch, j, kv) + static_cast<std::int64_t>(d)];
  }
  std::vector<double> result;
  for (const long double sum_of_v : o)
    result.push_back(sum == 0 ? 0.0 : static_cast<double>(sum_of_v / sum));
  result.push_back(static_cast<double>(std::log(sum)));
  return result;
}

}  // namespace strobe::testing
