// Which keys the rows of a task see, asked of the mask once per row.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/forward_task.hpp"

namespace strobe::cpu {

RowBounds see(const ForwardParams& p, const ForwardTask& task, int lanes, int groups,
              TileRows* tiles) {
  const int tile_q = lanes * groups;
  const Lengths n = task.sequence.lengths;
  RowBounds all;
  const std::int64_t rows = std::min(task.rows, n.q - task.first_row);
  for (std::int64_t done = 0; done < rows; done += tile_q) {
    TileRows& tile = *tiles++;
    tile.first_row = task.first_row + done;
    tile.count = static_cast<int>(std::min<std::int64_t>(tile_q, rows - done));
    tile.all = RowBounds{};
    for (int group = 0; group < groups; ++group) {
      tile.group[group] = RowBounds{};
      for (int lane = group * lanes; lane < (group + 1) * lanes; ++lane) {
        tile.keys[lane] = lane < tile.count ? joined(p.mask.keys(tile.first_row + lane, n))
                                            : tile.keys[tile.count - 1];
        if (lane < tile.count) tile.group[group].add(tile.keys[lane]);
      }
      tile.all.add(tile.group[group]);
    }
    all.add(tile.all);
  }
  return all;
}

void clear_rows(const ForwardParams& p, const ForwardTask& task, std::int64_t first_row,
                std::int64_t rows) {
  const Sequence& s = task.sequence;
  for (std::int64_t row = s.first_q + first_row; row < s.first_q + first_row + rows; ++row) {
    std::byte* o = static_cast<std::byte*>(p.o) +
                   p.o_strides.offset(s.batch, row, task.head) * size_of(p.o_dtype);
    std::memset(o, 0, static_cast<std::size_t>(p.head_dim_v * size_of(p.o_dtype)));
    if (p.lse != nullptr)
      static_cast<float*>(p.lse)[p.lse_strides.offset(s.batch, row, task.head)] =
          -std::numeric_limits<float>::infinity();
  }
}

}  // namespace strobe::cpu
