// The rows that a check looks at when there are too many for float64.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <tuple>

#include "harness/accuracy.hpp"

namespace strobe::harness {
namespace {

/// First and last rows of tiles of 16, 32, 64, 128 and 512 rows.
constexpr std::int64_t kEdges[] = {0, 1, 15, 16, 31, 32, 63, 64, 127, 128, 511, 512, 1023, 1024};
/// At least this many rows, tile edges included, where there are as many.
constexpr std::size_t kDrawn = 24;
constexpr std::size_t kLeast = 64;

/// splitmix64 (Steele, Lea, Flood, 2014)
struct Draws {
  std::uint64_t state;
  std::int64_t below(std::int64_t n) {
    std::uint64_t x = state += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return static_cast<std::int64_t>((x ^ (x >> 31)) % static_cast<std::uint64_t>(n));
  }
};

using Row = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // batch, head, row

void add_edges(const ForwardParams& p, std::int64_t batch, std::int64_t head, std::set<Row>& rows) {
  const Sequence s = sequence(p, batch);
  const auto add = [&](std::int64_t row) {
    if (row >= 0 && row < s.rows) rows.insert({batch, head, row});
  };
  for (const std::int64_t edge : kEdges) add(edge);
  // The last tile and its neighbours, of the sequence and of its padding.
  for (const std::int64_t back : {1, 2, 16, 17, 64, 65}) add(s.lengths.q - back);
  add(s.lengths.q);
  add(s.rows - 1);
}

}  // namespace

std::vector<Place> sampled_rows(const ForwardParams& p, std::uint64_t seed) {
  std::int64_t total = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) total += sequence(p, b).rows * p.num_heads;
  if (total == 0) return {};
  std::set<Row> rows;
  const std::int64_t last_batch = p.batch - 1;
  const std::int64_t last_head = p.num_heads - 1;
  add_edges(p, 0, 0, rows);
  add_edges(p, last_batch / 2, last_head / 2, rows);
  add_edges(p, last_batch, last_head, rows);

  Draws draws{seed ^ 0x5374726f6265ull};
  const std::size_t wanted = std::min<std::size_t>(std::max(kLeast, rows.size() + kDrawn),
                                                   static_cast<std::size_t>(total));
  // Sequences may be empty, so a draw may hit nothing: many draws, then the rows in order.
  for (int draw = 0; draw < 10000 && rows.size() < wanted; ++draw) {
    const std::int64_t batch = draws.below(p.batch);
    const std::int64_t head = draws.below(p.num_heads);
    const std::int64_t n = sequence(p, batch).rows;
    if (n > 0) rows.insert({batch, head, draws.below(n)});
  }
  for (std::int64_t b = 0; b < p.batch && rows.size() < wanted; ++b) {
    for (std::int64_t row = 0; row < sequence(p, b).rows && rows.size() < wanted; ++row)
      rows.insert({b, 0, row});
  }
  std::vector<Place> places;
  places.reserve(rows.size());
  for (const auto& [batch, head, row] : rows) places.push_back({batch, head, row});
  return places;
}

}  // namespace strobe::harness
