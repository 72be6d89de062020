// Seeded random decode problems over the whole option space, on every backend, against float64.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/support/random_problem.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using testing::Draw;
using testing::random_decode_problem;
using testing::Seeds;

class RandomDecode : public testing::OnBackend {
 protected:
  PlanOptions random_options(Draw& draw) const {
    return {.threads = static_cast<int>(draw.in(1, 3)),
            .backend = backend(),
            .op = Op::decode,
            .splits = draw.one_in(2) ? 0 : static_cast<int>(draw.in(1, 9))};
  }
};

TEST_P(RandomDecode, IsAsExactAsStandardAttention) {
  Seeds seeds(80);
  while (const auto seed = seeds.next()) {
    Draw draw(*seed ^ 0x6465636f);  // problems of its own
    const Problem problem = random_decode_problem(draw);
    const harness::CheckResult result = harness::check_decode(problem, *seed, random_options(draw));
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

TEST_P(RandomDecode, HoldsWithHardValuesToo) {
  using harness::Values;
  Seeds seeds(30);
  while (const auto seed = seeds.next()) {
    Draw draw(*seed ^ 0x68646563);
    const Problem problem = random_decode_problem(draw);
    const auto values = static_cast<Values>(
        draw.in(static_cast<int>(Values::peaked), static_cast<int>(Values::largest)));
    // Dot products read denormal bf16 as 0.
    if (values == Values::denormal && problem.dtype == DType::bf16) continue;
    // Where large scores meet their cap, the last digit of tanh is all that an error is made of.
    if (problem.score.softcap > 0 && problem.dtype == DType::f64) continue;
    const harness::CheckResult result =
        harness::check_decode(problem, {*seed, values}, random_options(draw));
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

STROBE_ON_BACKENDS(RandomDecode);

}  // namespace
}  // namespace strobe
