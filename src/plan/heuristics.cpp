// The choice of tile counts, with the measurements behind it.
// SPDX-License-Identifier: Apache-2.0
#include "plan/heuristics.hpp"

#include <algorithm>

namespace strobe::plan {

std::int64_t count_tasks(const Problem& problem, const cpu::ForwardKernel& kernel, int tiles) {
  const std::int64_t rows = std::int64_t{tiles} * kernel.tile_q;
  return problem.batch * problem.num_heads * ((problem.seqlen_q + rows - 1) / rows);
}

int choose_tiles(const Problem& problem, const cpu::ForwardKernel& kernel, int threads) {
  // As many as leave room in a 1 MB L2 for keys and scores: each key block is then copied, or read
  // from afar, as rarely as possible (d=64: 16 instead of 8 tiles give .5 to 1 %).
  const std::int64_t dims = std::max(problem.head_dim, problem.head_dim_v);
  int tiles = dims > 128 ? 4 : dims > 64 ? 8 : cpu::kMaxTiles;
  while (tiles > 1 && std::int64_t{tiles / 2} * kernel.tile_q >= problem.seqlen_q) tiles /= 2;
  if (threads == 1) return tiles;
  // Four tasks a thread keep the end even. A last tile alone costs more than an uneven end.
  while (tiles > 2 && count_tasks(problem, kernel, tiles) < 4 * std::int64_t{threads}) tiles /= 2;
  if (tiles == 2 && count_tasks(problem, kernel, tiles) < std::int64_t{threads}) tiles = 1;
  return tiles;
}

}  // namespace strobe::plan
