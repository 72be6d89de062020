// Tests of harness/random_tensors.hpp: the distribution, what an element depends on, lengths,
// layouts, outputs.
// SPDX-License-Identifier: Apache-2.0
#include "harness/random_tensors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "scratch.hpp"

namespace strobe::harness {
namespace {

Problem problem(std::int64_t batch, std::int64_t heads, std::int64_t seqlen, std::int64_t dim) {
  Problem p;
  p.batch = batch;
  p.num_heads = p.num_heads_kv = heads;
  p.seqlen_q = p.seqlen_k = seqlen;
  p.head_dim = p.head_dim_v = dim;
  return p;
}

std::vector<double> sorted_values(const HostTensor& tensor) {
  const std::span<const float> values(tensor.as<float>(),
                                      static_cast<std::size_t>(tensor.elements()));
  std::vector<double> result(values.begin(), values.end());
  std::ranges::sort(result);
  return result;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

/// The definition in the header, step by step and with the maths library, u rounded to f32.
double element_by_definition(std::uint64_t seed, const char* name,
                             std::array<std::uint64_t, 4> at) {
  const auto mix = [](std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  };
  const auto next = [&](std::uint64_t s, std::uint64_t i) {
    return mix(s + (i + 1) * 0x9e3779b97f4a7c15u);
  };
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char* c = name; *c != '\0'; ++c)
    hash = (hash ^ static_cast<unsigned char>(*c)) * 0x100000001b3u;
  std::uint64_t stream = next(mix(seed), hash);
  for (int axis = 0; axis < 3; ++axis) stream = next(stream, at[static_cast<std::size_t>(axis)]);
  const std::uint64_t draw = next(stream, at[3] / 2);
  const double u = static_cast<float>((static_cast<double>(draw >> 33) + 0.5) * 0x1p-31);
  const double turn = 2 * std::numbers::pi * static_cast<double>(draw & 0xffffffffu) * 0x1p-32;
  const double radius = std::sqrt(-2.0 * std::log(u));
  return radius * (at[3] % 2 == 0 ? std::cos(turn) : std::sin(turn));
}

TEST(RandomTensors, HaveTheMomentsOfANormal) {
  const TensorMap tensors = random_tensors(problem(2, 4, 1024, 128), 1);
  const std::vector<double> values = sorted_values(tensors.at("q"));
  std::array<double, 5> moment{};
  for (const double x : values)
    for (std::size_t power = 1; power <= 4; ++power)
      moment[power] += std::pow(x, static_cast<double>(power)) / static_cast<double>(values.size());
  // Five standard errors of 2^20 draws: the variances of x, x^2, x^3, x^4 are 1, 2, 15, 96.
  EXPECT_NEAR(moment[1], 0.0, 5 * std::sqrt(1.0) / 1024);
  EXPECT_NEAR(moment[2], 1.0, 5 * std::sqrt(2.0) / 1024);
  EXPECT_NEAR(moment[3], 0.0, 5 * std::sqrt(15.0) / 1024);
  EXPECT_NEAR(moment[4], 3.0, 5 * std::sqrt(96.0) / 1024);
}

TEST(RandomTensors, FollowTheNormalDistributionUpToItsTails) {
  const std::vector<double> values =
      sorted_values(random_tensors(problem(2, 4, 1024, 128), 2).at("k"));
  const auto count = static_cast<double>(values.size());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    distance = std::max(distance,
                        std::abs(normal_cdf(values[i]) - (static_cast<double>(i) + 0.5) / count));
  // Kolmogorov and Smirnov: beyond 1.95 / sqrt(n) once in a thousand.
  EXPECT_LT(distance, 1.95 / std::sqrt(count));
  const auto beyond = values.end() - std::ranges::lower_bound(values, 4.0);
  EXPECT_NEAR(static_cast<double>(beyond), count * 3.167e-5, 5 * std::sqrt(count * 3.167e-5));
}

TEST(RandomTensors, NeighboursAndTensorsAreIndependent) {
  const TensorMap tensors = random_tensors(problem(1, 4, 2048, 128), 3);
  const auto count = tensors.at("q").elements();
  const float* q = tensors.at("q").as<float>();
  const float* k = tensors.at("k").as<float>();
  std::array<double, 5> sum{};
  for (std::int64_t i = 0; i + 512 < count; ++i) {
    sum[0] += static_cast<double>(q[i]) * q[i + 1];
    sum[1] += static_cast<double>(q[i]) * q[i + 128];
    sum[2] += static_cast<double>(q[i]) * q[i + 512];
    sum[3] += static_cast<double>(q[i]) * k[i];
    sum[4] +=
        (static_cast<double>(q[i]) * q[i] - 1) * (static_cast<double>(q[i + 1]) * q[i + 1] - 1) / 2;
  }
  for (const double s : sum) EXPECT_LT(std::abs(s), 5 * std::sqrt(static_cast<double>(count)));
}

TEST(RandomTensors, FollowTheDefinitionInTheHeader) {
  const TensorMap tensors = random_tensors(problem(2, 3, 37, 150), 0xfeedbeef12345678u);
  double worst = 0;
  for (std::uint64_t b = 0; b < 2; ++b)
    for (std::uint64_t row = 0; row < 37; ++row)
      for (std::uint64_t head = 0; head < 3; ++head)
        for (std::uint64_t d = 0; d < 150; ++d) {
          const Shape at{static_cast<std::int64_t>(b), static_cast<std::int64_t>(row),
                         static_cast<std::int64_t>(head), static_cast<std::int64_t>(d)};
          worst = std::max(
              worst, std::abs(tensors.at("v").get(at) -
                              element_by_definition(0xfeedbeef12345678u, "v", {b, row, head, d})));
        }
  EXPECT_LT(worst, 2e-6);
}

TEST(RandomTensors, HaveTheSameBitsOnEveryMachine) {
  const TensorMap tensors = random_tensors(problem(1, 8, 512, 64), 7);
  const HostTensor& q = tensors.at("q");
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::int64_t i = 0; i < q.elements(); ++i)
    hash = (hash ^ std::bit_cast<std::uint32_t>(q.as<float>()[i])) * 0x100000001b3u;
  EXPECT_EQ(hash, 1957612121434389637u);
}

TEST(RandomTensors, DependOnSeedAndName) {
  const TensorMap one = random_tensors(problem(1, 1, 4, 8), 1);
  const TensorMap two = random_tensors(problem(1, 1, 4, 8), 2);
  const TensorMap again = random_tensors(problem(1, 1, 4, 8), 1);
  EXPECT_EQ(one.at("q").get({0, 3, 0, 7}), again.at("q").get({0, 3, 0, 7}));
  EXPECT_NE(one.at("q").get({0, 3, 0, 7}), two.at("q").get({0, 3, 0, 7}));
  EXPECT_NE(one.at("q").get({0, 3, 0, 7}), one.at("k").get({0, 3, 0, 7}));
  EXPECT_NE(one.at("k").get({0, 3, 0, 7}), one.at("v").get({0, 3, 0, 7}));
}

TEST(RandomTensors, DoNotDependOnSizes) {
  const TensorMap small = random_tensors(problem(1, 2, 5, 7), 1);
  const TensorMap large = random_tensors(problem(3, 4, 50, 200), 1);
  for (std::int64_t row = 0; row < 5; ++row)
    for (std::int64_t d = 0; d < 7; ++d)
      EXPECT_EQ(small.at("q").get({0, row, 1, d}), large.at("q").get({0, row, 1, d}));
}

TEST(RandomTensors, DoNotDependOnTheLayout) {
  Problem p = problem(2, 3, 5, 4);
  const TensorMap bshd = random_tensors(p, 1);
  p.layout = Layout::bhsd;
  TensorMap bhsd = random_tensors(p, 1);
  EXPECT_EQ(bshd.at("q").strides(), (Shape{60, 12, 4, 1}));
  EXPECT_EQ(bhsd.at("q").strides(), (Shape{60, 4, 20, 1}));
  EXPECT_EQ(bhsd.at("q").shape(), (Shape{2, 5, 3, 4}));
  for (std::int64_t i = 0; i < 120; ++i) {
    const Shape at{i / 60, i / 12 % 5, i / 4 % 3, i % 4};
    EXPECT_EQ(bhsd.at("q").get(at), bshd.at("q").get(at));
  }
}

TEST(RandomTensors, AreRoundedToTheType) {
  Problem p = problem(1, 2, 9, 33);
  const TensorMap single = random_tensors(p, 1);
  p.dtype = DType::bf16;
  const TensorMap half = random_tensors(p, 1);
  p.dtype = DType::f64;
  const TensorMap twice = random_tensors(p, 1);
  for (std::int64_t d = 0; d < 33; ++d) {
    const double value = single.at("k").get({0, 8, 1, d});
    EXPECT_EQ(half.at("k").get({0, 8, 1, d}),
              static_cast<float>(bfloat16(static_cast<float>(value))));
    const double digits = twice.at("k").get({0, 8, 1, d});
    EXPECT_NEAR(digits, value, 6 * 0x1p-25);
    EXPECT_NE(digits, value) << "products of f32 numbers are exact in f64";
  }
}

TEST(RandomTensors, HaveTheShapesOfTheProblem) {
  Problem p = problem(2, 8, 33, 64);
  p.num_heads_kv = 2;
  p.seqlen_k = 77;
  p.head_dim_v = 40;
  const TensorMap tensors = random_tensors(p, 1);
  EXPECT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors.at("q").shape(), (Shape{2, 33, 8, 64}));
  EXPECT_EQ(tensors.at("k").shape(), (Shape{2, 77, 2, 64}));
  EXPECT_EQ(tensors.at("v").shape(), (Shape{2, 77, 2, 40}));
}

