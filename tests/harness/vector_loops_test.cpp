// The vector loops of every instruction set that this machine runs, against plain C++.
// SPDX-License-Identifier: Apache-2.0
#include "harness/vector_loops.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "strobe/tensor.hpp"

namespace strobe::harness {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class VectorLoopsOf : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    loops_ = vector_loops(GetParam());
    if (loops_ == nullptr) GTEST_SKIP() << "this machine has no " << GetParam();
  }
  const VectorLoops* loops_ = nullptr;
};

std::vector<float> falling(std::int64_t n) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    x[static_cast<std::size_t>(i)] = 3.0f - 0.37f * static_cast<float>(i * 7 % n);
  return x;
}

TEST_P(VectorLoopsOf, LargestIsTheMaximumOfAnyLength) {
  EXPECT_EQ(loops_->f32.largest(nullptr, 0), -kInfinity);
  for (std::int64_t n = 1; n < 150; ++n) {
    const std::vector<float> x = falling(n);
    EXPECT_EQ(loops_->f32.largest(x.data(), n), *std::max_element(x.begin(), x.end())) << n;
  }
}

TEST_P(VectorLoopsOf, ExpIsGoodToAnUlpAndTheSumIsTheirs) {
  for (std::int64_t n = 0; n < 150; ++n) {
    std::vector<float> x = falling(n);
    const std::vector<float> before = x;
    const float sum = loops_->f32.exp_sum(x.data(), n, 3.0f);
    double wanted = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double truth = std::exp(static_cast<double>(before[i]) - 3.0);
      EXPECT_NEAR(x[i], truth, 1.5e-7 * truth) << before[i];
      wanted += truth;
    }
    EXPECT_NEAR(sum, wanted, 1e-6 * wanted) << n;
  }
}

TEST_P(VectorLoopsOf, ExpOfTheExtremes) {
  std::vector<float> x{0.0f, -kInfinity, -1000.0f, std::nanf(""), -87.0f};
  loops_->f32.exp_sum(x.data(), 5, 0.0f);
  EXPECT_EQ(x[0], 1.0f);
  EXPECT_EQ(x[1], 0.0f);
  EXPECT_EQ(x[2], 0.0f);
  EXPECT_TRUE(std::isnan(x[3]));
  EXPECT_NEAR(x[4], std::exp(-87.0), 1e-44);
}

TEST_P(VectorLoopsOf, RowsOfF64AreAsExactAsF64) {
  for (std::int64_t n = 0; n < 80; ++n) {
    const std::vector<float> start = falling(n);
    std::vector<double> x(start.begin(), start.end());
    const double largest = n > 0 ? *std::max_element(x.begin(), x.end()) : -kInfinity;
    EXPECT_EQ(loops_->f64.largest(x.data(), n), largest);
    const double sum = loops_->f64.exp_sum(x.data(), n, 3.0);
    double wanted = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double truth = std::exp(static_cast<double>(start[i]) - 3.0);
      EXPECT_NEAR(x[i], truth, 4e-16 * truth) << start[i];
      wanted += truth;
    }
    EXPECT_NEAR(sum, wanted, 1e-14 * wanted) << n;
    const std::vector<double> before = x;
    loops_->f64.scale(x.data(), n, 0.5, DType::f64);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], 0.5 * before[i]);
  }
}

TEST_P(VectorLoopsOf, ExpOfTheExtremesInF64) {
  std::vector<double> x{0.0, -kInfinity, -1e300, std::nan(""), -700.0};
  loops_->f64.exp_sum(x.data(), 5, 0.0);
  EXPECT_EQ(x[0], 1.0);
  EXPECT_EQ(x[1], 0.0);
  EXPECT_EQ(x[2], 0.0);
  EXPECT_TRUE(std::isnan(x[3]));
  EXPECT_NEAR(x[4], std::exp(-700.0), 1e-318);
}

TEST_P(VectorLoopsOf, ScaleRoundsAsBfloat16Does) {
  for (std::int64_t n = 0; n < 70; ++n) {
    std::vector<float> rounded = falling(n);
    std::vector<float> plain = rounded;
    loops_->f32.scale(rounded.data(), n, 0.3f, DType::bf16);
    loops_->f32.scale(plain.data(), n, 0.3f, DType::f32);
    for (std::size_t i = 0; i < plain.size(); ++i)
      EXPECT_EQ(rounded[i], static_cast<float>(bfloat16(plain[i])));
  }
}

TEST_P(VectorLoopsOf, ScaleRoundsProbabilitiesAsFloat16Does) {
  std::vector<float> plain;
  for (float x = 1.0f; x > 1e-9f; x *= 0.983f) plain.push_back(x);
  plain.push_back(0.0f);
  std::vector<float> rounded = plain;
  loops_->f32.scale(rounded.data(), static_cast<std::int64_t>(rounded.size()), 1.0f, DType::f16);
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_EQ(rounded[i], static_cast<float>(float16(plain[i]))) << plain[i];
}

TEST_P(VectorLoopsOf, ReadTouchesEveryByte) {
  for (const std::size_t n : {0u, 1u, 63u, 64u, 255u, 256u, 1000u, 4096u}) {
    std::vector<std::byte> data(n);
    const std::uint64_t zero = loops_->read(data.data(), static_cast<std::int64_t>(n));
    for (std::size_t at = 0; at < n; at += std::max<std::size_t>(1, n / 37)) {
      data[at] = std::byte{1};
      EXPECT_NE(loops_->read(data.data(), static_cast<std::int64_t>(n)), zero) << at << " of " << n;
      data[at] = std::byte{0};
    }
  }
}

TEST_P(VectorLoopsOf, PeakLoopsReturnNumbers) {
  for (const PeakLoop& loop : {loops_->mul_add_f32, loops_->mul_add_f64, loops_->dot_bf16}) {
    if (loop.run == nullptr) continue;
    EXPECT_TRUE(std::isfinite(loop.run(1000)));
    EXPECT_GT(loop.flops_per_iteration, 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Harness, VectorLoopsOf,
                         testing::Values("portable", "avx2", "avx512", "avx512bf16"),
                         [](const auto& info) { return std::string(info.param); });

TEST(VectorLoops, UnknownNamesHaveNone) { EXPECT_EQ(vector_loops("avx1024"), nullptr); }

TEST(VectorLoops, TheBestOneRuns) {
  EXPECT_EQ(vector_loops(best_vector_loops().name), &best_vector_loops());
}

}  // namespace
}  // namespace strobe::harness
