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
  store_element(f32.data(), DType::f32, 1, 0.1);
  store_element(f64.data(), DType::f64, 1, 0.1);
  store_element(bf16.data(), DType::bf16, 1, -2.5);
  EXPECT_EQ(load_element(f32.data(), DType::f32, 1), double{0.1f});
  EXPECT_EQ(load_element(f64.data(), DType::f64, 1), 0.1);
  EXPECT_EQ(load_element(bf16.data(), DType::bf16, 1), -2.5);
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

TEST(NumberFormats, OtherTypesReadAsNan) {
  const std::array<std::int32_t, 1> ints{7};
  EXPECT_TRUE(std::isnan(load_element(ints.data(), DType::i32, 0)));
}

}  // namespace
}  // namespace strobe
