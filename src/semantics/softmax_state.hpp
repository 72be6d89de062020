// What is known of a softmax row after some of its keys, and how two such states become one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace strobe {

/// Row maximum and row sum over the keys seen so far, with o = sum of exp(s - row_max) v beside
/// them. States form a commutative monoid: merge is associative, and the default state, which has
/// seen no key, is its identity. So the keys of a row may be cut anywhere: into tiles, splits,
/// ring steps.
template <class T>
struct SoftmaxState {
  T row_max = -std::numeric_limits<T>::infinity();
  T row_sum = T(0);  ///< sum of exp(s - row_max)

  /// After one key; o is its value.
  static constexpr SoftmaxState of_score(T score) { return {score, T(1)}; }

  /// A finished part, known by its lse; o is the part's own output.
  static constexpr SoftmaxState of_lse(T lse) {
    const SoftmaxState none{};
    return lse == none.row_max ? none : SoftmaxState{lse, T(1)};
  }

  constexpr bool empty() const { return row_sum == T(0); }

  /// What turns o into the row's output; 0 for a row that has seen no key.
  constexpr T inverse_sum() const { return empty() ? T(0) : T(1) / row_sum; }

  /// log of the sum of exp(s), natural; -inf for a row that has seen no key.
  T lse() const { return row_max + std::log(row_sum); }
};

/// exp of the C++ library. Pass another to merge() for SIMD, or for constant expressions.
struct StdExp {
  template <class T>
  T operator()(T x) const {
    return std::exp(x);
  }
};

/// Two states as one: its o is weight_a * o_a + weight_b * o_b.
template <class T>
struct Merged {
  SoftmaxState<T> state{};
  T weight_a = T(0);
  T weight_b = T(0);
};

/// The weight of the side that holds the maximum is 1, not exp(0): merging with the empty state
/// changes no bit, and two empty states never compute -inf minus -inf.
template <class T, class Exp = StdExp>
constexpr Merged<T> merge(const SoftmaxState<T>& a, const SoftmaxState<T>& b, Exp exp = {}) {
  Merged<T> merged;
  merged.state.row_max = a.row_max < b.row_max ? b.row_max : a.row_max;
  const auto weight = [&](T row_max) {
    return row_max == merged.state.row_max ? T(1) : exp(row_max - merged.state.row_max);
  };
  merged.weight_a = weight(a.row_max);
  merged.weight_b = weight(b.row_max);
  merged.state.row_sum = merged.weight_a * a.row_sum + merged.weight_b * b.row_sum;
  return merged;
}

/// The same with the o of both: folds `b` into `a`. The spans have equal lengths.
template <class T, class Exp = StdExp>
constexpr void merge_into(SoftmaxState<T>& a, std::span<T> o_a, const SoftmaxState<T>& b,
                          std::span<const T> o_b, Exp exp = {}) {
  const Merged<T> merged = merge(a, b, exp);
  for (std::size_t d = 0; d < o_a.size(); ++d)
    o_a[d] = merged.weight_a * o_a[d] + merged.weight_b * o_b[d];
  a = merged.state;
}

}  // namespace strobe
