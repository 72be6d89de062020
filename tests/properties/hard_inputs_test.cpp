// Inputs that are hard on an online softmax, held to the error of standard attention.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "api/validate.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;

void for_each(HostTensor& tensor, const std::function<double(std::int64_t row, double x)>& change) {
  const Shape& n = tensor.shape();
  for (std::int64_t b = 0; b < n[0]; ++b)
    for (std::int64_t r = 0; r < n[1]; ++r)
      for (std::int64_t h = 0; h < n[2]; ++h)
        for (std::int64_t d = 0; d < n[3]; ++d)
          tensor.set({b, r, h, d}, change(r, tensor.get({b, r, h, d})));
}

class HardInputs : public testing::OnBackend {
 protected:
  void expect_exact(const Problem& problem, TensorMap& in, const char* what) {
    testing::Outcome outcome = testing::run(problem, in, backend(), 2);
    const ForwardTensors tensors = harness::forward_tensors(in, outcome.out);
    const harness::Comparison comparison =
        harness::compare_forward(api::forward_params(tensors, problem), harness::Team{});
    EXPECT_TRUE(comparison.passed())
        << what << ": " << problem.to_string() << " on " << backend() << "\n"
        << comparison.to_string();
  }
  static std::vector<Problem> problems() {
    return {Problem::parse("h2 q130 k700 d64"),     Problem::parse("h2 q700 d40 causal"),
            Problem::parse("h2 q130 k700 d64 f16"), Problem::parse("h2 q130 k700 d64 bf16"),
            Problem::parse("h2 q130 k700 d64 f64"), Problem::parse("h2 q700 d128 bf16 causal")};
  }
};

TEST_P(HardInputs, Peaked) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    for_each(in.at("q"), [](std::int64_t, double x) { return 12.0 * x; });
    expect_exact(problem, in, "peaked");
  }
}

/// Every key block beats the one before by more than the lazy maximum lets pass.
TEST_P(HardInputs, RisingBlockByBlock) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    for_each(in.at("q"), [](std::int64_t, double x) { return std::abs(x); });
    for_each(in.at("k"),
             [](std::int64_t row, double x) { return 0.1 * x + 0.02 * static_cast<double>(row); });
    expect_exact(problem, in, "rising");
  }
}

TEST_P(HardInputs, FallingAndJustBelowTheThresholdOfTheLazyMaximum) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    for_each(in.at("k"), [](std::int64_t row, double x) {
      return x * (row % 128 < 64 ? 3.0 : 1.0) - 0.001 * static_cast<double>(row);
    });
    expect_exact(problem, in, "falling");
  }
}

TEST_P(HardInputs, Outliers) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    for_each(in.at("k"), [](std::int64_t row, double x) { return row % 97 == 0 ? 50.0 * x : x; });
    for_each(in.at("v"), [](std::int64_t row, double x) { return row % 61 == 0 ? 1000.0 * x : x; });
    expect_exact(problem, in, "outliers");
  }
}

TEST_P(HardInputs, Denormal) {
  for (const Problem& problem : problems()) {
    if (problem.dtype == DType::bf16) continue;  // dot products read them as 0, and so would all
    TensorMap in = harness::random_tensors(problem, 1);
    double tiny = 1e-39;
    if (problem.dtype == DType::f16) tiny = 1e-6;
    if (problem.dtype == DType::f64) tiny = 1e-309;
    for_each(in.at("v"), [&](std::int64_t, double x) { return tiny * x; });
    for_each(in.at("k"),
             [&](std::int64_t row, double x) { return row % 3 == 0 ? 0.1 * tiny * x : x; });
    expect_exact(problem, in, "denormal");
  }
}

/// p v is summed unnormalised: 256 seqlen_k |v| must stay finite, and up to there it does.
TEST_P(HardInputs, LargestFinite) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    const double most = problem.dtype == DType::f64 ? 1.7e308 : 3.4e38;
    const double summed = most / (256.0 * static_cast<double>(problem.seqlen_k));
    const double largest = (problem.dtype == DType::f16 ? 65504.0 : summed) / 5.0;
    for_each(in.at("v"), [&](std::int64_t, double x) { return largest * std::min(x, 5.0); });
    expect_exact(problem, in, "largest values");
  }
}

TEST_P(HardInputs, LargeScores) {
  for (const Problem& problem : problems()) {
    TensorMap in = harness::random_tensors(problem, 1);
    const double factor = problem.dtype == DType::f16 ? 1e4 : 1e15;
    for_each(in.at("q"), [&](std::int64_t, double x) { return factor * x; });
    for_each(in.at("k"), [&](std::int64_t, double x) { return factor * x; });
    testing::Outcome outcome = testing::run(problem, in, backend());
    for (std::int64_t row = 0; row < problem.seqlen_q; ++row)
      for (std::int64_t d = 0; d < problem.head_dim_v; ++d)
        ASSERT_TRUE(std::isfinite(outcome.o_at(0, row, 1, d))) << row;
  }
}

STROBE_ON_BACKENDS(HardInputs);

}  // namespace
}  // namespace strobe
