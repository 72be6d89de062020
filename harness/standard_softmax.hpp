// One row of standard attention's softmax, and rows of any type as f32: what its two forms share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

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

/// Turns a row of n scores into probabilities in place, 0 in every column that the row does not
/// see, and rounds them to P's type, f32, f16 or bf16; returns lse (-inf where it sees none).
float softmax_row(float* s, std::int64_t n, const Columns& seen, DType type);

/// Where rows of `dim` elements lie: `first` is the offset of row 0, in elements.
struct Rows {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t first = 0;
  std::int64_t stride = 0;
  std::int64_t dim = 0;
};

/// Copies rows [range.begin, range.end) to `to` [range.size(), dim], as f32.
void widen_rows(const Rows& from, Range range, float* to);

}  // namespace strobe::harness
