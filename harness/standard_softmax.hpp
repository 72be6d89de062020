// One row of standard attention's softmax, and rows of any type as f32: what its two forms share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "semantics/score_rule.hpp"
#include "strobe/mask.hpp"
#include "strobe/tensor.hpp"

namespace strobe::harness {

/// Rows or columns [begin, end); none where end <= begin.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return std::max<std::int64_t>(0, end - begin); }
  bool empty() const { return end <= begin; }
  bool operator==(const Range&) const = default;
};

/// What a row sees, as columns of its scores: the sinks, then the window, never overlapping. An
/// empty one is {0, 0}.
struct Columns {
  Range sinks{};
  Range window{};
};

/// The columns of a score matrix that has one for each key.
Columns columns_of(const Keys& keys);

/// Softcap, bias, ALiBi and masks of single pairs (as -inf), in Real (float or double), on the
/// scores of keys [keys) of a row; s[0] is that of the first. Does nothing where the call has none
/// of them.
template <class Real>
void rule_row(const ForwardParams& p, const Pair& first, std::int64_t keys, Real* s);

/// 0 for what dropout drops of the same keys, the rest divided by the share that is kept.
template <class Real>
void drop_row(const ForwardParams& p, const Pair& first, std::int64_t keys, Real* probabilities);

/// What softmax_row does besides.
template <class Real>
struct SoftmaxOptions {
  DType type = DType::f32;                             ///< that P is rounded to
  Real sink = -std::numeric_limits<Real>::infinity();  ///< one more score, without a column
};

/// Turns a row of n scores into probabilities in place, 0 in every column that the row does not
/// see; returns lse (that of the sink where it sees none).
template <class Real>
Real softmax_row(Real* s, std::int64_t n, const Columns& seen, const SoftmaxOptions<Real>& options);

/// Where rows of `dim` elements lie: `first` is the offset of row 0, in elements.
struct Rows {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t first = 0;
  std::int64_t stride = 0;
  std::int64_t dim = 0;
};

/// Copies rows [range.begin, range.end) to `to` [range.size(), dim], as Real.
template <class Real>
void widen_rows(const Rows& from, Range range, Real* to);

}  // namespace strobe::harness
