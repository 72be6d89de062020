// Standard attention against float64, row by row, in every way that it cuts its work.
// SPDX-License-Identifier: Apache-2.0
#include "harness/standard_attention.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "api/validate.hpp"
#include "harness/random_tensors.hpp"
#include "harness/standard_products.hpp"
#include "harness/tensor_map.hpp"
#include "reference/forward.hpp"
#include "semantics/number_formats.hpp"
#include "strobe/error.hpp"

namespace strobe::harness {
namespace {

/// Workers one after the other: the cut is that of threads, the run is not.
void one_by_one(void*, int workers, Parallel::Body body, void* argument) {
  for (int worker = 0; worker < workers; ++worker) body(argument);
}

Team team(int threads) { return {{one_by_one, nullptr}, threads}; }

/// The tensors of a case, wired.
struct Case {
  explicit Case(const std::string& text)
      : problem(Problem::parse(text)),
        inputs(random_tensors(problem, 5)),
        outputs(output_tensors(problem, inputs)),
        tensors(forward_tensors(inputs, outputs)),
        params(api::reference_params(tensors, problem)) {}

  Problem problem;
  TensorMap inputs;
  TensorMap outputs;
  ForwardTensors tensors;
  ForwardParams params;
};

/// The largest difference of two tensors of equal shape and strides; NaN where one has it alone.
double largest_difference(const HostTensor& ours, const HostTensor& exact) {
  double worst = 0.0;
  for (std::int64_t i = 0; i < ours.elements(); ++i) {
    const double a = load_element(ours.data(), ours.dtype(), i);
    const double b = load_element(exact.data(), exact.dtype(), i);
    if (a == b) continue;
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
    worst = std::max(worst, std::abs(a - b));
  }
  return worst;
}

/// The largest error of o and lse against float64.
double largest_error(const Case& c) {
  Case truth(c.problem.to_string());
  reference::forward(truth.params);
  const double o = largest_difference(c.outputs.at("o"), truth.outputs.at("o"));
  const double lse = largest_difference(c.outputs.at("lse"), truth.outputs.at("lse"));
  return std::isnan(o) ? o : std::isnan(lse) ? lse : std::max(o, lse);
}

class StandardAttentionCases : public testing::TestWithParam<const char*> {};

TEST_P(StandardAttentionCases, AgreesWithFloat64OnAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3}) {
    Case c(GetParam());
    standard_forward(c.params, team(threads));
    double allowed = 3e-6;
    if (c.problem.dtype == DType::bf16) allowed = 3e-2;
    if (c.problem.dtype == DType::f64) allowed = c.problem.o_dtype == DType::f64 ? 1e-14 : 3e-7;
    EXPECT_LE(largest_error(c), allowed) << GetParam() << " on " << threads << " threads";
  }
}

