// Seeded random problems over the whole option space, on every backend, against float64.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/support/random_problem.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using testing::Draw;
using testing::random_problem;
using testing::Seeds;

class RandomProblems : public testing::OnBackend {};

TEST_P(RandomProblems, AreAsExactAsStandardAttention) {
  Seeds seeds(60);
  while (const auto seed = seeds.next()) {
    Draw draw(*seed);
    const Problem problem = random_problem(draw);
    const auto threads = static_cast<int>(draw.in(1, 3));
    const harness::CheckResult result = harness::check_forward(problem, *seed, backend(), threads);
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

TEST_P(RandomProblems, HoldWithHardValuesToo) {
  using harness::Values;
  Seeds seeds(25);
  while (const auto seed = seeds.next()) {
    Draw draw(*seed ^ 0x68617264);  // other problems than above
    const Problem problem = random_problem(draw);
    const auto values = static_cast<Values>(
        draw.in(static_cast<int>(Values::peaked), static_cast<int>(Values::largest)));
    // Dot products read denormal bf16 as 0; what dropout keeps of the largest f16 is infinite.
    if (values == Values::denormal && problem.dtype == DType::bf16) continue;
    if (values == Values::largest && problem.dtype == DType::f16 && problem.dropout.probability > 0)
      continue;
    const harness::CheckResult result =
        harness::check_forward(problem, {*seed, values}, backend(), 2);
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

STROBE_ON_BACKENDS(RandomProblems);

}  // namespace
}  // namespace strobe
