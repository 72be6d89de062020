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
  bool blocks = false;  // some pair of it is hidden by the block map

  STROBE_INLINE bool covers(int g) const { return g >= group && g < group + groups; }
};

struct Runs {
  int count = 0;
  Run run[kTileK / 16];
};

/// What the rows of lane group g see of some keys: by their intervals, and by the block map.
struct Sight {
  Tile intervals = Tile::Empty;
  Tile blocks = Tile::Full;
  bool empty() const { return intervals == Tile::Empty || blocks == Tile::Empty; }
};

template <class C>
STROBE_INLINE Sight sight(const ForwardParams& p, const ForwardTask& task, const TileRows& rows,
                          int g, Range keys) {
  Sight sight{classify(rows.group[g], keys), Tile::Full};
  if (p.blocks.given() && sight.intervals != Tile::Empty) {
    const int left = rows.count - g * C::kLanes;
    sight.blocks = block_tile(p, task, rows.first_row + g * C::kLanes,
                              left < C::kLanes ? left : C::kLanes, keys);
  }
  return sight;
}

/// The lane groups that see something of 16 keys, and what must be masked of them.
template <class C>
STROBE_INLINE Run plan_run(const ForwardParams& p, const ForwardTask& task, const TileRows& rows,
                           std::int64_t block_begin, int begin) {
  const Range keys{block_begin + begin, block_begin + begin + C::kChunk};
  Run run{begin, begin + C::kChunk, 0, 0, false, false};
  int first = C::kGroups, last = -1;
  for (int g = 0; g < C::kGroups; ++g) {
    if (sight<C>(p, task, rows, g, keys).empty()) continue;
    if (first > g) first = g;
    last = g;
  }
  if (last < 0) return run;
  if (first > 0) last = C::kGroups - 1;  // a prefix or a suffix of the groups
  for (int g = first; g <= last; ++g) {
    const Sight seen = sight<C>(p, task, rows, g, keys);
    run.masked |= seen.intervals != Tile::Full;
    run.blocks |= seen.blocks != Tile::Full;
  }
  run.group = first;
  run.groups = last - first + 1;
  run.masked |= run.groups <= C::kNarrow;  // edges are always masked: fewer kernels
  return run;
}

/// The runs of one query tile in the key block that begins at `block_begin`.
template <class C>
STROBE_INLINE void plan_runs(const ForwardParams& p, const ForwardTask& task, const TileRows& rows,
                             std::int64_t block_begin, Runs& runs) {
  runs.count = 0;
  const Range block{block_begin, block_begin + kTileK};
  if (classify(rows.all, block) == Tile::Full && rows.count > C::kTileQ - C::kLanes &&
      block_tile(p, task, rows.first_row, rows.count, block) == Tile::Full) {
    runs.run[0] = {0, kTileK, 0, C::kGroups, false, false};
    runs.count = 1;
    return;
  }
  for (int begin = 0; begin < kTileK; begin += C::kChunk) {
    const Run next = plan_run<C>(p, task, rows, block_begin, begin);
    if (next.groups == 0) continue;
    Run* const previous = runs.count > 0 ? &runs.run[runs.count - 1] : nullptr;
    if (previous != nullptr && previous->end == begin && previous->group == next.group &&
        previous->groups == next.groups && previous->masked == next.masked &&
        previous->blocks == next.blocks) {
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
};

/// Which lanes of a group see key `key` of the block.
template <class C>
STROBE_INLINE BitsOf<C> visible(const Limits& limits, int lane, int key) {
  const auto window = C::Isa::between(limits.begin + lane, key, limits.end + lane);
  if (!limits.sinks) return window;
  return C::Isa::either(window,
                        C::Isa::between(limits.sink_begin + lane, key, limits.sink_end + lane));
}

/// Limits, and what masks pairs besides: for the slow way around non-finite values.
struct Seen {
  const Limits& limits;
  const std::uint64_t* pairs;  // of each key of the block, a bit for each row; null: all set
};

template <class C>
STROBE_INLINE BitsOf<C> visible(const Seen& seen, int lane, int key) {
  const BitsOf<C> inside = visible<C>(seen.limits, lane, key);
  if (seen.pairs == nullptr) return inside;
  alignas(64) RealOf<C> hidden[C::kLanes];
  for (int i = 0; i < C::kLanes; ++i)
    hidden[i] = (seen.pairs[key] >> (lane + i) & 1) != 0 ? RealOf<C>(0) : RealOf<C>(1);
  const auto x = C::Isa::select(inside, C::Isa::load(hidden), C::Isa::set(1));
  return C::Isa::equal(x, C::Isa::zero());
}

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
