// The check itself is checked: right results pass, and every kind of wrong one is found and named.
// SPDX-License-Identifier: Apache-2.0
#include "harness/accuracy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "api/validate.hpp"
#include "harness/random_tensors.hpp"
#include "harness/tensor_map.hpp"
#include "reference/forward.hpp"

namespace strobe::harness {
namespace {

/// A case whose outputs are right: float64, rounded.
struct Right {
  explicit Right(const std::string& text)
      : problem(Problem::parse(text)),
        inputs(random_tensors(problem, 3)),
        outputs(output_tensors(problem, inputs)),
        params(api::reference_params(forward_tensors(inputs, outputs), problem)) {
    reference::forward(params);
  }
  HostTensor& o() { return outputs.at("o"); }
  HostTensor& lse() { return outputs.at("lse"); }
  Comparison compare(std::int64_t full_below = std::int64_t{1} << 24) {
    return compare_forward(params, {}, {.full_below = full_below});
  }
  /// The first failure, or "passed".
  std::string verdict() {
    const Comparison c = compare();
    return c.passed() ? "passed" : c.failures.front();
  }

  Problem problem;
  TensorMap inputs;
  TensorMap outputs;
  ForwardParams params;
};

class RightResults : public testing::TestWithParam<const char*> {};

TEST_P(RightResults, PassInFullAndSampled) {
  Right right(GetParam());
  const Comparison full = right.compare();
  EXPECT_TRUE(full.passed()) << full.to_string();
  EXPECT_FALSE(full.sampled);
  EXPECT_EQ(full.rows, full.rows_all);
  const Comparison sampled = right.compare(0);
  EXPECT_TRUE(sampled.passed()) << sampled.to_string();
  EXPECT_LE(sampled.o.max_abs, full.o.max_abs);
  EXPECT_LE(sampled.standard_o.max_abs, full.standard_o.max_abs * 1.01 + 1e-7);
}

INSTANTIATE_TEST_SUITE_P(
    Harness, RightResults,
    testing::Values("b2 h3 q70 k70 d16 f32 causal", "b1 h4/2 q150 k90 d8/24 bf16",
                    "b3 h2 q40 k40 d16 f32 varlen", "b3 h2 q40 k30 d16 bf16 seqlens o=f32 causal",
                    "b1 h1 q20 k0 d16 f32", "b0 h1 q20 k9 d16 f32", "b1 h1 q0 k9 d16 f32",
                    "b1 h2 q80 k80 d16 f32 window=9,0 sink_tokens=3 layout=bhsd",
                    "b1 h2 q60 k20 d16 f32 causal"));

TEST(WrongResults, AnErrorIsReportedWithItsPlace) {
  Right right("b2 h3 q40 k70 d16 f32");
  right.o().set({1, 17, 2, 5}, right.o().get({1, 17, 2, 5}) + 1e-3);
  EXPECT_NE(right.verdict().find("o[batch 1, head 2, row 17, dim 5]"), std::string::npos);
}

TEST(WrongResults, SoIsOneOfLse) {
  Right right("b2 h3 q40 k70 d16 f32");
  right.lse().set({1, 2, 17}, right.lse().get({1, 2, 17}) + 1e-4);
  EXPECT_NE(right.verdict().find("lse[batch 1, head 2, row 17]"), std::string::npos);
}

TEST(WrongResults, UnwrittenElementsAreFound) {
  Right right("b1 h2 q40 k70 d16 bf16");
  right.o().as<bfloat16>()[7].bits = 0xffff;
  EXPECT_EQ(right.verdict(), "o[batch 0, head 0, row 0, dim 7] was never written");
}

TEST(WrongResults, UnwrittenElementsAreFoundInRowsThatAreNotSampled) {
  Right right("b1 h1 q900 k4 d16 f32");
  right.o().set({0, 700, 0, 3}, std::numeric_limits<double>::quiet_NaN());
  const Comparison c = right.compare(0);
  ASSERT_TRUE(c.sampled);
  ASSERT_FALSE(c.passed());
  EXPECT_NE(c.failures.front().find("row 700, dim 3"), std::string::npos);
}

TEST(WrongResults, AnInfinityIsFound) {
  Right right("b1 h2 q40 k70 d16 f32");
  right.lse().set({0, 1, 3}, std::numeric_limits<double>::infinity());
  EXPECT_NE(right.verdict().find("is inf"), std::string::npos);
}

TEST(WrongResults, PaddingMustBeZeroAndMinusInfinity) {
  Right right("b1 h1 q40 k10 d16 f32 causal");  // the first 30 rows see no key
  right.o().set({0, 3, 0, 1}, 1e-30);
  EXPECT_NE(right.verdict().find("it must be 0"), std::string::npos);
  Right other("b1 h1 q40 k10 d16 f32 causal");
  other.lse().set({0, 0, 3}, -1e30);
  EXPECT_NE(other.verdict().find("it must be -inf"), std::string::npos);
}

TEST(WrongResults, ManyFailuresAreCounted) {
  Right right("b1 h1 q40 k70 d16 f32");
  right.o().fill_bytes(std::byte{0xff});
  const Comparison c = right.compare();
  EXPECT_EQ(c.failures.size(), 9u);
  EXPECT_EQ(c.failures.back().substr(0, 4), "and ");
}

TEST(WrongResults, SlightlyWrongF32OutputsOfBf16InputsAreFound) {
  Right right("b1 h2 q80 k70 d32 bf16 o=f32");
  HostTensor& o = right.o();
  for (std::int64_t i = 0; i < o.elements(); ++i) o.as<float>()[i] *= 1.01f;
  const Comparison c = right.compare();
  EXPECT_GT(c.rms_tolerance, 0.0);
  EXPECT_FALSE(c.passed());
}

TEST(NonFiniteInputs, MustReachTheRowsThatSeeThem) {
  Right right("b1 h1 q8 k8 d4 f32 causal");
  right.inputs.at("v").set({0, 5, 0, 2}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(right.verdict().find("float64 says nan"), std::string::npos);
  reference::forward(right.params);
  EXPECT_EQ(right.verdict(), "passed");
}

TEST(Tolerances, AreAsWritten) {
  EXPECT_DOUBLE_EQ(o_tolerance(1e-6, 1.5, DType::f32, DType::f32), 1.25e-6 + 0x1p-22);
  EXPECT_EQ(o_tolerance(0, 0x1p-1040, DType::f64, DType::f64), 0x1p-1069);  // denormal: 32 steps
  EXPECT_EQ(o_tolerance(0, 0x1p-140, DType::f32, DType::f32), 0x1p-144);
  EXPECT_DOUBLE_EQ(o_tolerance(0.0, 0.75, DType::bf16, DType::f32), 0x1p-7);
  EXPECT_DOUBLE_EQ(o_tolerance(2.0, 0.0, DType::f32, DType::f32), 2.5);
  EXPECT_DOUBLE_EQ(rms_tolerance(1e-3, DType::f32), 1.25e-3 + 0x1p-23);
  EXPECT_DOUBLE_EQ(rms_tolerance(1e-3, DType::bf16), 1.25e-3 + 0x1p-9);
  EXPECT_DOUBLE_EQ(lse_tolerance(0.0, 0.1, DType::f32), 0x1p-22 + 0x1p-21);
  EXPECT_DOUBLE_EQ(rms_tolerance(1e-3, DType::f16), 1.25e-3 + 0x1p-12);
  EXPECT_DOUBLE_EQ(o_tolerance(0.0, 0.75, DType::f16, DType::f32), 0x1p-10);
  EXPECT_DOUBLE_EQ(o_tolerance(0.0, 1e-7, DType::f16, DType::f16), 0x1p-23);
  EXPECT_DOUBLE_EQ(lse_tolerance(0.0, 9.0, DType::bf16), 0x1p-19 + 0x1p-13);
}

TEST(SampledRows, HoldTileEdgesOfSeveralHeads) {
  Right right("b3 h4 q700 k3 d2 f32 seqlens");
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> rows;
  for (const Place& place : sampled_rows(right.params, 1))
    rows.insert({place.batch, place.head, place.row});
  EXPECT_GE(rows.size(), 48u);
  for (const std::int64_t edge : {0, 15, 16, 63, 64, 511, 512, 698, 699}) {
    EXPECT_EQ(rows.count({0, 0, edge}), 1u) << edge;
    const bool inside_or_last = edge < 513 || edge == 699;
    EXPECT_TRUE(!inside_or_last || rows.count({2, 3, edge}) == 1) << edge;
  }
}

TEST(SampledRows, DependOnTheSeedAndAreNoMoreThanThereAre) {
  Right right("b2 h2 q500 k3 d2 f32");
  const auto key = [&](std::uint64_t seed) {
    std::string text;
    for (const Place& p : sampled_rows(right.params, seed)) text += std::to_string(p.row) + " ";
    return text;
  };
  EXPECT_EQ(key(1), key(1));
  EXPECT_NE(key(1), key(2));
  EXPECT_EQ(sampled_rows(Right("b1 h2 q5 k3 d2 f32").params, 0).size(), 10u);
  EXPECT_TRUE(sampled_rows(Right("b0 h2 q5 k3 d2 f32").params, 0).empty());
}

TEST(CheckForward, PassesForTheReferenceAndTellsItsCommand) {
  const Problem problem = Problem::parse("b2 h4/2 q33 k50 d16 bf16 causal varlen");
  const CheckResult result = check_forward(problem, 7, "reference", 1);
  EXPECT_TRUE(result.passed()) << result.to_string();
  EXPECT_EQ(result.command(), "strobe check \"" + problem.to_string() +
                                  "\" --backend reference --seed 7 --threads 1");
}

TEST(CheckForward, TellsTheBackendOfTheKernelWhereNoneWasAskedFor) {
  const CheckResult result = check_forward(Problem::parse("h1 q9 d8"), 0, "", 1);
  EXPECT_EQ(result.command(), "strobe check \"h1 q9 d8\" --backend " +
                                  result.kernel.substr(0, result.kernel.find(' ')) +
                                  " --seed 0 --threads 1");
}

TEST(CheckForward, TellsHowMuchIsDoneRowByRow) {
  for (const char* backend : {"reference", ""}) {
    std::vector<double> told;
    check_forward(Problem::parse("h1 q9 d8"), 0, backend, 1,
                  [&](double share) { told.push_back(share); });
    ASSERT_GE(told.size(), 9u);
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    EXPECT_LT(told.front(), 1.0);
    EXPECT_EQ(told.back(), 1.0);
  }
}

TEST(CheckForward, GivesTheSameErrorsOnAnyNumberOfThreads) {
  const Problem problem = Problem::parse("b2 h2 q150 k90 d16 f32 causal");
  const CheckResult one = check_forward(problem, 2, "reference", 1);
  const CheckResult three = check_forward(problem, 2, "reference", 3);
  EXPECT_EQ(one.comparison.to_string(), three.comparison.to_string());
}

TEST(CheckForward, TellsItsProgress) {
  double last = 0.0;
  check_forward(Problem::parse("b1 h2 q100 k50 d8 f32"), 0, "reference", 1,
                [&](double share) { last = share; });
  EXPECT_EQ(last, 1.0);
}

}  // namespace
}  // namespace strobe::harness
