// Attention forward in float64 and beyond, as the paper writes it: scores, maximum, sum, values.
// SPDX-License-Identifier: Apache-2.0
#include "reference/forward.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "semantics/number_formats.hpp"
#include "semantics/quantised_row.hpp"
#include "semantics/score_rule.hpp"

namespace strobe::reference {
namespace {

/// The keys that a row sees, rising. No other key is ever read (NaN contract).
std::vector<std::int64_t> visible_keys(const ForwardParams& p, const Sequence& sequence,
                                       std::int64_t head, std::int64_t row) {
  const Keys keys = row_keys(p, sequence, head, row);
  std::vector<std::int64_t> visible;
  visible.reserve(static_cast<std::size_t>(keys.count()));
  const auto add = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = begin; j < end; ++j)
      if (pair_visible(p, {sequence, head, row, j})) visible.push_back(j);
  };
  add(keys.sink_begin, std::min(keys.sink_end, keys.begin));
  add(keys.begin, keys.end);
  return visible;
}

/// q_i . k_j, summed from the first dimension to the last.
template <class Real>
Real dot(const ForwardParams& p, std::int64_t q_first, const KeyRow& k) {
  Real sum = 0;
  for (std::int64_t d = 0; d < p.head_dim; ++d)
    sum += static_cast<Real>(load_element(p.q, p.dtype, q_first + d)) * static_cast<Real>(k[d]);
  return sum;
}

/// One row of the output, and its lse.
template <class Real>
struct Row {
  std::vector<Real> o;
  Real lse = -std::numeric_limits<Real>::infinity();
};

template <class Real>
Row<Real> attend(const ForwardParams& p, std::int64_t batch, std::int64_t head, std::int64_t row) {
  constexpr Real kInfinity = std::numeric_limits<Real>::infinity();
  const Sequence sequence = strobe::sequence(p, batch);
  const std::int64_t kv_head = p.kv_head(head);

  Row<Real> result{std::vector<Real>(static_cast<std::size_t>(p.head_dim_v))};
  if (row >= sequence.lengths.q) return result;  // padding
  const Real sink = sink_logit(p, head);
  const std::vector<std::int64_t> keys = visible_keys(p, sequence, head, row);
  if (keys.empty()) {
    result.lse = sink;
    return result;
  }

  // s_j = rule(scale * (q . k_j)): softcap, bias, ALiBi
  const std::int64_t q_first = p.q_strides.offset(sequence.batch, sequence.first_q + row, head);
  std::vector<Real> s;
  s.reserve(keys.size());
  for (const std::int64_t j : keys) {
    const KeyRow k = key_row(p, sequence, j, kv_head);
    s.push_back(score_rule(p, {sequence, head, row, j},
                           static_cast<Real>(p.softmax_scale) * dot<Real>(p, q_first, k)));
  }

  // m = max(sink, max_j s_j): no exponential below exceeds 1. A NaN score is no maximum; the sum
  // carries it.
  Real row_max = sink;
  for (const Real score : s) row_max = std::max(row_max, score);

  // l = exp(sink - m) + sum_j exp(s_j - m)
  Real row_sum = sink == -kInfinity ? Real(0) : std::exp(sink - row_max);
  for (const Real score : s) row_sum += std::exp(score - row_max);

  // o = sum_j dropout(exp(s_j - m) / l) * v_j
  for (std::size_t n = 0; n < keys.size(); ++n) {
    const Real weight = std::exp(s[n] - row_max) / row_sum *
                        static_cast<Real>(dropout_factor(p, {sequence, head, row, keys[n]}));
    const KeyRow v = value_row(p, sequence, keys[n], kv_head);
    for (std::size_t d = 0; d < result.o.size(); ++d)
      result.o[d] += weight * static_cast<Real>(v[static_cast<std::int64_t>(d)]);
  }
  result.lse = row_max + std::log(row_sum);
  return result;
}

/// Rounded to float64.
template <class Real>
void store(const Row<Real>& row, double* o_row, double* lse) {
  std::transform(row.o.begin(), row.o.end(), o_row, [](Real x) { return static_cast<double>(x); });
  *lse = static_cast<double>(row.lse);
}

}  // namespace

/// An oracle is wider than what it judges: f64 is computed in 80-bit numbers where the machine has
/// them (x86). Elsewhere long double is software, fifty times as slow, or f64 itself.
using Wide =
    std::conditional_t<std::numeric_limits<long double>::digits == 64, long double, double>;

void forward_row(const ForwardParams& p, std::int64_t batch, std::int64_t head, std::int64_t row,
                 double* o_row, double* lse) {
  if (p.dtype == DType::f64)
    store(attend<Wide>(p, batch, head, row), o_row, lse);
  else
    store(attend<double>(p, batch, head, row), o_row, lse);
}

void forward_head(const ForwardParams& p, std::int64_t batch, std::int64_t head) {
  std::vector<double> o_row(static_cast<std::size_t>(p.head_dim_v));
  const Sequence sequence = strobe::sequence(p, batch);
  for (std::int64_t row = 0; row < sequence.rows; ++row) {
    double lse = 0.0;
    forward_row(p, batch, head, row, o_row.data(), &lse);
    const std::int64_t place = sequence.first_q + row;
    const std::int64_t o_first = p.o_strides.offset(sequence.batch, place, head);
    for (std::int64_t d = 0; d < p.head_dim_v; ++d)
      store_element(p.o, p.o_dtype, o_first + d, o_row[static_cast<std::size_t>(d)]);
    if (p.lse == nullptr) continue;
    store_element(p.lse, p.lse_dtype, p.lse_strides.offset(sequence.batch, place, head), lse);
  }
}

void forward(const ForwardParams& p) {
  for (std::int64_t batch = 0; batch < p.batch; ++batch)
    for (std::int64_t head = 0; head < p.num_heads; ++head) forward_head(p, batch, head);
}

}  // namespace strobe::reference
