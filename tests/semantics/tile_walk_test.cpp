// The law of tiles: Full implies that every row sees every key, Empty that no row sees any; and
// the walk meets every block that some row sees, once, from left to right.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/tile_walk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <vector>

#include "tests/support/mask_by_rules.hpp"
#include "tests/support/random_masks.hpp"

namespace strobe {

std::ostream& operator<<(std::ostream& out, Tile tile) {
  return out << (tile == Tile::Empty ? "Empty" : tile == Tile::Full ? "Full" : "Partial");
}

namespace {

using testing::MaskCase;
using testing::RandomMasks;
using testing::sees_by_rules;

constexpr int kCases = 5000;

RowBounds bounds_of(const MaskCase& c, Range rows) {
  RowBounds bounds;
  for (std::int64_t row = rows.begin; row < rows.end; ++row)
    bounds.add(c.mask.keys(row, c.lengths));
  return bounds;
}

/// A random non-empty range within [0, length); length >= 1.
Range random_range(RandomMasks& random, std::int64_t length) {
  const std::int64_t begin = random.draw(length);
  return {begin, begin + 1 + random.draw(length - begin)};
}

/// What the tile is, by asking for every pair.
Tile by_enumeration(const MaskCase& c, Range rows, Range keys) {
  std::int64_t seen = 0;
  for (std::int64_t row = rows.begin; row < rows.end; ++row)
    for (std::int64_t key = keys.begin; key < keys.end; ++key)
      seen += sees_by_rules(c.mask, c.lengths, row, key) ? 1 : 0;
  if (seen == 0) return Tile::Empty;
  const bool all = seen == (rows.end - rows.begin) * (keys.end - keys.begin);
  return all ? Tile::Full : Tile::Partial;
}

/// A mask and lengths with at least one row and one key.
MaskCase next_with_tiles(RandomMasks& random) {
  MaskCase c = random.next();
  c.lengths.q += 1;
  c.lengths.k += 1;
  return c;
}

TEST(TileWalk, CausalTiles) {
  const MaskCase c{.mask = {.causal = true}, .lengths = {8, 8}};
  const RowBounds rows = bounds_of(c, {4, 6});
  EXPECT_EQ(classify(rows, {0, 2}), Tile::Full);
  EXPECT_EQ(classify(rows, {3, 5}), Tile::Full);
  EXPECT_EQ(classify(rows, {4, 6}), Tile::Partial);
  EXPECT_EQ(classify(rows, {6, 8}), Tile::Empty);
}

TEST(TileWalk, NoRowsSeeNothing) {
  EXPECT_EQ(classify(RowBounds{}, {0, 8}), Tile::Empty);
  EXPECT_EQ(next_block(RowBounds{}, 0, 4), kNoBlock);
}

TEST(TileWalk, SkipsFromTheSinksToTheWindow) {
  const MaskCase c{.mask = {.causal = true, .left = 3, .sink_tokens = 2}, .lengths = {64, 64}};
  const RowBounds rows = bounds_of(c, {60, 62});
  EXPECT_EQ(next_block(rows, 0, 8), 0);
  EXPECT_EQ(next_block(rows, 1, 8), 7);
  EXPECT_EQ(next_block(rows, 8, 8), kNoBlock);
}

TEST(TileWalk, JoinedKeysAreTheSameKeys) {
  RandomMasks random(8);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = next_with_tiles(random);
    const std::int64_t row = random.draw(c.lengths.q);
    const Keys keys = c.mask.keys(row, c.lengths);
    for (std::int64_t key = 0; key < c.lengths.k; ++key)
      ASSERT_EQ(joined(keys).contains(key), keys.contains(key)) << c << ", row " << row;
  }
}

TEST(TileWalk, FullImpliesAllAndEmptyImpliesNone) {
  RandomMasks random(9);
  for (int n = 0; n < 4 * kCases; ++n) {
    const MaskCase c = next_with_tiles(random);
    const Range rows = random_range(random, c.lengths.q);
    const Range keys = random_range(random, c.lengths.k);
    const Tile tile = classify(bounds_of(c, rows), keys);
    if (tile == Tile::Partial) continue;
    ASSERT_EQ(tile, by_enumeration(c, rows, keys))
        << c << ", rows " << rows.begin << ".." << rows.end << ", keys " << keys.begin << ".."
        << keys.end;
  }
}

// Being careful costs speed: where there are no sinks, nothing is called Partial that is not.
TEST(TileWalk, IsExactWithoutSinks) {
  RandomMasks random(10);
  for (int n = 0; n < 4 * kCases; ++n) {
    MaskCase c = next_with_tiles(random);
    c.mask.sink_tokens = 0;
    const Range rows = random_range(random, c.lengths.q);
    const Range keys = random_range(random, c.lengths.k);
    ASSERT_EQ(classify(bounds_of(c, rows), keys), by_enumeration(c, rows, keys))
        << c << ", rows " << rows.begin << ".." << rows.end << ", keys " << keys.begin << ".."
        << keys.end;
  }
}

/// Any keys that one row may see of 32: the sinks before or inside the window.
Keys random_keys(RandomMasks& random) {
  const std::int64_t first = random.draw(16);
  const std::int64_t begin = first + random.draw(16);
  const std::int64_t end = std::min<std::int64_t>(32, begin + random.draw(8));
  return {begin, end, first, std::min(first + random.draw(6), end)};
}

// Rows of several heads in one tile, as per-row intervals will bring them: in no order at all.
TEST(TileWalk, RowsNeedNoOrder) {
  RandomMasks random(11);
  for (int n = 0; n < 4 * kCases; ++n) {
    std::vector<Keys> rows;
    RowBounds bounds;
    for (std::int64_t count = 1 + random.draw(4); count > 0; --count) {
      rows.push_back(random_keys(random));
      bounds.add(rows.back());
    }
    const Range keys = random_range(random, 32);
    const Tile tile = classify(bounds, keys);
    if (tile == Tile::Partial) continue;
    for (const Keys& row : rows)
      for (std::int64_t key = keys.begin; key < keys.end; ++key)
        ASSERT_EQ(row.contains(key), tile == Tile::Full) << "case " << n << ", key " << key;
  }
}

TEST(TileWalk, BoundsOfPartsAddUp) {
  RandomMasks random(12);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = next_with_tiles(random);
    const std::int64_t cut = random.draw(c.lengths.q);
    RowBounds parts = bounds_of(c, {0, cut});
    parts.add(bounds_of(c, {cut, c.lengths.q}));
    const RowBounds whole = bounds_of(c, {0, c.lengths.q});
    const Range keys = random_range(random, c.lengths.k);
    ASSERT_EQ(classify(parts, keys), classify(whole, keys)) << c << ", cut at row " << cut;
    ASSERT_EQ(next_block(parts, 0, 4), next_block(whole, 0, 4)) << c << ", cut at row " << cut;
  }
}

TEST(TileWalk, MeetsEveryBlockThatSomeRowSeesOnceAndInOrder) {
  RandomMasks random(13);
  for (int n = 0; n < kCases; ++n) {
    const MaskCase c = next_with_tiles(random);
    const std::int64_t size = 1 + random.draw(6);
    const Range rows = random_range(random, c.lengths.q);
    const RowBounds bounds = bounds_of(c, rows);
    std::vector<std::int64_t> met;
    for (std::int64_t block = next_block(bounds, 0, size); block != kNoBlock;
         block = next_block(bounds, block + 1, size)) {
      ASSERT_TRUE(met.empty() || block > met.back()) << c << ", block " << block;
      ASSERT_LT(block * size, c.lengths.k) << c << ", block " << block;
      met.push_back(block);
    }
    for (std::int64_t block = 0; block * size < c.lengths.k; ++block) {
      const Range keys{block * size, std::min((block + 1) * size, c.lengths.k)};
      if (by_enumeration(c, rows, keys) == Tile::Empty) continue;
      ASSERT_TRUE(std::binary_search(met.begin(), met.end(), block)) << c << ", block " << block;
    }
  }
}

}  // namespace
}  // namespace strobe
