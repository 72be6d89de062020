// Which keys a query sees.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace strobe {

/// Where the queries sit among the keys when a sequence has more of one than of the other.
enum class Align : std::int32_t {
  bottom_right,  ///< the last query sits on the last key: pos(row) = row + seqlen_k - seqlen_q
  top_left,      ///< the first query sits on the first key: pos(row) = row
};

/// Numbers of queries and keys of one sequence.
struct Lengths {
  std::int64_t q = 0;
  std::int64_t k = 0;
};

/// The keys that one row sees: [begin, end), and the sink tokens [sink_begin, sink_end).
/// Either may be empty, and the two may overlap.
struct Keys {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t sink_begin = 0;
  std::int64_t sink_end = 0;

  constexpr bool contains(std::int64_t key) const {
    return (key >= begin && key < end) || (key >= sink_begin && key < sink_end);
  }
  constexpr std::int64_t count() const {
    const std::int64_t window = std::max<std::int64_t>(0, end - begin);
    if (window == 0) return std::max<std::int64_t>(0, sink_end - sink_begin);
    return window + std::max<std::int64_t>(0, std::min(sink_end, begin) - sink_begin);
  }
};

/// The keys [begin, end) that a row may see at most: key_begin and key_end of the call. Any values
/// are legal; end <= begin sees nothing.
struct RowLimits {
  std::int64_t begin = 0;
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
};

/// All fields act together; none replaces another. docs/semantics.md draws them.
struct Mask {
  bool causal = false;      ///< no key after the row's own position
  std::int64_t left = -1;   ///< keys before the row's position that it sees; -1: all
  std::int64_t right = -1;  ///< keys after the row's position that it sees; -1: all
  Align align = Align::bottom_right;
  std::int64_t chunk = 0;        ///< rows see only keys of their own chunk of positions; 0: off
  std::int64_t prefix = 0;       ///< the first keys that causal and right never cut; 0: off
  std::int64_t sink_tokens = 0;  ///< the first keys of sequence or chunk, which left never cuts
  std::int64_t block_q = 0;      ///< queries of a block of the block map `blocks`; 0: no map
  std::int64_t block_k = 0;      ///< its keys; both or neither

  /// The row's place among the keys; negative where there are more queries than keys.
  constexpr std::int64_t position(std::int64_t row, Lengths n) const {
    return align == Align::bottom_right ? row + n.k - n.q : row;
  }

  /// The one definition of masking by intervals: everything else derives from it.
  constexpr Keys keys(std::int64_t row, Lengths n, RowLimits limits = {}) const {
    const std::int64_t pos = position(row, n);
    std::int64_t hard = std::max<std::int64_t>(0, limits.begin);  // no key before it, no sink
    std::int64_t end = std::min(n.k, limits.end);
    std::int64_t forward_end = n.k;  // causal and right, which the prefix lifts
    if (causal) forward_end = std::min(forward_end, pos + 1);
    if (right >= 0 && right < n.k + n.q) forward_end = std::min(forward_end, pos + right + 1);
    end = std::min(end, std::max(forward_end, prefix));
    if (chunk > 0) {
      const std::int64_t first = pos - floor_mod(pos, chunk);
      hard = std::max(hard, first);
      if (first < n.k - chunk) end = std::min(end, first + chunk);
    }
    const std::int64_t soft = left >= 0 && left < n.k + n.q ? pos - left : 0;
    const std::int64_t sinks = std::min(sink_tokens, n.k);
    return {std::max(hard, soft), end, hard, std::min(hard + sinks, end)};
  }

  constexpr bool allows(std::int64_t row, std::int64_t key, Lengths n) const {
    return keys(row, n).contains(key);
  }

  constexpr bool operator==(const Mask&) const = default;

 private:
  static constexpr std::int64_t floor_mod(std::int64_t value, std::int64_t by) {
    const std::int64_t rest = value % by;
    return rest < 0 ? rest + by : rest;
  }
};

}  // namespace strobe