TEST(RandomTensors, MayBeEmpty) {
  EXPECT_EQ(random_tensors(problem(0, 2, 5, 8), 1).at("q").shape(), (Shape{0, 5, 2, 8}));
  EXPECT_EQ(random_tensors(problem(1, 2, 0, 8), 1).at("k").shape(), (Shape{1, 0, 2, 8}));
  Problem p = problem(0, 2, 5, 8);
  p.storage = Storage::varlen;
  const TensorMap tensors = random_tensors(p, 1);
  EXPECT_EQ(tensors.at("q").shape(), (Shape{0, 2, 8}));
  EXPECT_EQ(tensors.at("cu_seqlens_q").shape(), (Shape{1}));
}

TEST(RandomLengths, AreEvenFromZeroToTheLongest) {
  Problem p = problem(20000, 1, 4, 1);
  p.storage = Storage::seqlens;
  const TensorMap tensors = random_tensors(p, 1);
  const std::int32_t* lengths = tensors.at("seqlens_q").as<std::int32_t>();
  std::array<int, 5> count{};
  for (int b = 0; b < 20000; ++b) {
    ASSERT_GE(lengths[b], 0);
    ASSERT_LE(lengths[b], 4);
    ++count[static_cast<std::size_t>(lengths[b])];
  }
  EXPECT_EQ(lengths[0], 4);
  for (const int c : count) EXPECT_NEAR(c, 4000, 5 * std::sqrt(4000 * 0.8));
}

