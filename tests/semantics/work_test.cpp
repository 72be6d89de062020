// The count of visible pairs against enumeration and against closed forms.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/work.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/mask_by_rules.hpp"
#include "tests/support/random_masks.hpp"

namespace strobe {
namespace {

TEST(VisiblePairs, OfFullAttentionIsTheProduct) { EXPECT_EQ(visible_pairs({}, {77, 1024}), 78848); }

TEST(VisiblePairs, OfCausalIsTheTriangle) {
  EXPECT_EQ(visible_pairs({.causal = true}, {1000, 1000}), 1000 * 1001 / 2);
}

TEST(VisiblePairs, OfNoRowsOrNoKeysIsZero) {
  EXPECT_EQ(visible_pairs({}, {0, 9}), 0);
  EXPECT_EQ(visible_pairs({.causal = true, .sink_tokens = 4}, {9, 0}), 0);
}

TEST(VisiblePairs, StaysAtTheLargestNumber) {
  const Lengths lengths{std::int64_t{1} << 40, std::int64_t{1} << 61};
  EXPECT_EQ(visible_pairs({}, lengths), std::numeric_limits<std::int64_t>::max());
}

TEST(VisiblePairs, CountsWhatTheRulesAllow) {
  testing::RandomMasks masks(5);
  for (int n = 0; n < 5000; ++n) {
    const testing::MaskCase c = masks.next();
    std::int64_t seen = 0;
    for (std::int64_t row = 0; row < c.lengths.q; ++row)
      for (std::int64_t key = 0; key < c.lengths.k; ++key)
        seen += testing::sees_by_rules(c.mask, c.lengths, row, key) ? 1 : 0;
    ASSERT_EQ(visible_pairs(c.mask, c.lengths), seen) << c;
  }
}

TEST(ForwardFlops, CountsBothProducts) {
  EXPECT_EQ(forward_flops(10, 64, 64), 10 * 4 * 64);
  EXPECT_EQ(forward_flops(10, 128, 64), 10 * 2 * (128 + 64));
}

}  // namespace
}  // namespace strobe
