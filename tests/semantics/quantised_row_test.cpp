// Rows quantised and read back: scales, rounding, NaN, and what stays untouched.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/quantised_row.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace strobe {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A row's codes and scales, and the row after it, which nobody may touch.
struct Kept {
  KvScales kind;
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  KeyRow row;

  Kept(DType dtype, KvScales scales_of, std::size_t dims, float given = -1)
      : kind(scales_of),
        codes(2 * dims, 0x33),
        scales(dims / kScaleGroup + 2, given),
        row{.data = codes.data(),
            .dtype = dtype,
            .scales = scales.data(),
            .group = scales_of == KvScales::group ? 1 : 0} {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  bool writes() const { return kind == KvScales::token || kind == KvScales::group; }
  Kept& store(const std::vector<float>& x) {
    quantise_row(x, kind, row, {codes.data(), writes() ? scales.data() : nullptr});
    return *this;
  }
};

std::vector<float> random_row(std::size_t dims, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<float> x(dims);
  for (float& value : x) value = static_cast<float>(engine() >> 40) * 0x1p-22f - 2.0f;
  return x;
}

class QuantisedRow : public testing::TestWithParam<std::tuple<DType, KvScales>> {
 protected:
  DType dtype() const { return std::get<0>(GetParam()); }
  KvScales kind() const { return std::get<1>(GetParam()); }
  bool has_nan() const { return dtype() == DType::e4m3 || dtype() == DType::e5m2; }
  /// The largest distance of a number from its code, in numbers of the largest code.
  double half_step() const {
    switch (dtype()) {
      case DType::e4m3: return 16.0 / 448.0;
      case DType::e5m2: return 4096.0 / 57344.0;
      default: return 0.5 / largest_code(dtype());
    }
  }
};

constexpr std::size_t kDims = 80;  // two groups and a half

TEST_P(QuantisedRow, ReadsBackWithinHalfAStep) {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    const std::vector<float> x = random_row(kDims, seed);
    Kept kept(dtype(), kind(), kDims, 2.0f / largest_code(dtype()));
    kept.store(x);
    for (std::size_t d = 0; d < kDims; ++d)
      EXPECT_NEAR(kept.row[static_cast<std::int64_t>(d)], x[d], 2.0 * half_step() + 1e-6);
  }
}

/// Those that the row itself decides; the others are given.
class WrittenScales : public QuantisedRow {};

TEST_P(WrittenScales, MapTheLargestNumberToTheLargestCode) {
  std::vector<float> x = random_row(kDims, 3);
  for (std::size_t d = 5; d < kDims; d += kScaleGroup) x[d] = -3.0f - static_cast<float>(d);
  Kept kept(dtype(), kind(), kDims);
  ASSERT_TRUE(kept.writes());
  kept.store(x);
  const std::size_t last = 69;
  EXPECT_EQ(load_element(kept.codes.data(), dtype(), last), -largest_code(dtype()));
  EXPECT_EQ(kept.scales[kind() == KvScales::group ? 2 : 0], 72.0f / largest_code(dtype()));
  EXPECT_EQ(kept.scales.back(), -1.0f) << "beyond the last group";
  if (kind() == KvScales::group) {
    EXPECT_EQ(load_element(kept.codes.data(), dtype(), 5), -largest_code(dtype()));
  }
}

TEST_P(QuantisedRow, NothingElseIsWritten) {
  Kept kept(dtype(), kind(), kDims, 0.1f);
  kept.store(random_row(kDims, 4));
  const auto bytes = static_cast<std::size_t>(bytes_of(dtype(), kDims));
  for (std::size_t i = bytes; i < kept.codes.size(); ++i) ASSERT_EQ(kept.codes[i], 0x33) << i;
  if (kept.writes()) return;
  for (const float scale : kept.scales) EXPECT_EQ(scale, 0.1f);
}

