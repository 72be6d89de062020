// Parts of a softmax with memory of their own, and their merge.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "strobe/merge.hpp"

namespace strobe::test {

struct PartSizes {
  std::int64_t batch = 2;
  std::int64_t rows = 3;
  std::int64_t heads = 4;
  std::int64_t dims = 5;

  Shape o() const { return {batch, rows, heads, dims}; }
  Shape lse() const { return {batch, heads, rows}; }
};

/// Row-major o and lse. Rows count as o has them: [batch, rows, heads].
template <class T>
struct Part {
  PartSizes n{};
  std::vector<T> o{}, lse{};

  /// o even in (-1, 1), lse in (-2, 2).
  Part(const PartSizes& sizes, std::uint64_t seed) : Part(filled(sizes, T(0), T(0))) {
    std::mt19937_64 engine(seed);
    const auto draw = [&engine] {
      return static_cast<T>(static_cast<double>(engine() >> 40) * 0x1p-23 - 1);
    };
    for (T& value : o) value = draw();
    for (T& value : lse) value = 2 * draw();
  }
  static Part filled(const PartSizes& sizes, T o, T lse) { return Part(sizes, o, lse); }

  T& lse_of(std::size_t row) { return lse[lse_index(row)]; }
  T lse_of(std::size_t row) const { return lse[lse_index(row)]; }

  Partial view() const { return {{o.data(), n.o()}, {lse.data(), n.lse()}}; }

 private:
  Part(const PartSizes& sizes, T o_value, T lse_value)
      : n(sizes),
        o(static_cast<std::size_t>(n.batch * n.rows * n.heads * n.dims), o_value),
        lse(static_cast<std::size_t>(n.batch * n.rows * n.heads), lse_value) {}

  std::size_t lse_index(std::size_t row) const {
    const auto rows = static_cast<std::size_t>(n.rows), heads = static_cast<std::size_t>(n.heads);
    return (row / heads / rows * heads + row % heads) * rows + row / heads % rows;
  }
};

template <class T>
std::vector<Partial> views_of(const std::vector<Part<T>>& parts) {
  std::vector<Partial> views;
  for (const Part<T>& part : parts) views.push_back(part.view());
  return views;
}

/// Outputs start as NaN, so that an element nobody wrote is seen.
template <class T>
Part<T> merged(const std::vector<Part<T>>& parts, const std::vector<T>& sinks = {},
               const Exec& exec = {}) {
  constexpr T kUnwritten = std::numeric_limits<T>::quiet_NaN();
  Part<T> all = Part<T>::filled(parts[0].n, kUnwritten, kUnwritten);
  const std::vector<Partial> views = views_of(parts);
  MergeTensors tensors{
      .parts = views, .o = {all.o.data(), all.n.o()}, .lse = {all.lse.data(), all.n.lse()}};
  if (!sinks.empty()) tensors.sink_logits = {sinks.data(), {all.n.heads}};
  merge(tensors, exec);
  return all;
}

}  // namespace strobe::test
