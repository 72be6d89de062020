// One row of standard attention's softmax, with the vector loops of this machine.
// SPDX-License-Identifier: Apache-2.0
#include "harness/standard_softmax.hpp"

#include <cmath>
#include <limits>

#include "harness/vector_loops.hpp"

namespace strobe::harness {
namespace {

void clear(float* s, std::int64_t begin, std::int64_t end) {
  if (begin < end) std::fill(s + begin, s + end, 0.0f);
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

void rule_row(const ForwardParams& p, const Pair& first, std::int64_t keys, float* s) {
  if (!p.masks_pairs() && !p.alibi_slopes.given() && p.softcap == 0) return;
  Pair pair = first;
  for (std::int64_t i = 0; i < keys; ++i, ++pair.key)
    s[i] =
        pair_visible(p, pair) ? score_rule(p, pair, s[i]) : -std::numeric_limits<float>::infinity();
}

void drop_row(const ForwardParams& p, const Pair& first, std::int64_t keys, float* probabilities) {
  if (p.dropout.threshold() == 0) return;
  Pair pair = first;
  for (std::int64_t i = 0; i < keys; ++i, ++pair.key)
    probabilities[i] *= static_cast<float>(dropout_factor(p, pair));
}

float softmax_row(float* s, std::int64_t n, const Columns& seen, const SoftmaxOptions& options) {
  const VectorLoops& loops = best_vector_loops();
  const auto& [sinks, window] = seen;
  const std::int64_t window_begin = window.empty() ? n : window.begin;
  clear(s, 0, sinks.empty() ? window_begin : sinks.begin);
  if (!sinks.empty()) clear(s, sinks.end, window_begin);
  if (!window.empty()) clear(s, window.end, n);
  if (sinks.empty() && window.empty()) return options.sink;

  const float row_max = std::max({loops.largest(s + sinks.begin, sinks.size()),
                                  loops.largest(s + window.begin, window.size()), options.sink});
  if (row_max == -std::numeric_limits<float>::infinity()) {  // all masked, one by one
    clear(s, 0, n);
    return row_max;
  }
  const float row_sum = loops.exp_sum(s + sinks.begin, sinks.size(), row_max) +
                        loops.exp_sum(s + window.begin, window.size(), row_max) +
                        std::exp(options.sink - row_max);
  loops.scale(s + sinks.begin, sinks.size(), 1.0f / row_sum, options.type);
  loops.scale(s + window.begin, window.size(), 1.0f / row_sum, options.type);
  return row_max + std::log(row_sum);
}

void widen_rows(const Rows& from, Range range, float* to) {
  for (std::int64_t row = range.begin; row < range.end; ++row, to += from.dim) {
    const std::int64_t at = from.first + row * from.stride;
    if (from.dtype == DType::f32) {
      std::copy_n(static_cast<const float*>(from.data) + at, from.dim, to);
    } else {
      const auto widen = [&](const auto* in) { std::copy_n(in + at, from.dim, to); };
      if (from.dtype == DType::f16)
        widen(static_cast<const float16*>(from.data));
      else
        widen(static_cast<const bfloat16*>(from.data));
    }
  }
}

}  // namespace strobe::harness