TEST_P(QuantisedRow, ZerosAreCodesOfZero) {
  Kept kept(dtype(), kind(), kDims, 0.0f);
  kept.store(std::vector<float>(kDims, 0.0f));
  for (std::size_t d = 0; d < kDims; ++d) {
    EXPECT_EQ(kept.row[static_cast<std::int64_t>(d)], 0.0);
    EXPECT_EQ(load_element(kept.codes.data(), dtype(), static_cast<std::int64_t>(d)), 0.0);
  }
  EXPECT_EQ(kept.scales[0], 0.0f);
}

/// Formats with a NaN keep it where it was; whole numbers lose it to a given scale, and tell it by
/// a scale that they write.
TEST_P(QuantisedRow, NanIsKeptWhereThereIsAPlaceForIt) {
  for (const bool beside_zeros : {false, true}) {
    std::vector<float> x = beside_zeros ? std::vector<float>(kDims) : random_row(kDims, 5);
    x[40] = kNan;
    Kept kept(dtype(), kind(), kDims, 0.1f);
    kept.store(x);
    for (std::int64_t d = 0; d < static_cast<std::int64_t>(kDims); ++d) {
      const bool beside = kind() == KvScales::token || (kind() == KvScales::group && d / 32 == 1);
      const bool nan = has_nan() ? d == 40 : beside;
      EXPECT_EQ(std::isnan(kept.row[d]), nan) << d;
    }
    const bool lost = !has_nan() && !kept.writes();
    EXPECT_EQ(kept.row[40] == 0.0, lost);
  }
}

/// Infinity saturates under a given scale; a scale that is written becomes infinite, and what it
/// covers NaN.
TEST_P(QuantisedRow, InfinityIsNeverANumberThatLooksRight) {
  std::vector<float> x = random_row(kDims, 6);
  x[40] = -kInfinity;
  Kept kept(dtype(), kind(), kDims, 0.1f);
  kept.store(x);
  for (std::int64_t d = 32; d < 64; ++d) EXPECT_EQ(std::isnan(kept.row[d]), kept.writes()) << d;
  if (kept.writes()) return;
  EXPECT_EQ(kept.row[40], -0.1f * largest_code(dtype()));
}

TEST_P(QuantisedRow, QuantisingTwiceChangesNoCode) {
  Kept once(dtype(), kind(), kDims, 0.01f);
  once.store(random_row(kDims, 7));
  std::vector<float> read(kDims);
  for (std::size_t d = 0; d < kDims; ++d)
    read[d] = static_cast<float>(once.row[static_cast<std::int64_t>(d)]);
  Kept twice(dtype(), kind(), kDims, 0.01f);
  twice.store(read);
  EXPECT_EQ(twice.codes, once.codes);
}

const auto kCodes = testing::Values(DType::e4m3, DType::e5m2, DType::i8, DType::i4);

std::string row_name(const testing::TestParamInfo<std::tuple<DType, KvScales>>& info) {
  return std::string(name_of(std::get<0>(info.param))) +
         std::to_string(static_cast<int>(std::get<1>(info.param)));
}

INSTANTIATE_TEST_SUITE_P(All, QuantisedRow,
                         testing::Combine(kCodes, testing::Values(KvScales::tensor, KvScales::token,
                                                                  KvScales::group)),
                         row_name);
INSTANTIATE_TEST_SUITE_P(All, WrittenScales,
                         testing::Combine(kCodes,
                                          testing::Values(KvScales::token, KvScales::group)),
                         row_name);

TEST(ScaleOf, IsTheLargestSizeOverTheLargestCode) {
  EXPECT_EQ(scale_of(std::vector<float>{1, -254, 3}, DType::i8), 2.0f);
  EXPECT_EQ(scale_of(std::vector<float>{}, DType::i8), 0.0f);
  EXPECT_EQ(scale_of(std::vector<float>{kNan, -448}, DType::e4m3), 1.0f);
  EXPECT_TRUE(std::isnan(scale_of(std::vector<float>{kNan, -448}, DType::i4)));
}

}  // namespace
}  // namespace strobe
