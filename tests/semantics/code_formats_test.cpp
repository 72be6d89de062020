// The codes of quantised caches: every code by its definition, every rounding by its neighbours.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "semantics/number_formats.hpp"

namespace strobe {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float decoded(DType dtype, std::uint8_t bits) {
  return static_cast<float>(load_element(&bits, dtype, 0));
}

std::uint8_t encoded(DType dtype, float value) {
  std::uint8_t bits = 0;
  store_element(&bits, dtype, 0, value);
  return bits;
}

/// A format of a sign, exponent bits and fraction bits, as its standard defines it.
struct Format {
  DType dtype;
  int fraction_bits;
  int bias;
  std::uint8_t largest;  ///< code of the largest number
  bool infinity;         ///< follows it

  double size_of_code(int code) const {
    const int exponent = code >> fraction_bits, fraction = code & ((1 << fraction_bits) - 1);
    const int one = 1 << fraction_bits;
    return exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                         : std::ldexp(one + fraction, exponent - bias - fraction_bits);
  }
};

class Float8Format : public testing::TestWithParam<Format> {};

TEST_P(Float8Format, EveryCodeIsReadAsDefinedAndComesBack) {
  const Format& f = GetParam();
  for (int bits = 0; bits < 256; ++bits) {
    const auto code = static_cast<std::uint8_t>(bits);
    const int size = bits & 0x7f;
    const float value = decoded(f.dtype, code);
    if (size > f.largest) {
      const bool infinite = f.infinity && size == f.largest + 1;
      EXPECT_EQ(std::isinf(value), infinite) << bits;
      EXPECT_EQ(std::isnan(value), !infinite) << bits;
      EXPECT_EQ(encoded(f.dtype, value) & 0x7f, infinite ? f.largest : 0x7f) << bits;
      continue;
    }
    EXPECT_EQ(value, (bits & 0x80 ? -1 : 1) * f.size_of_code(size)) << bits;
    EXPECT_EQ(std::signbit(value), bits > 0x7f) << bits;
    EXPECT_EQ(encoded(f.dtype, value), code);
  }
}

// Between two numbers: below the middle the lower one, above it the upper, in the middle the even.
TEST_P(Float8Format, RoundsToNearestEven) {
  const Format& f = GetParam();
  for (int code = 0; code < f.largest; ++code) {
    const auto middle = static_cast<float>((f.size_of_code(code) + f.size_of_code(code + 1)) / 2.0);
    const int even = code + (code & 1);
    EXPECT_EQ(encoded(f.dtype, std::nextafter(middle, 0.0f)), code);
    EXPECT_EQ(encoded(f.dtype, middle), even);
    EXPECT_EQ(encoded(f.dtype, std::nextafter(middle, 1e9f)), code + 1);
    EXPECT_EQ(encoded(f.dtype, -middle), even | 0x80);
  }
}

TEST_P(Float8Format, SaturatesAndKeepsNan) {
  const Format& f = GetParam();
  const float largest = largest_code(f.dtype);
  EXPECT_EQ(largest, f.size_of_code(f.largest));
  for (const float beyond :
       {std::nextafter(largest, kInfinity), 1.2f * largest, 1e30f, kInfinity}) {
    EXPECT_EQ(encoded(f.dtype, beyond), f.largest) << beyond;
    EXPECT_EQ(encoded(f.dtype, -beyond), f.largest | 0x80) << beyond;
  }
  for (const float tiny : {0.0f, std::numeric_limits<float>::denorm_min(), 1e-30f})
    EXPECT_EQ(encoded(f.dtype, tiny), 0) << tiny;
  EXPECT_TRUE(std::isnan(decoded(f.dtype, encoded(f.dtype, std::nanf("")))));
}

INSTANTIATE_TEST_SUITE_P(All, Float8Format,
                         testing::Values(Format{DType::e4m3, 3, 7, 0x7e, false},
                                         Format{DType::e5m2, 2, 15, 0x7b, true}),
                         [](const auto& info) { return std::string(name_of(info.param.dtype)); });

TEST(CodeFormats, FamousNumbers) {
  EXPECT_EQ(decoded(DType::e4m3, 0x7e), 448);
  EXPECT_TRUE(std::isnan(decoded(DType::e4m3, 0x7f)) && std::isnan(decoded(DType::e4m3, 0xff)));
  EXPECT_EQ(decoded(DType::e4m3, 0x38), 1);
  EXPECT_EQ(decoded(DType::e4m3, 0x01), 0x1p-9f);
  EXPECT_EQ(decoded(DType::e5m2, 0x7b), 57344);
  EXPECT_EQ(decoded(DType::e5m2, 0x7c), kInfinity);
  EXPECT_EQ(decoded(DType::e5m2, 0x01), 0x1p-16f);
}
static_assert(float8_e4m3(1.0f).bits == 0x38 && static_cast<float>(float8_e5m2(-2.0f)) == -2.0f);

/// e5m2 is the upper half of f16, which was tried on its own.
TEST(CodeFormats, EveryE5m2IsTheHalfThatStartsWithIt) {
  for (int bits = 0; bits < 256; ++bits) {
    float16 half;
    half.bits = static_cast<std::uint16_t>(bits << 8);
    const float value = half, got = decoded(DType::e5m2, static_cast<std::uint8_t>(bits));
    EXPECT_TRUE(got == value || (std::isnan(got) && std::isnan(value))) << bits;
  }
}

class WholeCodes : public testing::TestWithParam<DType> {};

TEST_P(WholeCodes, RoundToNearestEvenAndSaturate) {
  const int largest = static_cast<int>(largest_code(GetParam()));
  const auto through = [](float value) { return decoded(GetParam(), encoded(GetParam(), value)); };
  for (int code = -largest; code <= largest; ++code) {
    const auto value = static_cast<float>(code);
    EXPECT_EQ(through(value), value);
    if (code == largest) continue;
    const float middle = value + 0.5f;
    EXPECT_EQ(through(std::nextafter(middle, -1e9f)), value);
    EXPECT_EQ(through(middle), code % 2 == 0 ? value : value + 1);
    EXPECT_EQ(through(std::nextafter(middle, 1e9f)), value + 1);
  }
  for (const float beyond : {static_cast<float>(largest) + 0.5f, 1e30f, kInfinity}) {
    EXPECT_EQ(through(beyond), static_cast<float>(largest));
    EXPECT_EQ(through(-beyond), -static_cast<float>(largest)) << "the least code is not used";
  }
  EXPECT_EQ(through(std::nanf("")), 0) << "no whole number is NaN";
}

INSTANTIATE_TEST_SUITE_P(All, WholeCodes, testing::Values(DType::i8, DType::i4),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(CodeFormats, EveryByteOfInt8IsItsNumber) {
  for (int value = -128; value < 128; ++value)
    EXPECT_EQ(decoded(DType::i8, static_cast<std::uint8_t>(value)), static_cast<float>(value));
}

TEST(CodeFormats, AByteHoldsTwoInt4TheFirstInItsLowHalf) {
  for (int low = -8; low < 8; ++low)
    for (int high = -8; high < 8; ++high) {
      const auto pair = static_cast<std::uint8_t>((low & 15) | (high & 15) << 4);
      EXPECT_EQ(load_element(&pair, DType::i4, 0), low);
      EXPECT_EQ(load_element(&pair, DType::i4, 1), high);
    }
}

TEST(CodeFormats, WritingOneInt4LeavesItsNeighbours) {
  for (std::int64_t index = 0; index < 4; ++index)
    for (int code = -7; code <= 7; ++code) {
      std::array<std::uint8_t, 2> pairs{0x5a, 0xa5};
      const auto before = pairs;
      store_element(pairs.data(), DType::i4, index, code);
      for (std::int64_t other = 0; other < 4; ++other)
        EXPECT_EQ(load_element(pairs.data(), DType::i4, other),
                  other == index ? code : load_element(before.data(), DType::i4, other));
    }
}

}  // namespace
}  // namespace strobe