TEST(RandomLengths, OfKeysAreThoseOfQueriesWhereTheLongestAre) {
  Problem p = problem(50, 1, 100, 1);
  p.storage = Storage::seqlens;
  const TensorMap same = random_tensors(p, 1);
  p.seqlen_k = 101;
  const TensorMap other = random_tensors(p, 1);
  int equal = 0;
  for (std::int64_t b = 0; b < 50; ++b) {
    EXPECT_EQ(same.at("seqlens_q").get({b}), same.at("seqlens_k").get({b}));
    equal += other.at("seqlens_q").get({b}) == other.at("seqlens_k").get({b});
  }
  EXPECT_EQ(other.at("seqlens_k").get({0}), 101.0);
  EXPECT_LT(equal, 10);
}

TEST(RandomLengths, PackedAndPaddedPoseTheSameSequences) {
  Problem p = problem(6, 2, 40, 5);
  p.seqlen_k = 60;
  p.storage = Storage::seqlens;
  const TensorMap padded = random_tensors(p, 9);
  p.storage = Storage::varlen;
  const TensorMap packed = random_tensors(p, 9);
  const std::int32_t* starts = packed.at("cu_seqlens_k").as<std::int32_t>();
  EXPECT_EQ(packed.at("k").shape(), (Shape{starts[6], 2, 5}));
  for (std::int64_t b = 0; b < 6; ++b) {
    ASSERT_EQ(starts[b + 1] - starts[b], padded.at("seqlens_k").get({b}));
    for (std::int64_t row = 0; row < starts[b + 1] - starts[b]; ++row)
      ASSERT_EQ(packed.at("k").get({starts[b] + row, 1, 4}), padded.at("k").get({b, row, 1, 4}));
  }
}

