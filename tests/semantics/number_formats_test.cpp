// Elements of every type, read as and written from float64.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/number_formats.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace strobe {
namespace {

TEST(NumberFormats, ReadsWhatItWrote) {
  std::array<float, 2> f32{};
  std::array<double, 2> f64{};
  std::array<bfloat16, 2> bf16{};
  std::array<float16, 2> f16{};
  store_element(f32.data(), DType::f32, 1, 0.1);
  store_element(f64.data(), DType::f64, 1, 0.1);
  store_element(bf16.data(), DType::bf16, 1, -2.5);
  store_element(f16.data(), DType::f16, 1, -2.5);
  EXPECT_EQ(load_element(f32.data(), DType::f32, 1), double{0.1f});
  EXPECT_EQ(load_element(f64.data(), DType::f64, 1), 0.1);
  EXPECT_EQ(load_element(bf16.data(), DType::bf16, 1), -2.5);
  EXPECT_EQ(load_element(f16.data(), DType::f16, 1), -2.5);
  EXPECT_EQ(load_element(f32.data(), DType::f32, 0), 0.0);
}

TEST(NumberFormats, BfloatRoundsToNearestEven) {
  std::array<bfloat16, 1> element{};
  const double step = std::ldexp(1.0, -7);  // between bf16 numbers from 1 to 2
  for (const auto& [value, want] : {std::array{1 + 0.5 * step, 1.0},
                                    {1 + 1.5 * step, 1 + 2 * step},
                                    {1 + 0.51 * step, 1 + step},
                                    {-1 - 0.49 * step, -1.0}}) {
    store_element(element.data(), DType::bf16, 0, value);
    EXPECT_EQ(load_element(element.data(), DType::bf16, 0), want) << value;
  }
}

// Of the two bf16 numbers around a float, the nearer one, for a spread of floats.
TEST(NumberFormats, BfloatIsTheNearerNeighbour) {
  for (std::uint32_t word = 0x00000007u; word < 0x7f7f8000u; word += 0x000f1237u) {
    const float value = std::bit_cast<float>(word);
    const double got = static_cast<float>(bfloat16(value));
    const std::uint16_t below = static_cast<std::uint16_t>(word >> 16);
    const double low = std::bit_cast<float>(std::uint32_t{below} << 16);
    const double high = std::bit_cast<float>((std::uint32_t{below} + 1) << 16);
    ASSERT_EQ(std::abs(got - value), std::min(value - low, high - value)) << value;
  }
}

// The value of a half by its definition.
double value_of_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

TEST(NumberFormats, EveryHalfIsReadAsDefinedAndComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    float16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    const float value = half;
    if ((bits & 0x7fffu) > 0x7c00u) {
      ASSERT_TRUE(std::isnan(value) && std::isnan(static_cast<float>(float16(value)))) << bits;
      continue;
    }
    if ((bits & 0x7c00u) == 0x7c00u)
      ASSERT_TRUE(std::isinf(value)) << bits;
    else
      ASSERT_EQ(value, value_of_half(half.bits)) << bits;
    ASSERT_EQ(float16(value).bits, bits);
  }
}

// Between two halves: below the middle the lower one, above it the upper, in the middle the even.
// The first halves are denormal; the last pair is the largest half and 65536, which is infinity.
TEST(NumberFormats, HalfRoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7c00u; ++bits) {
    const double low = value_of_half(static_cast<std::uint16_t>(bits));
    const double high = value_of_half(static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2.0);
    const std::uint32_t even = bits + (bits & 1u);
    ASSERT_EQ(float16(std::nextafter(middle, 0.0f)).bits, bits);
    ASSERT_EQ(float16(middle).bits, even);
    ASSERT_EQ(float16(std::nextafter(middle, 1e9f)).bits, bits + 1);
    ASSERT_EQ(float16(-middle).bits, even | 0x8000u);
  }
}

static_assert(float16(1.0f).bits == 0x3c00 && static_cast<float>(float16(0x1p-24f)) == 0x1p-24f);

TEST(NumberFormats, OtherTypesReadAsNan) {
  const std::array<std::int32_t, 1> ints{7};
  EXPECT_TRUE(std::isnan(load_element(ints.data(), DType::i32, 0)));
}

}  // namespace
}  // namespace strobe
