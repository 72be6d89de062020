// Counting the work of a problem: exact for usual lengths, quick for any.
// SPDX-License-Identifier: Apache-2.0
#include "plan/cost.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "semantics/work.hpp"
#include "strobe/strobe.hpp"

namespace strobe::test {
namespace {

std::int64_t counted(const std::string& text) {
  return plan::forward_cost(Problem::parse(text)).visible_pairs;
}

TEST(Cost, IsExactUpToAMillionQueries) {
  EXPECT_EQ(counted("b2 h3 q1000 k1500 d8"), 2 * 3 * 1000 * 1500);
  EXPECT_EQ(counted("h1 q1048576 d8 causal"), std::int64_t{1048576} * 1048577 / 2);
}

/// Longer sequences are sampled; the period of chunks and windows must not fall in step with it.
TEST(Cost, IsNearlyExactBeyond) {
  for (const char* options : {"", "causal", "causal window=1000,0", "causal chunk=4096",
                              "causal chunk=3000000", "prefix=500000 causal", "causal chunk=2"}) {
    const Problem p = Problem::parse("h1 q4194304 d8 " + std::string(options));
    const auto exact = static_cast<double>(visible_pairs(p.mask, {p.seqlen_q, p.seqlen_k}));
    const auto pairs = static_cast<double>(plan::forward_cost(p).visible_pairs);
    EXPECT_NEAR(pairs / exact, 1.0, 1e-5) << options;
  }
}

/// Sizes may come from outside; counting them row by row would take years.
TEST(Cost, OfAnySizeTakesNoTime) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(counted("h1 q1000000000000000 k1 d1"), 1'000'000'000'000'000);
  EXPECT_EQ(counted("b0 h1 q1000000000000000 k1000 d1 causal"), 0);
  EXPECT_EQ(counted("h1 q1000000000000000 k0 d1"), 0);
  EXPECT_FALSE(explain(Problem::parse("h1 q1000000000000000 k7 d1 causal")).empty());
  float nothing = 0;
  const Shape rows{0, std::int64_t{1} << 50, 1, 1}, keys{0, 7, 1, 1};
  forward(
      {.q = {&nothing, rows}, .k = {&nothing, keys}, .v = {&nothing, keys}, .o = {&nothing, rows}});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace strobe::test
