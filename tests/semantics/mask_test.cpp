// Mask::keys against the rules said one by one, and the laws that kernels build on.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/mask.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/support/mask_by_rules.hpp"
#include "tests/support/random_masks.hpp"

namespace strobe {
namespace {

using testing::MaskCase;
using testing::RandomMasks;
using testing::sees_by_rules;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr int kCases = 20000;

/// What one row sees, as '#' and '.'.
std::string row_of(const Mask& mask, Lengths lengths, std::int64_t row) {
  std::string text;
  for (std::int64_t key = 0; key < lengths.k; ++key)
    text += mask.allows(row, key, lengths) ? '#' : '.';
  return text;
}

TEST(Mask, WithoutOptionsSeesEverything) { EXPECT_EQ(row_of({}, {3, 5}, 0), "#####"); }

TEST(Mask, LastQuerySitsOnLastKey) {
  EXPECT_EQ(row_of({.causal = true}, {2, 5}, 0), "####.");
  EXPECT_EQ(row_of({.causal = true}, {2, 5}, 1), "#####");
}

TEST(Mask, TopLeftPutsFirstQueryOnFirstKey) {
  const Mask mask{.causal = true, .align = Align::top_left};
  EXPECT_EQ(row_of(mask, {2, 5}, 0), "#....");
  EXPECT_EQ(row_of(mask, {2, 5}, 1), "##...");
}

TEST(Mask, MoreQueriesThanKeysLeavesFirstRowsEmpty) {
  EXPECT_EQ(row_of({.causal = true}, {5, 3}, 1), "...");
  EXPECT_EQ(row_of({.causal = true}, {5, 3}, 2), "#..");
}

TEST(Mask, WindowSidesAreInclusive) {
  EXPECT_EQ(row_of({.left = 1, .right = 2}, {8, 8}, 4), "...####.");
  EXPECT_EQ(row_of({.left = 0, .right = 0}, {8, 8}, 4), "....#...");
}

TEST(Mask, CausalAndRightAreBothInForce) {
  EXPECT_EQ(row_of({.causal = true, .right = 2}, {5, 5}, 1), "##...");
}

TEST(Mask, PrefixLiftsCausalAndRightButNotLeft) {
  EXPECT_EQ(row_of({.causal = true, .prefix = 4}, {6, 6}, 1), "####..");
  EXPECT_EQ(row_of({.right = 1, .prefix = 4}, {6, 6}, 0), "####..");
  EXPECT_EQ(row_of({.causal = true, .left = 1, .prefix = 4}, {6, 6}, 2), ".###..");
}

TEST(Mask, ChunkCutsBothEndsAndThePrefix) {
  EXPECT_EQ(row_of({.chunk = 3}, {8, 8}, 4), "...###..");
  EXPECT_EQ(row_of({.causal = true, .chunk = 3}, {8, 8}, 4), "...##...");
  EXPECT_EQ(row_of({.causal = true, .chunk = 3, .prefix = 8}, {8, 8}, 4), "...###..");
}

TEST(Mask, ChunksOfNegativePositionsHoldNoKey) {
  EXPECT_EQ(row_of({.chunk = 4}, {5, 3}, 1), "...");
  EXPECT_EQ(row_of({.chunk = 4}, {5, 3}, 2), "###");
}

TEST(Mask, SinkTokensOutliveTheWindow) {
  EXPECT_EQ(row_of({.causal = true, .left = 1, .sink_tokens = 2}, {8, 8}, 5), "##..##..");
}

TEST(Mask, SinkTokensObeyCausal) {
  EXPECT_EQ(row_of({.causal = true, .left = 1, .sink_tokens = 4}, {8, 8}, 1), "##......");
}

TEST(Mask, SinkTokensAreTheChunksOwn) {
  EXPECT_EQ(row_of({.causal = true, .left = 0, .chunk = 4, .sink_tokens = 1}, {8, 8}, 6),
            "....#.#.");
}

TEST(Mask, LargestIntegersMeanUnbounded) {
  const Mask mask{.causal = true,
                  .left = kLargest,
                  .right = kLargest,
                  .chunk = kLargest,
                  .prefix = kLargest,
                  .sink_tokens = kLargest};
  EXPECT_EQ(row_of(mask, {4, 4}, 1), "####");
  EXPECT_EQ(row_of(mask, {6, 4}, 1), "....") << "chunk -1 holds no key";
}

TEST(Mask, IsAConstantExpression) {
  static_assert(Mask{.causal = true}.keys(3, {8, 8}).end == 4);
  static_assert(!Mask{.causal = true}.allows(3, 4, {8, 8}));
  static_assert(Mask{.causal = true, .left = 1, .sink_tokens = 1}.keys(5, {8, 8}).count() == 3);
}

TEST(MaskLaw, KeysAreWhatTheRulesSay) {
  RandomMasks masks(1);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = masks.next();
    for (std::int64_t row = 0; row < c.lengths.q; ++row) {
      for (std::int64_t key = -1; key <= c.lengths.k; ++key) {
        ASSERT_EQ(c.mask.allows(row, key, c.lengths), sees_by_rules(c.mask, c.lengths, row, key))
            << c << ", row " << row << ", key " << key;
      }
    }
  }
}

TEST(MaskLaw, CountIsTheNumberOfKeysSeen) {
  RandomMasks masks(2);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = masks.next();
    for (std::int64_t row = 0; row < c.lengths.q; ++row) {
      std::int64_t seen = 0;
      for (std::int64_t key = 0; key < c.lengths.k; ++key)
        seen += sees_by_rules(c.mask, c.lengths, row, key) ? 1 : 0;
      ASSERT_EQ(c.mask.keys(row, c.lengths).count(), seen) << c << ", row " << row;
    }
  }
}

