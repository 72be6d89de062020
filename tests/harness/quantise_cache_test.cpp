// Drawn quantised caches hold the plain case's numbers, and a check of them can fail.
// SPDX-License-Identifier: Apache-2.0
#include "harness/quantise_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "api/validate.hpp"
#include "harness/accuracy.hpp"
#include "harness/plain_keys.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "semantics/quantised_row.hpp"

namespace strobe::harness {
namespace {

constexpr const char* kTypes[] = {"e4m3", "e5m2", "int8", "int4"};
constexpr const char* kScales[] = {"tensor", "head", "token", "group"};
constexpr const char* kLayouts[] = {"", " page=7", " batch_idx", " layout=bhsd leftpad"};

/// One of each type, granularity and way to lie.
std::vector<std::string> cases() {
  std::vector<std::string> all;
  for (const char* const type : kTypes)
    for (const char* const scales : kScales)
      for (const char* const layout : kLayouts)
        all.push_back(std::string("b3 h4/2 q2 k50 d40/34 causal append=2 seqlens kv=") + type +
                      ":" + scales + layout);
  return all;
}

/// Half the distance of codes around the largest, as a share of the largest.
double half_step(DType dtype) {
  switch (dtype) {
    case DType::e4m3: return 16.0 / 448;
    case DType::e5m2: return 4096.0 / 57344;
    default: return 0.5 / static_cast<double>(largest_code(dtype));
  }
}

class QuantisedCache : public ::testing::TestWithParam<std::string> {};

TEST_P(QuantisedCache, HoldsThePlainCasesNumbers) {
  const Problem problem = Problem::parse(GetParam());
  Problem plain_problem = problem;
  plain_problem.kv_dtype = DType::none;
  plain_problem.kv_scales = KvScales::none;
  TensorMap plain_in = drawn_decode_tensors(plain_problem, 3),
            in = drawn_decode_tensors(problem, 3);
  TensorMap plain_out = output_tensors(plain_problem, plain_in), out = output_tensors(problem, in);
  const ForwardParams plain =
      api::decode_params(decode_tensors(plain_in, plain_out), plain_problem).attention;
  const DecodeTensors tensors = decode_tensors(in, out);
  const ForwardParams codes = api::decode_params(tensors, problem).attention;
  EXPECT_EQ(Problem::of(tensors, {.mask = problem.mask}), problem);
  double largest = 0;
  for (std::int64_t b = 0; b < 3; ++b) {
    const Sequence s = sequence(plain, b);
    for (std::int64_t key = s.leftpad; key < plain.cache_seqlens[b]; ++key)
      for (std::int64_t h = 0; h < 2; ++h)
        for (std::int64_t d = 0; d < 40; ++d) {
          const double want = key_row(plain, s, key, h)[d];
          const double got = key_row(codes, sequence(codes, b), key, h)[d];
          ASSERT_NEAR(got, want, 5.0 * half_step(problem.kv_dtype))
              << "5 is beyond all that is drawn";
          largest = std::max(largest, std::abs(want));
        }
  }
  EXPECT_GT(largest, 2.0);
}

/// Slots that hold no key have scales that would spoil every result.
TEST_P(QuantisedCache, ChecksAgainstTheReference) {
  const CheckResult result =
      check_decode(Problem::parse(GetParam()), 1, {.backend = "reference", .op = Op::decode});
  EXPECT_TRUE(result.passed()) << result.to_string();
}

INSTANTIATE_TEST_SUITE_P(All, QuantisedCache, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return "Case" + std::to_string(info.index); });

TEST(QuantiseCache, GivenScalesMapTheLargestNumberToTheLargestCode) {
  for (const char* const text :
       {"h2 q1 k300 d32 append kv=e4m3", "h2 q1 k300 d32 append kv=int4:head"}) {
    const Problem problem = Problem::parse(text);
    const TensorMap in = drawn_decode_tensors(problem, 1);
    for (const char* const name : {"k", "v"}) {
      const HostTensor& codes = in.at(std::string(name) + "_cache");
      double most = 0;
      for (std::int64_t slot = 0; slot < 299; ++slot)
        for (std::int64_t h = 0; h < 2; ++h)
          for (std::int64_t d = 0; d < 32; ++d)
            most = std::max(most, std::abs(codes.get({0, slot, h, d})));
      EXPECT_EQ(most, largest_code(problem.kv_dtype)) << text << " " << name;
    }
  }
}

TEST(PlainKeys, AreTheSameCall) {
  const Problem problem =
      Problem::parse("b2 h4/2 q3 k70 d40/34 bf16 o=f32 causal page=16 leftpad kv=int8");
  TensorMap in = drawn_decode_tensors(problem, 1), out = output_tensors(problem, in);
  const DecodeTensors tensors = decode_tensors(in, out);
  const ForwardParams codes = api::decode_params(tensors, problem).attention;
  run_reference(codes, {});
  const HostTensor o = out.at("o").clone();
  out.at("o").fill_bytes(std::byte{0xff});
  run_reference(PlainKeys(codes, DType::f32).params(), {});
  EXPECT_EQ(std::memcmp(o.data(), out.at("o").data(), static_cast<std::size_t>(o.bytes())), 0);
}

/// What compares results with float64 sees one wrong code.
TEST(CompareForward, SeesAWrongCode) {
  const Problem problem = Problem::parse("h2 q1 k40 d32 kv=int8");
  TensorMap in = drawn_decode_tensors(problem, 1), out = output_tensors(problem, in);
  const ForwardParams p = api::decode_params(decode_tensors(in, out), problem).attention;
  run_reference(p, {});
  EXPECT_TRUE(compare_forward(p, {}).passed());
  HostTensor& codes = in.at("v_cache");
  codes.set({0, 7, 1, 3}, -codes.get({0, 7, 1, 3}) + 50);
  EXPECT_FALSE(compare_forward(p, {}).passed());
}

}  // namespace
}  // namespace strobe::harness
