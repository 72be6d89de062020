// One small sequence and attention over it in plain loops, for examples to be compared with.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <strobe/strobe.hpp>
#include <vector>

// Sizes: queries, keys, heads, key heads, head_dim; and the position of row 0.
constexpr std::int64_t kQueries = 48, kKeys = 64, kHeads = 4, kHeadsKv = 2, kDim = 16;
constexpr std::int64_t kFirst = kKeys - kQueries;

constexpr double kHidden = -std::numeric_limits<double>::infinity();

inline std::vector<float> waves(std::int64_t count, double seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(seed + 1.7 * static_cast<double>(i)));
  return values;
}

/// [1, seqlen, heads, dim] each, and lse [1, heads, queries].
struct Sequence {
  std::vector<float> q = waves(kQueries * kHeads * kDim, 1);
  std::vector<float> k = waves(kKeys * kHeadsKv * kDim, 2);
  std::vector<float> v = waves(kKeys * kHeadsKv * kDim, 3);
  std::vector<float> o = std::vector<float>(q.size());
  std::vector<float> lse = std::vector<float>(kQueries * kHeads);

  strobe::ForwardTensors tensors() {
    return {.q = {q.data(), {1, kQueries, kHeads, kDim}},
            .k = {k.data(), {1, kKeys, kHeadsKv, kDim}},
            .v = {v.data(), {1, kKeys, kHeadsKv, kDim}},
            .o = {o.data(), {1, kQueries, kHeads, kDim}},
            .lse = {lse.data(), {1, kHeads, kQueries}}};
  }
};

/// A query, a key, and their product times 1 / sqrt(dim).
struct Pair {
  std::int64_t head, row, key;
  double s;
};

/// One row of one head in plain loops: o, and lse at the end.
template <class Score>
std::array<double, kDim + 1> plain_row(const Sequence& in, std::int64_t head, std::int64_t row,
                                       const Score& score) {
  const auto at = [](std::int64_t index, std::int64_t heads, std::int64_t h) {
    return static_cast<std::size_t>((index * heads + h) * kDim);
  };
  const std::int64_t head_kv = head / (kHeads / kHeadsKv);
  std::array<double, kDim + 1> sum{};
  for (std::int64_t key = 0; key < kKeys; ++key) {
    double s = 0;
    for (std::size_t d = 0; d < kDim; ++d)
      s += double{in.q[at(row, kHeads, head) + d]} * in.k[at(key, kHeadsKv, head_kv) + d];
    const double p = std::exp(score(Pair{head, row, key, s / std::sqrt(double{kDim})}));
    for (std::size_t d = 0; d < kDim; ++d) sum[d] += p * in.v[at(key, kHeadsKv, head_kv) + d];
    sum[kDim] += p;
  }
  for (std::size_t d = 0; d < kDim; ++d) sum[d] = sum[kDim] > 0 ? sum[d] / sum[kDim] : 0;
  sum[kDim] = std::log(sum[kDim]);
  return sum;
}

/// Prints whether o and lse are those of plain loops whose scores are score(pair), kHidden where
/// the row does not see the key.
template <class Score>
bool right(const char* name, const Sequence& in, const Score& score, double most = 1e-5) {
  double error = 0;
  for (std::int64_t head = 0; head < kHeads; ++head)
    for (std::int64_t row = 0; row < kQueries; ++row) {
      const auto want = plain_row(in, head, row, score);
      const double lse = in.lse[static_cast<std::size_t>(head * kQueries + row)];
      if (lse != want[kDim]) error = std::max(error, std::abs(lse - want[kDim]));
      for (std::size_t d = 0; d < kDim; ++d) {
        const auto at = static_cast<std::size_t>((row * kHeads + head) * kDim) + d;
        error = std::max(error, std::abs(in.o[at] - want[d]));
      }
    }
  std::printf("%-24s %s\n", name, error < most ? "right" : "WRONG");
  return error < most;
}

/// right() for masks: sees(pair) says whether the row sees the key.
template <class Sees>
bool right_mask(const char* name, const Sequence& in, const Sees& sees) {
  return right(name, in, [&](const Pair& at) { return sees(at) ? at.s : kHidden; });
}