TEST_P(StandardAttentionCases, RowsAloneAgreeWithTheWhole) {
  Case c(GetParam());
  standard_forward(c.params, team(1));
  const std::int64_t head = c.params.num_heads - 1;
  const bool packed = c.problem.storage == Storage::varlen;
  const double allowed = c.problem.o_dtype == DType::bf16 ? 2e-2 : 1e-5;
  for (std::int64_t batch = 0; batch < c.params.batch; ++batch) {
    const Sequence s = sequence(c.params, batch);
    std::vector<double> o(static_cast<std::size_t>(s.rows * c.params.head_dim_v));
    std::vector<double> lse(static_cast<std::size_t>(s.rows));
    standard_rows(c.params, {batch, head, 0, s.rows}, o.data(), lse.data());
    for (std::int64_t row = 0; row < s.rows; ++row) {
      const double whole = packed ? c.outputs.at("o").get({s.first_q + row, head, 0})
                                  : c.outputs.at("o").get({batch, row, head, 0});
      EXPECT_NEAR(o[static_cast<std::size_t>(row * c.params.head_dim_v)], whole, allowed) << row;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Harness, StandardAttentionCases,
    testing::Values("b2 h3 q33 k33 d16 f32", "b1 h2/1 q40 k70 d8/24 f32 causal layout=bhsd",
                    "b1 h4/2 q20 k50 d16 f32 causal align=top_left",
                    "b1 h1 q64 k64 d16 f32 window=5,3 sink_tokens=2",
                    "b1 h3 q70 k70 d16 f32 causal chunk=16 sink_tokens=3 prefix=9",
                    "b3 h2 q30 k30 d16 f32 causal varlen", "b3 h2 q30 k20 d16 f32 seqlens",
                    "b1 h2 q9 k0 d16 f32", "b1 h2 q0 k9 d16 f32", "b0 h2 q8 k9 d16 f32",
                    "b1 h2 q50 k20 d16 f32 causal", "b1 h3 q33 k47 d16 bf16 causal",
                    "b2 h2 q33 k33 d40 bf16 seqlens o=f32 layout=bhsd", "b1 h1 q1 k1 d1 f32",
                    "b1 h2 q37 k513 d3 f32 scale=2.5 window=100,-1",
                    "b2 h3/1 q33 k70 d16/9 f64 causal layout=bhsd",
                    "b3 h2 q30 d40 f64 o=f32 varlen"));

TEST(StandardAttention, ReturnsTheBytesOfItsScores) {
  Case c("b1 h3 q40 k30 d8 f32");
  EXPECT_EQ(standard_forward(c.params, team(1)), 40 * 30 * 4);
  EXPECT_EQ(standard_forward(c.params, team(2)), 2 * 40 * 30 * 4);
  EXPECT_EQ(standard_forward(c.params, team(8)), 40 * 30 * 4) << "shared by all threads";
  EXPECT_EQ(standard_score_bytes(c.problem, 2), 2 * 40 * 30 * 4);
  EXPECT_EQ(full_score_bytes(c.problem), 3 * 40 * 30 * 4);
}

TEST(StandardAttention, RefusesAMatrixThatDoesNotFitBeforeAnyAllocation) {
  ForwardParams p;
  p.batch = p.num_heads = p.num_heads_kv = 1;
  p.seqlen_q = p.seqlen_k = std::int64_t{1} << 28;
  p.head_dim = p.head_dim_v = 64;
  p.q_strides = p.k_strides = p.v_strides = p.o_strides = {0, 64, 64};
  try {
    StandardAttention standard(p, 1);
    FAIL() << "2^58 bytes of scores were granted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::out_of_memory);
    const std::string text = error.what();
    EXPECT_TRUE(text.starts_with(
        "strobe::harness::StandardAttention: 1 score matrix of 268435456 x 268435456 numbers and "
        "the copies of a head take 268435456.0 GiB, the machine has "))
        << text;
    EXPECT_TRUE(
        text.ends_with(" GiB available; take shorter sequences or fewer threads, or leave "
                       "the baseline out [standard-memory]"))
        << text;
  }
}

TEST(StandardAttention, ScoreBytesThatOverflowAreTheLargestNumber) {
  Problem p;
  p.seqlen_q = p.seqlen_k = std::int64_t{1} << 40;
  EXPECT_EQ(standard_score_bytes(p, 1), std::numeric_limits<std::int64_t>::max());
}

TEST(StandardAttention, RefusesOtherTypes) {
  ForwardParams p;
  p.dtype = DType::i32;
  try {
    const StandardAttention standard(p, 1);
    FAIL() << "i32 was taken";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "strobe::harness::StandardAttention: the type is i32; it takes f32, f16, bf16 and "
                 "f64 [dtype-input]");
  }
}

TEST(StandardAttention, RefusesLongerSequencesThanPlanned) {
  Case small("b1 h1 q8 k8 d4 f32");
  Case large("b1 h1 q9 k8 d4 f32");
  StandardAttention standard(small.params, 1);
  try {
    standard.run(large.params, team(1));
    FAIL() << "9 queries were taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    EXPECT_STREQ(error.what(),
                 "strobe::harness::StandardAttention: a sequence has 9 queries and 8 keys and the "
                 "plan was made for at most 8 and 8; make a plan for the longest [plan-longer]");
  }
}

TEST(StandardAttention, RunsOnThreadsAtOnce) {
  ThreadPool pool(2);
  for (const char* text : {"b1 h3 q70 k70 d16 bf16 causal o=f32", "b1 h1 q70 k70 d16 f32"}) {
    Case c(text);
    standard_forward(c.params, team_of(pool));
    EXPECT_LE(largest_error(c), c.problem.dtype == DType::bf16 ? 3e-2 : 3e-6) << text;
  }
}

TEST(StandardAttention, KeepsItsMemoryFromRunToRun) {
  Case c("b2 h2 q33 k35 d16 f32 causal");
  StandardAttention standard(c.params, 2);
  standard.run(c.params, team(2));
  standard.run(c.params, team(1));
  EXPECT_LE(largest_error(c), 3e-6);
}

TEST(StandardProducts, NamesWhatComputes) { EXPECT_FALSE(standard_products().empty()); }

TEST(StandardProducts, RefuseWhatBlasCannotCount) {
  if (standard_products().starts_with("plain")) GTEST_SKIP() << "plain loops take any size";
  try {
    multiply_transposed({nullptr, 1}, {nullptr, 1}, {nullptr, 1}, {std::int64_t{1} << 31, 1, 1},
                        1.0f);
    FAIL() << "2^31 rows were taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
    EXPECT_STREQ(error.what(),
                 "strobe::harness::standard attention: a matrix has 2147483648 rows, columns or "
                 "elements from row to row; BLAS takes at most 2147483647, so take shorter "
                 "sequences [standard-size]");
  }
}

template <class Real>
void expect_plain_products() {
  const std::vector<Real> a{1, 2, 3, 4, 5, 6};  // [2, 3]
  const std::vector<Real> b{1, 0, 2, 0, 1, 1};  // [2, 3], or [3, 2]
  std::vector<Real> c(4, -1);
  multiply_transposed<Real>({a.data(), 3}, {b.data(), 3}, {c.data(), 2}, {2, 2, 3}, 2);
  EXPECT_EQ(c, (std::vector<Real>{14, 10, 32, 22}));
  multiply<Real>({a.data(), 3}, {b.data(), 2}, {c.data(), 2}, {2, 2, 3});
  EXPECT_EQ(c, (std::vector<Real>{8, 3, 20, 6}));
}

TEST(StandardProducts, EqualAPlainLoop) {
  expect_plain_products<float>();
  expect_plain_products<double>();
}

}  // namespace
}  // namespace strobe::harness
