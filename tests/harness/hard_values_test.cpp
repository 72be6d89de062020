// The kinds of hard values: their names, and that each changes what it says it does.
// SPDX-License-Identifier: Apache-2.0
#include "harness/hard_values.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/random_tensors.hpp"

namespace strobe::harness {
namespace {

TEST(HardValues, AreFoundByTheirNames) {
  for (const Values values : {Values::normal, Values::peaked, Values::rising, Values::falling,
                              Values::outliers, Values::denormal, Values::largest}) {
    EXPECT_EQ(find_values(name_of(values)), values);
    EXPECT_NE(values_names().find(name_of(values)), std::string::npos);
  }
  EXPECT_EQ(find_values("steep"), std::nullopt);
}

TEST(HardValues, NormalOnesAreAsDrawn) {
  const Problem problem = Problem::parse("h2 q5 d8");
  const TensorMap drawn = drawn_tensors(problem, 3);
  const TensorMap random = random_tensors(problem, 3);
  for (const char* name : {"q", "k", "v"})
    for (std::int64_t row = 0; row < 5; ++row)
      EXPECT_EQ(drawn.at(name).get({0, row, 1, 7}), random.at(name).get({0, row, 1, 7}));
}

/// The score of the last key of a block is above that of every block before it, for every query.
TEST(HardValues, RisingOnesRiseBlockByBlock) {
  const Problem problem = Problem::parse("h1 q3 k512 d64");
  const TensorMap in = drawn_tensors(problem, {1, Values::rising});
  const auto score = [&](std::int64_t row, std::int64_t key) {
    double sum = 0.0;
    for (std::int64_t d = 0; d < 64; ++d)
      sum += in.at("q").get({0, row, 0, d}) * in.at("k").get({0, key, 0, d});
    return sum / 8.0;
  };
  for (std::int64_t row = 0; row < 3; ++row)
    for (std::int64_t key = 127; key < 512; key += 64)
      EXPECT_GT(score(row, key), score(row, key - 64) + 2.0) << row << " " << key;
}

/// Padded and packed, the same rows change.
TEST(HardValues, ReachPackedTensors) {
  const TensorMap in = drawn_tensors(Problem::parse("h2 q70 d8 varlen"), {1, Values::outliers});
  const TensorMap random = random_tensors(Problem::parse("h2 q70 d8 varlen"), 1);
  for (const std::int64_t row : {0, 1, 61})
    EXPECT_NEAR(in.at("v").get({row, 1, 3}),
                random.at("v").get({row, 1, 3}) * (row % 61 == 0 ? 1000.0 : 1.0), 1e-3);
}

TEST(HardValues, DenormalOnesAreDenormal) {
  const TensorMap in = drawn_tensors(Problem::parse("h1 q6 d8"), {1, Values::denormal});
  EXPECT_EQ(std::fpclassify(static_cast<float>(in.at("v").get({0, 2, 0, 1}))), FP_SUBNORMAL);
}

TEST(HardValues, LargestOnesAreFinite) {
  for (const char* text : {"h1 q6 d8", "h1 q6 d8 f16", "h1 q6 d8 bf16"}) {
    const TensorMap in = drawn_tensors(Problem::parse(text), {1, Values::largest});
    EXPECT_TRUE(std::isfinite(in.at("v").get({0, 2, 0, 1}))) << text;
    EXPECT_GT(std::abs(in.at("v").get({0, 2, 0, 1})), 1e2) << text;
  }
}

}  // namespace
}  // namespace strobe::harness
