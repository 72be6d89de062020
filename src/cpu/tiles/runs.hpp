// Which parts of a tile of scores are worth computing: the edges of masks, 16 keys at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/tiling.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Keys [begin, end) of a block against lane groups [group, group + groups). The groups are all,
/// the first few or the last few: causal edges lose the first, windows the last ones.
struct Run {
  int begin = 0;
  int end = 0;
  int group = 0;
  int groups = 0;
  bool masked = false;

  STROBE_INLINE bool covers(int g) const { return g >= group && g < group + groups; }
};

struct Runs {
  int count = 0;
  Run run[kTileK / 16];
};

/// The runs of one query tile in the key block that begins at `block_begin`.
template <class C>
STROBE_INLINE void plan_runs(const TileRows& rows, std::int64_t block_begin, Runs& runs) {
  runs.count = 0;
  if (classify(rows.all, {block_begin, block_begin + kTileK}) == Tile::Full &&
      rows.count > C::kTileQ - C::kLanes) {
    runs.run[0] = {0, kTileK, 0, C::kGroups, false};
    runs.count = 1;
    return;
  }
  for (int begin = 0; begin < kTileK; begin += C::kChunk) {
    const Range keys{block_begin + begin, block_begin + begin + C::kChunk};
    int first = C::kGroups, last = -1;
    bool masked = false;
    for (int g = 0; g < C::kGroups; ++g) {
      const Tile kind = classify(rows.group[g], keys);
      if (kind == Tile::Empty) continue;
      if (first > g) first = g;
      last = g;
      masked |= kind == Tile::Partial;
    }
    if (last < 0) continue;
    if (first > 0) last = C::kGroups - 1;  // a prefix or a suffix of the groups
    for (int g = first; g <= last; ++g) masked |= classify(rows.group[g], keys) != Tile::Full;
    const int groups = last - first + 1;
    masked |= groups <= C::kNarrow;  // edges are always masked: fewer kernels
    const Run next{begin, begin + C::kChunk, first, groups, masked};
    Run* const previous = runs.count > 0 ? &runs.run[runs.count - 1] : nullptr;
    if (previous != nullptr && previous->end == begin && previous->group == next.group &&
        previous->groups == next.groups && previous->masked == masked) {
      previous->end = next.end;
    } else {
      runs.run[runs.count++] = next;
    }
  }
}

/// The rows' intervals relative to a key block, for comparing a vector of rows with one key.
struct Limits {
  alignas(64) std::int32_t begin[kMaxTileQ];
  alignas(64) std::int32_t end[kMaxTileQ];
  alignas(64) std::int32_t sink_begin[kMaxTileQ];
  alignas(64) std::int32_t sink_end[kMaxTileQ];
  bool sinks = false;

  /// Which lanes of a group see key `key` of the block.
  STROBE_INLINE typename Simd::Bits visible(int lane, int key) const {
    const auto window = Simd::between(begin + lane, key, end + lane);
    if (!sinks) return window;
    return Simd::either(window, Simd::between(sink_begin + lane, key, sink_end + lane));
  }
};

STROBE_INLINE std::int32_t within_block(std::int64_t key, std::int64_t block_begin) {
  const std::int64_t offset = key - block_begin;
  return static_cast<std::int32_t>(offset < 0 ? 0 : offset > kTileK ? kTileK : offset);
}

template <class C>
STROBE_NOINLINE void set_limits(const TileRows& rows, std::int64_t block_begin, Limits& limits) {
  limits.sinks = rows.all.sink_begin_min < rows.all.sink_end_max;
  for (int lane = 0; lane < C::kTileQ; ++lane) {
    limits.begin[lane] = within_block(rows.keys[lane].begin, block_begin);
    limits.end[lane] = within_block(rows.keys[lane].end, block_begin);
    limits.sink_begin[lane] = within_block(rows.keys[lane].sink_begin, block_begin);
    limits.sink_end[lane] = within_block(rows.keys[lane].sink_end, block_begin);
  }
}

}  // namespace strobe::cpu::STROBE_ISA
