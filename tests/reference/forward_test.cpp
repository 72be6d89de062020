// The float64 reference against numbers worked out by hand, and against the formula itself.
// SPDX-License-Identifier: Apache-2.0
#include "reference/forward.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/reference/attention_case.hpp"
#include "tests/support/random_masks.hpp"

namespace strobe {
namespace {

using testing::AttentionCase;
using testing::Sizes;
using Row = std::vector<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// One head of dimension 1 and scale 1, so that a score is the product of two numbers.
AttentionCase scalars(Row q, Row k, Row v, const Mask& mask = {}) {
  AttentionCase c({.seqlen_q = static_cast<std::int64_t>(q.size()),
                   .seqlen_k = static_cast<std::int64_t>(k.size())},
                  mask);
  c.q = std::move(q);
  c.k = std::move(k);
  c.v = std::move(v);
  return c;
}

void expect_row(const Row& got, const Row& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t d = 0; d < got.size(); ++d) EXPECT_NEAR(got[d], want[d], 1e-14) << "d = " << d;
}

TEST(ReferenceForward, OneKeyGivesItsValueAndItsScore) {
  const AttentionCase c = scalars({3}, {0.5}, {42}).run();
  EXPECT_EQ(c.o[0], 42);
  EXPECT_EQ(c.lse[0], 1.5);
}

// Scores ln 1, ln 3: weights 1/4 and 3/4.
TEST(ReferenceForward, WeightsAreTheSoftmax) {
  const AttentionCase c = scalars({1}, {0, std::log(3.0)}, {10, 20}).run();
  EXPECT_NEAR(c.o[0], 17.5, 1e-14);
  EXPECT_NEAR(c.lse[0], std::log(4.0), 1e-15);
}

// Equal scores under causal: row i is the mean of the first i + 1 values, lse = ln(i + 1).
TEST(ReferenceForward, CausalRowsAverageTheirPast) {
  const AttentionCase c = scalars({0, 0, 0}, {7, 8, 9}, {3, 5, 10}, {.causal = true}).run();
  expect_row(c.o, {3, 4, 6});
  expect_row(c.lse, {0, std::log(2.0), std::log(3.0)});
}

TEST(ReferenceForward, TopLeftStartsAtTheFirstKey) {
  const Mask top_left{.causal = true, .align = Align::top_left};
  expect_row(scalars({0, 0}, {0, 0, 0}, {3, 5, 10}, top_left).run().o, {3, 4});
  expect_row(scalars({0, 0}, {0, 0, 0}, {3, 5, 10}, {.causal = true}).run().o, {4, 6});
}

// Scores 2 * 3 * (0, ln 2 / 6): the scale multiplies q.k.
TEST(ReferenceForward, ScaleMultipliesTheScore) {
  AttentionCase c = scalars({3}, {0, std::log(2.0) / 6}, {0, 3});
  c.params.softmax_scale = 2;
  EXPECT_NEAR(c.run().o[0], 2, 1e-14);
}

TEST(ReferenceForward, HugeScoresDoNotOverflow) {
  const AttentionCase c = scalars({1000}, {1000, 1000, -1000}, {1, 3, 99}).run();
  EXPECT_EQ(c.o[0], 2);
  EXPECT_EQ(c.lse[0], 1e6 + std::log(2.0));
}

TEST(ReferenceForward, RowThatSeesNoKeyIsZero) {
  const AttentionCase c = scalars({1, 1, 1}, {1}, {5}, {.causal = true}).run();
  expect_row(c.o, {0, 0, 5});
  EXPECT_EQ(c.lse, (Row{-kInfinity, -kInfinity, 1}));
}

TEST(ReferenceForward, NoKeysAtAll) {
  AttentionCase c({.seqlen_q = 2, .seqlen_k = 0, .head_dim = 3, .head_dim_v = 2});
  EXPECT_EQ(c.run().o, Row(4, 0.0));
  EXPECT_EQ(c.lse, Row(2, -kInfinity));
}

TEST(ReferenceForward, NothingToDoWritesNothing) {
  AttentionCase c(Sizes{});
  c.params.batch = 0;
  EXPECT_TRUE(std::isnan(c.run().o[0]));
  c.params.batch = 1;
  c.params.seqlen_q = 0;
  EXPECT_TRUE(std::isnan(c.run().o[0]));
}

TEST(ReferenceForward, LseMayBeLeftOut) {
  AttentionCase c = scalars({3}, {0.5}, {42});
  ForwardParams p = c.with_memory();
  p.lse = nullptr;
  reference::forward(p);
  EXPECT_EQ(c.o[0], 42);
  EXPECT_TRUE(std::isnan(c.lse[0]));
}

TEST(ReferenceForward, TwoRunsGiveTheSameBits) {
  AttentionCase c({.seqlen_q = 9, .seqlen_k = 30, .head_dim = 8, .head_dim_v = 5});
  const Row first = c.run().o;
  EXPECT_EQ(c.run().o, first);
}

/// Every row of a case against the formula.
void expect_formula(const AttentionCase& c, std::string_view what) {
  const ForwardParams& p = c.params;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    for (std::int64_t h = 0; h < p.num_heads; ++h) {
      for (std::int64_t i = 0; i < p.seqlen_q; ++i) {
        Row got = c.o_row(b, h, i);
        got.push_back(c.lse_of(b, h, i));
        const Row want = testing::by_formula(c, {p.seqlen_q, p.seqlen_k}, b, h, i);
        for (std::size_t d = 0; d < got.size(); ++d) {
          if (got[d] == want[d]) continue;  // also -inf
          ASSERT_NEAR(got[d], want[d], 1e-12)
              << what << ", batch " << b << ", head " << h << ", row " << i << ", d " << d;
        }
      }
    }
  }
}

TEST(ReferenceForward, EqualsTheFormulaWithoutMask) {
  AttentionCase c({.batch = 2,
                   .num_heads = 6,
                   .num_heads_kv = 2,
                   .seqlen_q = 13,
                   .seqlen_k = 29,
                   .head_dim = 17,
                   .head_dim_v = 11});
  expect_formula(c.run(), "no mask");
}

TEST(ReferenceForward, EqualsTheFormulaUnderRandomMasks) {
  testing::RandomMasks masks(6);
  for (std::uint64_t n = 0; n < 1500; ++n) {
    const testing::MaskCase m = masks.next(16);
    AttentionCase c({.num_heads = 2,
                     .seqlen_q = m.lengths.q,
                     .seqlen_k = m.lengths.k,
                     .head_dim = 1 + masks.draw(5),
                     .head_dim_v = 1 + masks.draw(4)},
                    m.mask, n);
    expect_formula(c.run(), ::testing::PrintToString(m));
    if (HasFatalFailure()) return;
  }
}

// p = exp(s - lse) always: the lse alone turns a score into its weight.
TEST(ReferenceForward, WeightsFromLseSumToOne) {
  AttentionCase c({.seqlen_k = 40, .head_dim = 6});
  c.run();
  double sum = 0;
  for (std::size_t j = 0; j < 40; ++j) {
    double score = 0;
    for (std::size_t d = 0; d < 6; ++d) score += c.q[d] * c.k[j * 6 + d];
    sum += std::exp(c.params.softmax_scale * score - c.lse[0]);
  }
  EXPECT_NEAR(sum, 1, 1e-13);
}

}  // namespace
}  // namespace strobe