// Tiles are judged by their first and last row; that rests on this.
TEST(MaskLaw, BoundsNeverFallFromRowToRow) {
  RandomMasks masks(3);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = masks.next();
    for (std::int64_t row = 1; row < c.lengths.q; ++row) {
      const Keys before = c.mask.keys(row - 1, c.lengths);
      const Keys here = c.mask.keys(row, c.lengths);
      ASSERT_LE(before.begin, here.begin) << c << ", row " << row;
      ASSERT_LE(before.end, here.end) << c << ", row " << row;
      ASSERT_LE(before.sink_begin, here.sink_begin) << c << ", row " << row;
      ASSERT_LE(before.sink_end, here.sink_end) << c << ", row " << row;
    }
  }
}

// Whoever walks [sink_begin, min(sink_end, begin)) and then [begin, end) meets each key once.
TEST(MaskLaw, SinksComeFirstAndKeysLieInTheSequence) {
  RandomMasks masks(4);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = masks.next();
    for (std::int64_t row = 0; row < c.lengths.q; ++row) {
      const Keys keys = c.mask.keys(row, c.lengths);
      ASSERT_GE(keys.sink_begin, 0) << c << ", row " << row;
      ASSERT_LE(keys.sink_begin, keys.begin) << c << ", row " << row;
      ASSERT_LE(keys.sink_end, keys.end) << c << ", row " << row;
      ASSERT_LE(keys.end, c.lengths.k) << c << ", row " << row;
    }
  }
}

// Long sequences, where a sum of lengths or of positions could leave 32 bits.
TEST(MaskLaw, HoldsAtLengthsBeyond32Bits) {
  const Lengths lengths{std::int64_t{1} << 33, std::int64_t{1} << 34};
  const Mask mask{.causal = true, .left = 3, .chunk = kLargest / 2, .sink_tokens = 2};
  const std::int64_t row = lengths.q - 1;
  EXPECT_EQ(mask.keys(row, lengths).begin, lengths.k - 4);
  EXPECT_EQ(mask.keys(row, lengths).end, lengths.k);
  EXPECT_EQ(mask.keys(row, lengths).count(), 6);
}

}  // namespace
}  // namespace strobe
