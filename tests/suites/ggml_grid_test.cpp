// ggml's grid of attention cases, on every backend, by ggml's measure: the normalised mean square
// error against float64. A sample of it, or with STROBE_GGML_GRID=all the whole.
// SPDX-License-Identifier: Apache-2.0
#include "tests/suites/ggml_grid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string_view>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

constexpr double kMaxNmse = 5e-4;
constexpr int kSampleOfEachHeadDim = 2;

TEST(GgmlGrid, HasEveryPointOnce) {
  const std::vector<std::string> cases = testing::GgmlGrid::cases();
  EXPECT_EQ(cases.size(), 6408u) << "docs/suites.md states this number";
  EXPECT_EQ(std::set<std::string>(cases.begin(), cases.end()).size(), cases.size());
  for (const std::string& text : cases) ASSERT_NO_THROW((void)Problem::parse(text)) << text;
}

/// The cases in an order drawn from the seed.
std::vector<std::string> shuffled_cases(std::uint64_t seed) {
  std::vector<std::string> cases = testing::GgmlGrid::cases();
  std::mt19937_64 draw(seed);
  // Not std::shuffle: it differs between libraries.
  for (std::size_t left = cases.size(); left > 1; --left)
    std::swap(cases[left - 1], cases[draw() % left]);
  return cases;
}

/// A few cases of every head_dim and head_dim_v.
std::vector<std::string> sample(std::uint64_t seed) {
  std::vector<std::string> cases = shuffled_cases(seed);
  std::map<std::pair<std::int64_t, std::int64_t>, int> taken;
  std::erase_if(cases, [&](const std::string& text) {
    const Problem problem = Problem::parse(text);
    return ++taken[{problem.head_dim, problem.head_dim_v}] > kSampleOfEachHeadDim;
  });
  return cases;
}

bool whole_grid() {
  const char* wanted = std::getenv("STROBE_GGML_GRID");
  return wanted != nullptr && std::string_view(wanted) == "all";
}

class GgmlAttention : public testing::OnBackend {};

TEST_P(GgmlAttention, IsAsCloseToFloat64AsGgmlAsks) {
  std::uint64_t seed = 0;  // of its own for each backend: together they see more
  for (const char letter : backend()) seed = 31 * seed + static_cast<unsigned char>(letter);
  for (const std::string& text : whole_grid() ? shuffled_cases(seed) : sample(seed)) {
    const harness::CheckResult result =
        harness::check_forward(Problem::parse(text), /*seed=*/1, backend(), /*threads=*/2);
    const double root = result.comparison.o.rel_rms;
    EXPECT_GT(result.comparison.values, 0) << text;
    EXPECT_LE(root * root, kMaxNmse) << result.to_string();
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

STROBE_ON_BACKENDS(GgmlAttention);

}  // namespace
}  // namespace strobe
