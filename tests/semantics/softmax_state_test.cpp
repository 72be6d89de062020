// The algebra of softmax states: an identity, an associative and commutative merge.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/softmax_state.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace strobe {
namespace {

using State = SoftmaxState<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// 2^x for whole x and for -inf: with it every sum below is exact, so the laws hold to the bit.
struct ExactExp2 {
  constexpr double operator()(double x) const {
    if (x == -kInfinity) return 0;
    double power = 1;
    for (; x < 0; ++x) power /= 2;
    for (; x > 0; --x) power *= 2;
    return power;
  }
};

/// A state together with o of two dimensions.
struct Part {
  State state{};
  std::array<double, 2> o{};
  constexpr bool operator==(const Part& other) const {
    return state.row_max == other.state.row_max && state.row_sum == other.state.row_sum &&
           o[0] == other.o[0] && o[1] == other.o[1];
  }
};

template <class Exp>
constexpr Part merged(Part a, const Part& b, Exp exp) {
  merge_into(a.state, std::span<double>(a.o), b.state, std::span<const double>(b.o), exp);
  return a;
}

constexpr Part one_key(double score, double v) {
  return {.state = State::of_score(score), .o = {v, -2 * v}};
}

/// Some keys with whole scores and values, folded one by one.
Part random_part(std::mt19937_64& engine) {
  Part part;
  for (std::uint64_t keys = engine() % 5; keys > 0; --keys) {
    const double score = static_cast<double>(engine() % 17) - 8;
    const double v = static_cast<double>(engine() % 9) - 4;
    part = merged(part, one_key(score, v), ExactExp2{});
  }
  return part;
}

TEST(SoftmaxState, MergeIsAConstantExpression) {
  constexpr Part part = merged(one_key(3, 1), one_key(1, 4), ExactExp2{});
  static_assert(part.state.row_max == 3);
  static_assert(part.state.row_sum == 1.25);
  static_assert(part.o[0] == 2);
}

TEST(SoftmaxState, MergeIsAssociative) {
  std::mt19937_64 engine(1);
  const ExactExp2 exp;
  for (int n = 0; n < 5000; ++n) {
    const Part a = random_part(engine), b = random_part(engine), c = random_part(engine);
    ASSERT_EQ(merged(merged(a, b, exp), c, exp), merged(a, merged(b, c, exp), exp)) << n;
  }
}

TEST(SoftmaxState, MergeIsCommutative) {
  std::mt19937_64 engine(2);
  for (int n = 0; n < 5000; ++n) {
    const Part a = random_part(engine), b = random_part(engine);
    ASSERT_EQ(merged(a, b, ExactExp2{}), merged(b, a, ExactExp2{})) << n;
  }
}

TEST(SoftmaxState, EmptyStateIsTheIdentityToTheBit) {
  const Part part{.state = {.row_max = 0.7, .row_sum = 1.9}, .o = {0.1, -3.3}};
  EXPECT_EQ(merged(part, Part{}, StdExp{}), part);
  EXPECT_EQ(merged(Part{}, part, StdExp{}), part);
  EXPECT_EQ(merged(Part{}, Part{}, StdExp{}), Part{});
}

TEST(SoftmaxState, EmptyStateGivesZeroAndMinusInfinity) {
  EXPECT_TRUE(State{}.empty());
  EXPECT_EQ(State{}.inverse_sum(), 0);
  EXPECT_EQ(State{}.lse(), -kInfinity);
}

TEST(SoftmaxState, FoldOfKeysIsTheSoftmax) {
  Part row;
  for (const double score : {0.3, -1.2, 2.5, 2.4})
    row = merged(row, one_key(score, score), StdExp{});
  double sum = 0, o = 0;
  for (const double score : {0.3, -1.2, 2.5, 2.4})
    sum += std::exp(score), o += std::exp(score) * score;
  EXPECT_NEAR(row.state.lse(), std::log(sum), 1e-14);
  EXPECT_NEAR(row.o[0] * row.state.inverse_sum(), o / sum, 1e-14);
}

TEST(SoftmaxState, LargeScoresDoNotOverflow) {
  const Part row = merged(one_key(1e6, 1), one_key(1e6, 3), StdExp{});
  EXPECT_EQ(row.o[0] * row.state.inverse_sum(), 2);
  EXPECT_EQ(row.state.lse(), 1e6 + std::log(2.0));
}

// Flash-Decoding: parts of the keys come back as (o, lse) and are merged by their lse alone.
TEST(SoftmaxState, FinishedPartsMergeByTheirLse) {
  const Part all =
      merged(merged(one_key(0.5, 1), one_key(-2, 2), StdExp{}), one_key(1, 3), StdExp{});
  const Part head = merged(one_key(0.5, 1), one_key(-2, 2), StdExp{});
  const Part done{
      .state = State::of_lse(head.state.lse()),
      .o = {head.o[0] * head.state.inverse_sum(), head.o[1] * head.state.inverse_sum()}};
  const Part from_lse = merged(done, one_key(1, 3), StdExp{});
  EXPECT_NEAR(from_lse.state.lse(), all.state.lse(), 1e-15);
  EXPECT_NEAR(from_lse.o[1] * from_lse.state.inverse_sum(), all.o[1] * all.state.inverse_sum(),
              1e-14);
}

TEST(SoftmaxState, FinishedEmptyPartIsTheIdentity) {
  EXPECT_TRUE(State::of_lse(-kInfinity).empty());
}

TEST(SoftmaxState, NanOfAnyKeyStays) {
  const Part nan = one_key(std::nan(""), 1);
  for (const Part& row :
       {merged(nan, one_key(9, 1), StdExp{}), merged(one_key(9, 1), nan, StdExp{})}) {
    EXPECT_TRUE(std::isnan(row.state.lse()));
    EXPECT_TRUE(std::isnan(merged(row, one_key(1000, 1), StdExp{}).state.row_sum));
  }
}

TEST(SoftmaxState, WorksInSinglePrecision) {
  const auto merged =
      merge(SoftmaxState<float>::of_score(2.0f), SoftmaxState<float>::of_score(2.0f));
  EXPECT_EQ(merged.state.row_sum, 2.0f);
  EXPECT_EQ(merged.weight_a, 1.0f);
}

}  // namespace
}  // namespace strobe
