// The generator against the test vectors of its authors (Random123, kat_vectors), and the layout of
// its draws.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/philox.hpp"

#include <gtest/gtest.h>

#include <set>

namespace strobe {
namespace {

void expect_words(Philox counter, std::uint64_t seed, Philox want) {
  const Philox got = philox4x32(counter, seed);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(got.word[i], want.word[i]) << i;
}

TEST(Philox, GivesThePublishedWords) {
  expect_words({{0, 0, 0, 0}}, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  expect_words({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff,
               {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  expect_words({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822,
               {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

/// The eight entries of one call: two rows eight apart, four keys in two pairs eight apart.
TEST(DropoutDraw, TakesEveryHalfWordOnce) {
  const DropoutCell cell{3, 5, 2, 7};
  const Philox words = philox4x32(dropout_counter(cell, 6, 1), 42);
  EXPECT_EQ(words.word[0] & 0xffff, dropout_draw(42, 7, 2, 3 * 16 + 6, 5 * 16 + 2));
  EXPECT_EQ(words.word[0] >> 16, dropout_draw(42, 7, 2, 3 * 16 + 6, 5 * 16 + 3));
  EXPECT_EQ(words.word[1] & 0xffff, dropout_draw(42, 7, 2, 3 * 16 + 14, 5 * 16 + 2));
  EXPECT_EQ(words.word[2] >> 16, dropout_draw(42, 7, 2, 3 * 16 + 6, 5 * 16 + 11));
  EXPECT_EQ(words.word[3] & 0xffff, dropout_draw(42, 7, 2, 3 * 16 + 14, 5 * 16 + 10));
}

TEST(DropoutDraw, CountersOfACellDiffer) {
  std::set<std::uint32_t> last;
  for (int row = 0; row < 8; ++row)
    for (int pair = 0; pair < 4; ++pair)
      last.insert(dropout_counter({0, 0, 0, 1}, row, pair).word[3]);
  EXPECT_EQ(last.size(), 32u);
  EXPECT_EQ(*last.begin(), 32u);
  EXPECT_EQ(*last.rbegin(), 63u);
}

}  // namespace
}  // namespace strobe
