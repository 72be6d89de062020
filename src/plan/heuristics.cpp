// The choice of tile counts, with the measurements behind it.
// SPDX-License-Identifier: Apache-2.0
#include "plan/heuristics.hpp"

#include <algorithm>

namespace strobe::plan {

std::int64_t count_tasks(const Problem& problem, const cpu::ForwardKernel& kernel, int tiles) {
  const std::int64_t rows = std::int64_t{tiles} * kernel.tile_q;
  return problem.batch * problem.num_heads * ((problem.seqlen_q + rows - 1) / rows);
}

namespace {

/// The more tiles, the more rarely a key block is copied or read from afar; but o and q of all
/// tiles should stay in L2 (1 MB) where they can. Measured on Zen 4, bench/notes.md: at d=64 16
/// tiles of 64 rows beat 8 by .5 to 1 %, from 160 to 256 dims 8 beat 4 by 2 %; on Zen 3 with AVX2 4
/// tiles of 24 rows lose 10 % against 16, and 32 are as good.
int largest_tiles(const Problem& problem, const cpu::ForwardKernel& kernel) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const auto bytes = [&](int tiles) {
    return kernel.scratch_bytes(problem.head_dim, problem.head_dim_v, tiles);
  };
  int tiles = cpu::kMaxTiles;
  while (tiles > 16 && tiles * kernel.tile_q > cpu::kMaxTaskRows) tiles /= 2;
  while (tiles >= 16 && bytes(tiles) > 5 * kMiB / 4) tiles /= 2;
  return tiles == 8 && bytes(tiles) > 5 * kMiB / 2 ? 4 : tiles;
}

}  // namespace

int choose_tiles(const Problem& problem, const cpu::ForwardKernel& kernel, int threads) {
  int tiles = largest_tiles(problem, kernel);
  while (tiles > 1 && std::int64_t{tiles / 2} * kernel.tile_q >= problem.seqlen_q) tiles /= 2;
  if (threads == 1) return tiles;
  // Four tasks a thread keep the end even. A last tile alone costs more than an uneven end.
  while (tiles > 2 && count_tasks(problem, kernel, tiles) < 4 * std::int64_t{threads}) tiles /= 2;
  if (tiles == 2 && count_tasks(problem, kernel, tiles) < std::int64_t{threads}) tiles = 1;
  return tiles;
}

}  // namespace strobe::plan
