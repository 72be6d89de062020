// Where the keys and values of one block lie that some row of a decode task sees.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/key_source.hpp"
#include "cpu/tiles/tiling.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::cpu::STROBE_ISA {

/// The rows of one block of keys and values, for the task's first key head.
template <class C>
struct BlockRows {
  std::int64_t block = kNoBlock;
  int begin = 0, end = 0;  // keys that some row sees
  KeptRow k[kTileK];
  KeptRow v[kTileK];

  int first_chunk() const { return begin / C::kChunk * C::kChunk; }
  int chunks_end() const { return static_cast<int>(round_up(end, C::kChunk)); }

  /// Keys that no row sees repeat the nearest that some row does.
  void find(const KeySource& source, std::int64_t index, const RowBounds& bounds) {
    block = index;
    const Range seen = seen_of_block(bounds, index * kTileK);
    begin = static_cast<int>(seen.begin);
    end = static_cast<int>(seen.end);
    for (int i = begin; i < end; ++i) {
      k[i] = source.k_row(index * kTileK + i);
      v[i] = source.v_row(index * kTileK + i);
    }
    for (int i = 0; i < begin; ++i) k[i] = k[begin], v[i] = v[begin];
    for (int i = end; i < kTileK; ++i) k[i] = k[end - 1], v[i] = v[end - 1];
  }

 private:
  /// Keys of a block that the bounds reach, relative to its first.
  static Range seen_of_block(const RowBounds& bounds, std::int64_t block_begin) {
    Range seen{kTileK, 0};
    const auto add = [&](std::int64_t from, std::int64_t to) {
      if (from >= to || to <= block_begin || from >= block_begin + kTileK) return;
      from = from < block_begin ? 0 : from - block_begin;
      to = to > block_begin + kTileK ? kTileK : to - block_begin;
      if (from < seen.begin) seen.begin = from;
      if (to > seen.end) seen.end = to;
    };
    add(bounds.begin_min, bounds.end_max);
    add(bounds.sink_begin_min, bounds.sink_end_max);
    return seen;
  }
};

}  // namespace strobe::cpu::STROBE_ISA
