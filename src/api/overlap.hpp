// Whether views of memory share an element: exact, and without allocating.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "strobe/tensor.hpp"

namespace strobe::api {

enum class Overlap {
  none,
  shared,
  undecided,  ///< the search gave up: strides that no regular layout has
};

/// The bytes of a view whose elements share them (i4), as elements of one byte; else the view. Its
/// last size and every other stride must be even.
ConstTensorView whole_bytes(const ConstTensorView& view);

/// No view may span more bytes; keeps every sum below inside int64.
inline constexpr std::int64_t kMaxSpan = std::int64_t{1} << 60;

/// Bytes from the first to one past the last element; 0 where there is none, -1 beyond kMaxSpan.
/// Strides must not be negative on axes longer than one.
std::int64_t span_bytes(const ConstTensorView& given);

/// Do two elements of one view lie at one address? The span must be within kMaxSpan.
Overlap self_overlap(const ConstTensorView& given);

/// Does an element of `first` share a byte with one of `second`? Spans must be within kMaxSpan.
/// Cost: O(1) where the byte ranges are disjoint. Otherwise a search over the axes by falling
/// stride, in which each axis of a regular layout leaves two or three candidates: tens of
/// steps. It gives up after kMaxSteps.
Overlap overlap(const ConstTensorView& first, const ConstTensorView& second);

/// About 10 ms.
inline constexpr int kMaxSteps = 1 << 20;

}  // namespace strobe::api
