// One row of standard attention's softmax, with the vector loops of this machine.
// SPDX-License-Identifier: Apache-2.0
#include "harness/standard_softmax.hpp"

#include <cmath>
#include <limits>

#include "harness/vector_loops.hpp"

namespace strobe::harness {
namespace {

template <class Real>
void clear(Real* s, std::int64_t begin, std::int64_t end) {
  if (begin < end) std::fill(s + begin, s + end, Real(0));
}

}  // namespace

Columns columns_of(const Keys& keys) {
  Columns columns;
  if (keys.begin < keys.end) columns.window = {keys.begin, keys.end};
  const std::int64_t sinks_end =
      columns.window.empty() ? keys.sink_end : std::min(keys.sink_end, keys.begin);
  if (keys.sink_begin < sinks_end) columns.sinks = {keys.sink_begin, sinks_end};
  return columns;
}

template <class Real>
void rule_row(const ForwardParams& p, const Pair& first, std::int64_t keys, Real* s) {
  if (!p.masks_pairs() && !p.alibi_slopes.given() && p.softcap == 0) return;
  Pair pair = first;
  for (std::int64_t i = 0; i < keys; ++i, ++pair.key)
    s[i] =
        pair_visible(p, pair) ? score_rule(p, pair, s[i]) : -std::numeric_limits<Real>::infinity();
}

template <class Real>
void drop_row(const ForwardParams& p, const Pair& first, std::int64_t keys, Real* probabilities) {
  if (p.dropout.threshold() == 0) return;
  Pair pair = first;
  for (std::int64_t i = 0; i < keys; ++i, ++pair.key)
    probabilities[i] *= static_cast<Real>(dropout_factor(p, pair));
}

template <class Real>
Real softmax_row(Real* s, std::int64_t n, const Columns& seen,
                 const SoftmaxOptions<Real>& options) {
  const RowLoops<Real>& loops = best_vector_loops().rows<Real>();
  const auto& [sinks, window] = seen;
  const std::int64_t window_begin = window.empty() ? n : window.begin;
  clear(s, 0, sinks.empty() ? window_begin : sinks.begin);
  if (!sinks.empty()) clear(s, sinks.end, window_begin);
  if (!window.empty()) clear(s, window.end, n);
  if (sinks.empty() && window.empty()) return options.sink;

  const Real row_max = std::max({loops.largest(s + sinks.begin, sinks.size()),
                                 loops.largest(s + window.begin, window.size()), options.sink});
  if (row_max == -std::numeric_limits<Real>::infinity()) {  // all masked, one by one
    clear(s, 0, n);
    return row_max;
  }
  const Real row_sum = loops.exp_sum(s + sinks.begin, sinks.size(), row_max) +
                       loops.exp_sum(s + window.begin, window.size(), row_max) +
                       std::exp(options.sink - row_max);
  loops.scale(s + sinks.begin, sinks.size(), 1 / row_sum, options.type);
  loops.scale(s + window.begin, window.size(), 1 / row_sum, options.type);
  return row_max + std::log(row_sum);
}

template <class Real>
void widen_rows(const Rows& from, Range range, Real* to) {
  for (std::int64_t row = range.begin; row < range.end; ++row, to += from.dim) {
    const std::int64_t at = from.first + row * from.stride;
    const auto widen = [&](const auto* in) {
      std::transform(in + at, in + at + from.dim, to, [](auto x) { return static_cast<Real>(x); });
    };
    switch (from.dtype) {
      case DType::f64: widen(static_cast<const double*>(from.data)); break;
      case DType::f16: widen(static_cast<const float16*>(from.data)); break;
      case DType::bf16: widen(static_cast<const bfloat16*>(from.data)); break;
      default: widen(static_cast<const float*>(from.data)); break;
    }
  }
}

template void rule_row(const ForwardParams&, const Pair&, std::int64_t, float*);
template void rule_row(const ForwardParams&, const Pair&, std::int64_t, double*);
template void drop_row(const ForwardParams&, const Pair&, std::int64_t, float*);
template void drop_row(const ForwardParams&, const Pair&, std::int64_t, double*);
template float softmax_row(float*, std::int64_t, const Columns&, const SoftmaxOptions<float>&);
template double softmax_row(double*, std::int64_t, const Columns&, const SoftmaxOptions<double>&);
template void widen_rows(const Rows&, Range, float*);
template void widen_rows(const Rows&, Range, double*);

}  // namespace strobe::harness
