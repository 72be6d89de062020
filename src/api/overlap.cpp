// Two strided boxes meet where a sum of multiples of their strides falls into an interval.
// SPDX-License-Identifier: Apache-2.0
#include "api/overlap.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace strobe::api {
namespace {

/// Closed: [lo, hi].
struct Interval {
  std::int64_t lo = 0;
  std::int64_t hi = 0;
};

std::int64_t floor_div(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

/// Asks: do integers z, 0 <= z[i] <= most[i], make sum(step[i] * z[i]) fall into an interval?
class SumSearch {
 public:
  /// Takes step >= 0; an axis that adds nothing is left out.
  void add(std::int64_t step, std::int64_t most) {
    if (step == 0 || most == 0) return;
    for (int i = 0; i < count_; ++i) {
      if (terms_[at(i)].step != step) continue;
      terms_[at(i)].most += most;
      return;
    }
    terms_[at(count_++)] = {step, most};
  }

  Overlap solve(Interval target) {
    std::sort(terms_.begin(), terms_.end(),  // those not in use have step 0 and come last
              [](const Term& a, const Term& b) { return a.step > b.step; });
    // A step no longer than the interval joins its copies without a gap: it widens the interval.
    while (count_ > 0 && terms_[at(count_ - 1)].step <= target.hi - target.lo + 1) {
      --count_;
      target.lo -= terms_[at(count_)].step * terms_[at(count_)].most;
    }
    std::int64_t reach = 0;
    std::int64_t divisor = 0;
    for (int i = count_ - 1; i >= 0; --i) {
      terms_[at(i)].rest = reach;
      reach += terms_[at(i)].step * terms_[at(i)].most;
      divisor = std::gcd(divisor, terms_[at(i)].step);
      terms_[at(i)].divisor = divisor;
    }
    steps_ = 0;
    return search(0, target);
  }

 private:
  struct Term {
    std::int64_t step = 0;
    std::int64_t most = 0;
    std::int64_t rest = 0;     // the largest sum of all shorter steps
    std::int64_t divisor = 0;  // the greatest common divisor of this step and all shorter ones
  };

  static constexpr std::size_t at(int i) { return static_cast<std::size_t>(i); }

  Overlap search(int i, Interval target) {
    if (i == count_) return target.lo <= 0 && 0 <= target.hi ? Overlap::shared : Overlap::none;
    const Term& term = terms_[at(i)];
    if (floor_div(target.hi, term.divisor) * term.divisor < target.lo) return Overlap::none;
    const std::int64_t first =
        std::max<std::int64_t>(0, -floor_div(term.rest - target.lo, term.step));
    const std::int64_t last = std::min(term.most, floor_div(target.hi, term.step));
    for (std::int64_t z = first; z <= last; ++z) {
      if (++steps_ > kMaxSteps) return Overlap::undecided;
      const Interval rest{target.lo - z * term.step, target.hi - z * term.step};
      const Overlap found = search(i + 1, rest);
      if (found != Overlap::none) return found;
    }
    return Overlap::none;
  }

  std::array<Term, std::size_t{2} * Shape::kMaxRank> terms_{};
  int count_ = 0;
  int steps_ = 0;
};

}  // namespace

ConstTensorView whole_bytes(const ConstTensorView& view) {
  const std::int64_t packed = packed_in_one(view.dtype);
  if (packed == 1) return view;
  ConstTensorView bytes = view;
  bytes.dtype = DType::boolean;
  const int last = view.rank() - 1;
  bytes.shape[last] = view.shape[last] / packed;
  for (int axis = 0; axis < last; ++axis) bytes.strides[axis] = view.strides[axis] / packed;
  return bytes;
}

std::int64_t span_bytes(const ConstTensorView& given) {
  const ConstTensorView view = whole_bytes(given);
  std::int64_t last = 0;  // the element furthest from the first
  for (int axis = 0; axis < view.rank(); ++axis) {
    const std::int64_t size = view.shape[axis];
    if (size == 0) return 0;
    std::int64_t step = 0;
    if (size == 1) continue;
    if (__builtin_mul_overflow(view.strides[axis], size - 1, &step)) return -1;
    if (__builtin_add_overflow(last, step, &last)) return -1;
  }
  const std::int64_t bytes = size_of(view.dtype);
  if (last >= kMaxSpan / std::max<std::int64_t>(1, bytes)) return -1;
  return (last + 1) * bytes;
}

Overlap self_overlap(const ConstTensorView& given) {
  const ConstTensorView view = whole_bytes(given);
  if (span_bytes(view) == 0) return Overlap::none;
  struct Axis {
    std::int64_t stride = 0;
    std::int64_t most = 0;
  };
  std::array<Axis, Shape::kMaxRank> axes{};
  for (int axis = 0; axis < view.rank(); ++axis) {
    if (view.shape[axis] == 1) continue;
    if (view.strides[axis] == 0) return Overlap::shared;
    axes[static_cast<std::size_t>(axis)] = {view.strides[axis], view.shape[axis] - 1};
  }
  std::sort(axes.begin(), axes.end(),
            [](const Axis& a, const Axis& b) { return a.stride < b.stride; });

  // Two elements at one address differ by d with sum(stride * d) = 0. Take the axis with the
  // longest stride where they differ, there d >= 1; the shorter ones must make up for it.
  std::int64_t reach = 0;  // of the shorter axes
  for (std::size_t top = 0; top < axes.size(); ++top) {
    if (axes[top].most > 0 && axes[top].stride <= reach) {
      SumSearch search;
      search.add(axes[top].stride, axes[top].most - 1);
      for (std::size_t lower = 0; lower < top; ++lower) {
        search.add(axes[lower].stride, 2 * axes[lower].most);
      }
      const Overlap found = search.solve({reach - axes[top].stride, reach - axes[top].stride});
      if (found != Overlap::none) return found;
    }
    reach += axes[top].stride * axes[top].most;
  }
  return Overlap::none;
}

Overlap overlap(const ConstTensorView& first, const ConstTensorView& second) {
  const ConstTensorView a = whole_bytes(first), b = whole_bytes(second);
  const std::int64_t span_a = span_bytes(a);
  const std::int64_t span_b = span_bytes(b);
  if (span_a == 0 || span_b == 0) return Overlap::none;
  const auto begin_a = reinterpret_cast<std::uintptr_t>(a.data);
  const auto begin_b = reinterpret_cast<std::uintptr_t>(b.data);
  if (begin_a <= begin_b && begin_b - begin_a >= static_cast<std::uintptr_t>(span_a)) {
    return Overlap::none;
  }
  if (begin_b <= begin_a && begin_a - begin_b >= static_cast<std::uintptr_t>(span_b)) {
    return Overlap::none;
  }

  // Elements at a + x and b + y share a byte when -size_a < (a + x) - (b + y) < size_b. With
  // y counted backwards from b's last element, x and y add up.
  const std::int64_t size_a = size_of(a.dtype);
  const std::int64_t size_b = size_of(b.dtype);
  SumSearch search;
  for (int axis = 0; axis < a.rank(); ++axis) {
    if (a.shape[axis] > 1) search.add(a.strides[axis] * size_a, a.shape[axis] - 1);
  }
  for (int axis = 0; axis < b.rank(); ++axis) {
    if (b.shape[axis] > 1) search.add(b.strides[axis] * size_b, b.shape[axis] - 1);
  }
  const auto apart = static_cast<std::int64_t>(begin_b - begin_a);
  const std::int64_t same = apart + span_b - size_b;  // x + y of elements at one address
  return search.solve({same - size_a + 1, same + size_b - 1});
}

}  // namespace strobe::api
