// Random masks and lengths, small enough to be enumerated, with every option on about half the
// time and with the largest integers among the values. The same on every machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <ostream>
#include <random>

#include "strobe/mask.hpp"

namespace strobe::testing {

struct MaskCase {
  Mask mask{};
  Lengths lengths{};
};

inline std::ostream& operator<<(std::ostream& out, const MaskCase& c) {
  return out << "q" << c.lengths.q << " k" << c.lengths.k << (c.mask.causal ? " causal" : "")
             << " window=" << c.mask.left << "," << c.mask.right
             << (c.mask.align == Align::top_left ? " align=top_left" : "")
             << " chunk=" << c.mask.chunk << " prefix=" << c.mask.prefix
             << " sink_tokens=" << c.mask.sink_tokens;
}

class RandomMasks {
 public:
  explicit RandomMasks(std::uint64_t seed) : engine_(seed) {}

  /// From 0 to `below` - 1. Not std::uniform_int_distribution: it differs between libraries.
  std::int64_t draw(std::int64_t below) {
    return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(below));
  }

  /// Lengths up to `longest`, 0 included.
  MaskCase next(std::int64_t longest = 24) {
    MaskCase c;
    c.lengths = {draw(longest + 1), draw(longest + 1)};
    c.mask.causal = draw(2) == 0;
    c.mask.align = draw(3) == 0 ? Align::top_left : Align::bottom_right;
    c.mask.left = side(longest);
    c.mask.right = side(longest);
    c.mask.chunk = size(longest);
    c.mask.prefix = size(longest);
    c.mask.sink_tokens = size(longest / 3);
    return c;
  }

 private:
  static constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

  std::int64_t huge() {
    constexpr std::array<std::int64_t, 4> kHuge = {kLargest, kLargest - 1, kLargest / 2,
                                                   std::int64_t{1} << 40};
    return kHuge[static_cast<std::size_t>(draw(4))];
  }
  /// A window side: off, small or huge.
  std::int64_t side(std::int64_t longest) {
    const std::int64_t kind = draw(10);
    if (kind < 4) return -1;
    return kind == 9 ? huge() : draw(longest);
  }
  /// A length that 0 turns off.
  std::int64_t size(std::int64_t longest) {
    const std::int64_t kind = draw(10);
    if (kind < 5) return 0;
    return kind == 9 ? huge() : 1 + draw(longest);
  }

  std::mt19937_64 engine_;
};

}  // namespace strobe::testing
