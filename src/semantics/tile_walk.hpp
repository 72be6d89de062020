// Which key tiles a set of query rows visits, and which of them need masking.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

#include "semantics/inline.hpp"
#include "strobe/mask.hpp"

namespace strobe {

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// What the rows of a query tile see of a key tile: nothing, some pairs, all pairs.
enum class Tile : std::int32_t { Empty, Partial, Full };

/// The same keys with sinks and window as one interval where they touch.
constexpr Keys joined(Keys keys) {
  if (keys.sink_end < keys.begin || keys.sink_begin > keys.begin) return keys;
  return {keys.sink_begin, keys.end, 0, 0};
}

/// The intervals of several rows, summed up by their least and greatest ends. Rows need not be in
/// order, nor their intervals monotone.
struct RowBounds {
  static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

  std::int64_t begin_min = kMost, begin_max = kLeast;
  std::int64_t end_min = kMost, end_max = kLeast;
  std::int64_t sink_begin_min = kMost, sink_begin_max = kLeast;
  std::int64_t sink_end_min = kMost, sink_end_max = kLeast;

  constexpr void add(const Keys& row) {
    const Keys keys = joined(row);
    if (keys.begin < keys.end) {
      begin_min = std::min(begin_min, keys.begin);
      begin_max = std::max(begin_max, keys.begin);
      end_min = std::min(end_min, keys.end);
      end_max = std::max(end_max, keys.end);
    } else {
      begin_max = kMost;  // no tile is Full for a row without a window
    }
    if (keys.sink_end <= keys.sink_begin) {
      sink_end_min = kLeast;  // a row without sinks of its own
      return;
    }
    sink_begin_min = std::min(sink_begin_min, keys.sink_begin);
    sink_begin_max = std::max(sink_begin_max, keys.sink_begin);
    sink_end_min = std::min(sink_end_min, keys.sink_end);
    sink_end_max = std::max(sink_end_max, keys.sink_end);
  }

  constexpr void add(const RowBounds& other) {
    begin_min = std::min(begin_min, other.begin_min);
    begin_max = std::max(begin_max, other.begin_max);
    end_min = std::min(end_min, other.end_min);
    end_max = std::max(end_max, other.end_max);
    sink_begin_min = std::min(sink_begin_min, other.sink_begin_min);
    sink_begin_max = std::max(sink_begin_max, other.sink_begin_max);
    sink_end_min = std::min(sink_end_min, other.sink_end_min);
    sink_end_max = std::max(sink_end_max, other.sink_end_max);
  }
};

/// The law: Full implies that every row sees every key, Empty that no row sees any.
STROBE_INLINE constexpr Tile classify(const RowBounds& rows, Range keys) {
  const bool in_window = keys.begin < rows.end_max && keys.end > rows.begin_min;
  const bool in_sinks = keys.begin < rows.sink_end_max && keys.end > rows.sink_begin_min;
  if (!in_window && !in_sinks) return Tile::Empty;
  if (keys.begin >= rows.begin_max && keys.end <= rows.end_min) return Tile::Full;
  if (keys.begin >= rows.sink_begin_max && keys.end <= rows.sink_end_min) return Tile::Full;
  return Tile::Partial;
}

/// Key blocks [block * size, (block + 1) * size) lie at fixed positions of the sequence, whoever
/// asks, so that a row's result does not depend on its neighbours.
inline constexpr std::int64_t kNoBlock = -1;

/// The first block at or after `block` that some row may see, or kNoBlock.
STROBE_INLINE constexpr std::int64_t next_block(const RowBounds& rows, std::int64_t block,
                                                std::int64_t size) {
  std::int64_t best = kNoBlock;
  if (rows.begin_min < rows.end_max) {
    const std::int64_t first = rows.begin_min / size, last = (rows.end_max - 1) / size;
    const std::int64_t next = block > first ? block : first;
    if (next <= last) best = next;
  }
  if (rows.sink_begin_min < rows.sink_end_max) {
    const std::int64_t first = rows.sink_begin_min / size, last = (rows.sink_end_max - 1) / size;
    const std::int64_t next = block > first ? block : first;
    if (next <= last && (best == kNoBlock || next < best)) best = next;
  }
  return best;
}

}  // namespace strobe
