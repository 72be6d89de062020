// NaN contract of the reference: what a row does not see never touches it; what it sees does.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "reference/forward.hpp"
#include "tests/reference/attention_case.hpp"
#include "tests/support/random_masks.hpp"

namespace strobe {
namespace {

using testing::AttentionCase;
using testing::sees_by_rules;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(ReferenceNan, PaddingOfShortSequencesIsNotRead) {
  const std::array<std::int32_t, 1> lengths_q{3};
  const std::array<std::int32_t, 1> lengths_k{4};
  AttentionCase c({.seqlen_q = 5, .seqlen_k = 7});
  for (std::size_t row = 3; row < 5; ++row) c.q[row] = std::nan("");
  for (std::size_t key = 4; key < 7; ++key) c.k[key] = kInfinity, c.v[key] = std::nan("");
  c.params.seqlens_q = lengths_q.data();
  c.params.seqlens_k = lengths_k.data();
  c.run();
  for (const double value : c.o) EXPECT_TRUE(std::isfinite(value));
}

TEST(ReferenceNan, AtOnePositionStaysThereAndAfterUnderCausal) {
  AttentionCase c({.seqlen_q = 8, .seqlen_k = 8}, {.causal = true});
  c.v[5] = std::nan("");
  c.run();
  for (std::size_t row = 0; row < 8; ++row) EXPECT_EQ(std::isnan(c.o[row]), row >= 5) << row;
}

// One poisoned key per case: rows that see it are NaN, the others keep every bit.
TEST(ReferenceNan, KeyReachesExactlyTheRowsThatSeeIt) {
  testing::RandomMasks masks(7);
  for (std::uint64_t n = 0; n < 1500; ++n) {
    testing::MaskCase m = masks.next(16);
    m.lengths.k += 1;
    AttentionCase clean({.seqlen_q = m.lengths.q, .seqlen_k = m.lengths.k}, m.mask, n);
    AttentionCase poisoned = clean;
    const std::int64_t key = masks.draw(m.lengths.k);
    (n % 2 == 0 ? poisoned.k : poisoned.v)[static_cast<std::size_t>(key)] = std::nan("");
    clean.run();
    poisoned.run();
    for (std::int64_t row = 0; row < m.lengths.q; ++row) {
      const auto i = static_cast<std::size_t>(row);
      if (sees_by_rules(m.mask, m.lengths, row, key))
        ASSERT_TRUE(std::isnan(poisoned.o[i])) << m << ", row " << row << ", key " << key;
      else
        ASSERT_EQ(poisoned.o[i], clean.o[i]) << m << ", row " << row << ", key " << key;
    }
  }
}

TEST(ReferenceNan, QueryTouchesItsOwnRowOnly) {
  AttentionCase c({.seqlen_q = 3, .seqlen_k = 4});
  c.q[1] = std::nan("");
  c.run();
  EXPECT_TRUE(std::isfinite(c.o[0]));
  EXPECT_TRUE(std::isnan(c.o[1]));
  EXPECT_TRUE(std::isnan(c.lse[1]));
  EXPECT_TRUE(std::isfinite(c.o[2]));
}

TEST(ReferenceNan, InfinityThatARowSeesPropagates) {
  AttentionCase c({.seqlen_q = 2, .seqlen_k = 4}, {.causal = true});
  c.v[3] = kInfinity;
  c.run();
  EXPECT_TRUE(std::isfinite(c.o[0]));
  EXPECT_EQ(c.o[1], kInfinity);
}

}  // namespace
}  // namespace strobe
