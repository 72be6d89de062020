// Inputs that are hard on an online softmax, held to the error of standard attention.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "harness/hard_values.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;

void scale(HostTensor& tensor, double factor) {
  const Shape& n = tensor.shape();
  for (std::int64_t row = 0; row < n[1]; ++row)
    for (std::int64_t h = 0; h < n[2]; ++h)
      for (std::int64_t d = 0; d < n[3]; ++d)
        tensor.set({0, row, h, d}, factor * tensor.get({0, row, h, d}));
}

class HardInputs : public testing::OnBackend {
 protected:
  void expect_exact(harness::Values values) {
    for (const Problem& problem : problems()) {
      // Dot products read denormal bf16 as 0, and so would all.
      if (values == harness::Values::denormal && problem.dtype == DType::bf16) continue;
      const harness::CheckResult result =
          harness::check_forward(problem, {1, values}, backend(), 2);
      EXPECT_TRUE(result.passed()) << result.to_string();
    }
  }
  static std::vector<Problem> problems() {
    return {Problem::parse("h2 q130 k700 d64"),     Problem::parse("h2 q700 d40 causal"),
            Problem::parse("h2 q130 k700 d64 f16"), Problem::parse("h2 q130 k700 d64 bf16"),
            Problem::parse("h2 q130 k700 d64 f64"), Problem::parse("h2 q700 d128 bf16 causal")};
  }
};

TEST_P(HardInputs, Peaked) { expect_exact(harness::Values::peaked); }

/// Every key block beats the one before by more than the lazy maximum lets pass.
TEST_P(HardInputs, RisingBlockByBlock) { expect_exact(harness::Values::rising); }

TEST_P(HardInputs, FallingAndJustBelowTheThresholdOfTheLazyMaximum) {
  expect_exact(harness::Values::falling);
}

TEST_P(HardInputs, Outliers) { expect_exact(harness::Values::outliers); }

TEST_P(HardInputs, Denormal) { expect_exact(harness::Values::denormal); }

/// p v is summed unnormalised: 256 seqlen_k |v| must stay finite, and up to there it does.
TEST_P(HardInputs, LargestFinite) { expect_exact(harness::Values::largest); }

TEST_P(HardInputs, LargeScores) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    const double factor = problem.dtype == DType::f16 ? 1e4 : 1e15;
    scale(in.at("q"), factor);
    scale(in.at("k"), factor);
    testing::Outcome outcome = testing::run(problem, in, backend());
    for (std::int64_t row = 0; row < problem.seqlen_q; ++row)
      for (std::int64_t d = 0; d < problem.head_dim_v; ++d)
        ASSERT_TRUE(std::isfinite(outcome.o_at(0, row, 1, d))) << row;
  }
}

STROBE_ON_BACKENDS(HardInputs);

}  // namespace
}  // namespace strobe
