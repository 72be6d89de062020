// The yardstick of accuracy sums in the order that it promises.
// SPDX-License-Identifier: Apache-2.0
#include "harness/ordered_products.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace strobe::harness {
namespace {

constexpr std::int64_t kRows = 3, kColumns = 300, kDepth = 900;  // more than a part of each
constexpr std::int64_t kARow = kDepth + 5, kBRow = kColumns + 7;

std::vector<float> numbers(std::int64_t count, std::uint32_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
  }
  return values;
}

/// One element by the C library's fused multiply-add.
float element(const std::vector<float>& a, const std::vector<float>& b, std::int64_t row,
              std::int64_t column, float alpha) {
  float whole = 0.0f;
  for (std::int64_t first = 0; first < kDepth; first += 384) {
    float part = 0.0f;
    for (std::int64_t k = first; k < kDepth && k < first + 384; ++k)
      part = std::fma(a[static_cast<std::size_t>(row * kARow + k)],
                      b[static_cast<std::size_t>(k * kBRow + column)], part);
    whole += alpha * part;
  }
  return whole;
}

TEST(OrderedProducts, AreFusedMultiplyAddsInOrder) {
  const std::vector<float> a = numbers(kRows * kARow, 1), b = numbers(kDepth * kBRow, 2);
  std::vector<float> c(kRows * kColumns, -7.0f);
  multiply_in_order<float>({a.data(), kARow}, {b.data(), kBRow}, {c.data(), kColumns},
                           {kRows, kColumns, kDepth}, 0.5f);
  for (std::int64_t row = 0; row < kRows; ++row)
    for (std::int64_t column = 0; column < kColumns; ++column)
      EXPECT_EQ(c[static_cast<std::size_t>(row * kColumns + column)],
                element(a, b, row, column, 0.5f))
          << row << ", " << column;
}

TEST(OrderedProducts, OfNothingAreZero) {
  float c[2] = {1.0f, 2.0f};
  multiply_in_order<float>({nullptr, 0}, {nullptr, 2}, {c, 2}, {1, 2, 0}, 1.0f);
  EXPECT_EQ(c[0], 0.0f);
  EXPECT_EQ(c[1], 0.0f);
}

}  // namespace
}  // namespace strobe::harness
