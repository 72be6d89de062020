// Which keys the rows of a task see, asked of the mask once per row.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/decode_task.hpp"
#include "cpu/forward_task.hpp"
#include "semantics/score_rule.hpp"

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
        tile.keys[lane] = lane < tile.count
                              ? joined(row_keys(p, task.sequence, task.head, tile.first_row + lane))
                              : tile.keys[tile.count - 1];
        if (lane < tile.count) tile.group[group].add(tile.keys[lane]);
      }
      tile.all.add(tile.group[group]);
    }
    all.add(tile.all);
  }
  return all;
}

RowBounds see_few(const ForwardParams& p, const Sequence& sequence, std::int64_t kv_head,
                  std::int64_t first, int count, Keys* keys) {
  RowBounds bounds;
  for (int i = 0; i < count; ++i) {
    const DecodeRow row = decode_row(p, kv_head, first + i);
    keys[i] = joined(row_keys(p, sequence, row.head, row.query));
    bounds.add(keys[i]);
  }
  return bounds;
}

bool sees(const ForwardParams& p, const Sequence& sequence, const DecodeRow& row, const Keys& keys,
          std::int64_t key) {
  return keys.contains(key) && pair_visible(p, {sequence, row.head, row.query, key});
}

Tile block_tile(const ForwardParams& p, const ForwardTask& task, std::int64_t first_row,
                std::int64_t rows, Range keys) {
  if (!p.blocks.given()) return Tile::Full;
  keys.end = std::min(keys.end, task.sequence.lengths.k);
  bool some = false, all = true;
  for (std::int64_t q = first_row / p.mask.block_q; q * p.mask.block_q < first_row + rows; ++q)
    for (std::int64_t k = keys.begin / p.mask.block_k; k * p.mask.block_k < keys.end; ++k) {
      const bool seen = truth(p.blocks, p.blocks.offset(task.sequence.index, task.head, q, k));
      some |= seen;
      all &= seen;
    }
  return all ? Tile::Full : some ? Tile::Partial : Tile::Empty;
}

std::uint32_t hidden_keys(const ForwardParams& p, const ForwardTask& task, std::int64_t row,
                          Range keys) {
  const std::int64_t q = row / p.mask.block_q;
  std::uint32_t bits = 0;
  for (std::int64_t key = keys.begin; key < keys.end; ++key)
    if (!truth(p.blocks, p.blocks.offset(task.sequence.index, task.head, q, key / p.mask.block_k)))
      bits |= std::uint32_t{1} << (key - keys.begin);
  return bits;
}

std::uint64_t pair_bits(const ForwardParams& p, const ForwardTask& task, const TileRows& tile,
                        std::int64_t key) {
  std::uint64_t bits = 0;
  if (key >= task.sequence.lengths.k) return bits;
  for (int lane = 0; lane < tile.count; ++lane)
    if (pair_visible(p, {task.sequence, task.head, tile.first_row + lane, key}))
      bits |= std::uint64_t{1} << lane;
  return bits;
}

void clear_rows(const ForwardParams& p, const ForwardTask& task, std::int64_t first_row,
                std::int64_t rows) {
  const Sequence& s = task.sequence;
  for (std::int64_t row = s.first_q + first_row; row < s.first_q + first_row + rows; ++row) {
    std::byte* o = static_cast<std::byte*>(p.o) +
                   p.o_strides.offset(s.batch, row, task.head) * size_of(p.o_dtype);
    std::memset(o, 0, static_cast<std::size_t>(p.head_dim_v * size_of(p.o_dtype)));
    if (p.lse != nullptr)
      store_element(p.lse, p.lse_dtype, p.lse_strides.offset(s.batch, row, task.head),
                    row - s.first_q < s.lengths.q ? sink_logit(p, task.head)
                                                  : -std::numeric_limits<double>::infinity());
  }
}

}  // namespace strobe::cpu