TEST(RandomLengths, PackedTensorsFollowTheLayout) {
  Problem p = problem(3, 2, 10, 4);
  p.storage = Storage::varlen;
  const TensorMap bshd = random_tensors(p, 1);
  p.layout = Layout::bhsd;
  const TensorMap bhsd = random_tensors(p, 1);
  const std::int64_t total = bshd.at("q").shape()[0];
  EXPECT_EQ(bhsd.at("q").strides(), (Shape{4, total * 4, 1}));
  EXPECT_EQ(bhsd.at("q").get({total - 1, 1, 3}), bshd.at("q").get({total - 1, 1, 3}));
}

TEST(RandomTensors, RefuseSizesThatCannotBe) {
  Problem p = problem(1, 1, std::int64_t{1} << 32, 1);
  p.storage = Storage::varlen;
  EXPECT_EQ(
      message_of([&] { (void)random_tensors(p, 1); }),
      "strobe::random_tensors: sequences of up to 4294967296 rows cannot have lengths of type "
      "i32; take from 0 to 2147483647, or leave varlen and seqlens out [random-length]");
  p = problem(100, 1, 1 << 30, 1);
  p.storage = Storage::varlen;
  const std::string message = message_of([&] { (void)random_tensors(p, 1); });
  EXPECT_TRUE(
      message.ends_with("sequences together have more rows than cu_seqlens of type i32 can "
                        "count; take fewer or shorter ones [random-length]"))
      << message;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const Problem& bad :
       {problem(-1, 1, 1, 1), problem(1, 1, most, 2), problem(most, most, 1, 1)})
    EXPECT_THROW((void)random_tensors(bad, 1), Error);
}

TEST(RandomTensors, RefuseOtherTypes) {
  Problem p = problem(1, 1, 1, 1);
  p.dtype = DType::i32;
  EXPECT_EQ(message_of([&] { (void)random_tensors(p, 1); }),
            "strobe::random_tensors: no random tensors of i32; there are f32, f16, bf16 and f64 "
            "[dtype-input]");
}

TEST(OutputTensors, HaveShapesLayoutAndPoison) {
  Problem p = problem(2, 3, 5, 8);
  p.head_dim_v = 4;
  p.dtype = p.o_dtype = DType::bf16;
  p.layout = Layout::bhsd;
  const TensorMap out = output_tensors(p, {});
  EXPECT_EQ(out.at("o").dtype(), DType::bf16);
  EXPECT_EQ(out.at("o").shape(), (Shape{2, 5, 3, 4}));
  EXPECT_EQ(out.at("o").strides(), (Shape{60, 4, 20, 1}));
  EXPECT_EQ(out.at("lse").dtype(), DType::f32);
  EXPECT_EQ(out.at("lse").shape(), (Shape{2, 3, 5}));
  EXPECT_TRUE(out.at("lse").is_contiguous());
  EXPECT_TRUE(std::isnan(out.at("o").get({1, 4, 2, 3})));
  EXPECT_TRUE(std::isnan(out.at("lse").get({1, 2, 4})));
}

TEST(OutputTensors, OfPackedSequencesAreAsLongAsQ) {
  Problem p = problem(4, 3, 20, 8);
  p.storage = Storage::varlen;
  const TensorMap in = random_tensors(p, 1);
  const TensorMap out = output_tensors(p, in);
  const std::int64_t total = in.at("q").shape()[0];
  EXPECT_EQ(out.at("o").shape(), (Shape{total, 3, 8}));
  EXPECT_EQ(out.at("lse").shape(), (Shape{3, total}));
  EXPECT_EQ(
      message_of([&] { (void)output_tensors(p, {}); }),
      "strobe::output_tensors: packed outputs are as long as q [total, heads, dim]; the inputs "
      "hold no such tensor [tensor-missing]");
}

}  // namespace
}  // namespace strobe::harness
