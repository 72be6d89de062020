// Rotary angles: published values, and the laws that turns and stretched positions obey.
// SPDX-License-Identifier: Apache-2.0
#include "semantics/rotary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

namespace strobe {
namespace {

using Row = std::vector<double>;
constexpr double kPi = std::numbers::pi;

DecodeParams plain(std::int64_t dim, bool interleaved = false, double base = 10000.0) {
  DecodeParams p;
  p.rotary = {.dim = dim, .interleaved = interleaved, .base = base};
  return p;
}

Row turned_row(const DecodeParams& p, std::int64_t position, Row x) {
  for (std::int64_t pair = 0; pair < p.rotary.dim / 2; ++pair) {
    const auto [a, b] = rotary_pair(p.rotary, pair);
    const auto at = [&](std::int64_t d) -> double& { return x[static_cast<std::size_t>(d)]; };
    const auto y = turned(rotary_turn(p, position, pair), {at(a), at(b)});
    at(a) = y.a;
    at(b) = y.b;
  }
  return x;
}

Row random_row(std::int64_t dims, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  Row x(static_cast<std::size_t>(dims));
  for (double& value : x) value = static_cast<double>(engine() >> 11) * 0x1p-51 - 2;
  return x;
}

double dot(const Row& x, const Row& y) {
  double sum = 0;
  for (std::size_t d = 0; d < x.size(); ++d) sum += x[d] * y[d];
  return sum;
}

TEST(Rotary, StepsArePowersOfTheBase) {
  // base 10000, dim 8: 10000^0, ^(-1/4), ^(-1/2), ^(-3/4)
  const Row steps{1.0, 0.1, 0.01, 0.001};
  for (std::int64_t pair = 0; pair < 4; ++pair)
    EXPECT_NEAR(rotary_step({.dim = 8}, pair), steps[static_cast<std::size_t>(pair)], 1e-16);
}

TEST(Rotary, PairsAreNeighboursOrHalves) {
  const auto halves = rotary_pair({.dim = 8}, 1);
  EXPECT_EQ(halves.a, 1);
  EXPECT_EQ(halves.b, 5);
  const auto neighbours = rotary_pair({.dim = 8, .interleaved = true}, 1);
  EXPECT_EQ(neighbours.a, 2);
  EXPECT_EQ(neighbours.b, 3);
}

TEST(Rotary, TurnsCounterclockwise) {
  const auto quarter = turned(turn_by(kPi / 2), {1, 0});
  EXPECT_NEAR(quarter.a, 0, 1e-16);
  EXPECT_NEAR(quarter.b, 1, 1e-16);
}

TEST(Rotary, PositionZeroChangesNoBit) {
  const Row x = random_row(10, 1);
  EXPECT_EQ(turned_row(plain(10), 0, x), x);
}

class RotaryLaws : public testing::TestWithParam<bool> {
 protected:
  DecodeParams params(std::int64_t dim) const { return plain(dim, GetParam()); }
};

TEST_P(RotaryLaws, LengthOfAPairStays) {
  const DecodeParams p = params(8);
  const Row x = random_row(8, 2), y = turned_row(p, 12345, x);
  for (std::int64_t pair = 0; pair < 4; ++pair) {
    const auto [a, b] = rotary_pair(p.rotary, pair);
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    EXPECT_NEAR(std::hypot(y[i], y[j]), std::hypot(x[i], x[j]), 1e-15) << pair;
  }
}

TEST_P(RotaryLaws, DotDependsOnTheDifferenceOfPositionsAlone) {
  const DecodeParams p = params(16);
  const Row q = random_row(16, 3), k = random_row(16, 4);
  const double at_7 = dot(turned_row(p, 7, q), k);
  for (const std::int64_t shift : {-40, -7, 1, 100, 3000})
    EXPECT_NEAR(dot(turned_row(p, shift + 7, q), turned_row(p, shift, k)), at_7, 1e-11) << shift;
  EXPECT_GT(std::abs(dot(turned_row(p, 8, q), k) - at_7), 1e-3) << "the difference does matter";
}

TEST_P(RotaryLaws, DimensionsAfterDimStay) {
  const Row x = random_row(11, 5), y = turned_row(params(6), 77, x);
  EXPECT_EQ(Row(y.begin() + 6, y.end()), Row(x.begin() + 6, x.end()));
  for (std::size_t d = 0; d < 6; ++d) EXPECT_NE(y[d], x[d]) << d;
}

INSTANTIATE_TEST_SUITE_P(Styles, RotaryLaws, testing::Bool(),
                         [](const auto& info) { return info.param ? "Interleaved" : "Halves"; });

TEST(RotaryTables, StandInForAngles) {
  DecodeParams p = plain(4);
  const DecodeParams by_base = p;
  const std::int64_t gap = 3;  // tables need not be contiguous
  std::vector<double> cos(gap * 20), sin(gap * 20);
  for (std::int64_t position = 0; position < 20; ++position)
    for (std::int64_t pair = 0; pair < 2; ++pair) {
      const Turn turn = rotary_turn(by_base, position, pair);
      cos[static_cast<std::size_t>(position * gap + pair)] = turn.cos;
      sin[static_cast<std::size_t>(position * gap + pair)] = turn.sin;
    }
  p.rotary_cos = cos.data();
  p.rotary_sin = sin.data();
  p.rotary_dtype = DType::f64;
  p.rotary_cos_stride = p.rotary_sin_stride = gap;
  p.rotary.base = std::nan("");  // not read
  const Row x = random_row(4, 6);
  EXPECT_EQ(turned_row(p, 19, x), turned_row(by_base, 19, x));
  EXPECT_EQ(turned_row(p, -3, x), x) << "tables have no row before position 0";
}

RotaryTableOptions stretched(RotaryScaling scaling, double factor) {
  return {.rotary = {.dim = 128, .base = 500000.0}, .scaling = scaling, .factor = factor};
}

TEST(RotaryScaling, LinearDividesPositions) {
  const RotaryTableOptions by_4 = stretched(RotaryScaling::linear, 4);
  const RotaryTableOptions by_3 = stretched(RotaryScaling::linear, 3);
  for (std::int64_t pair = 0; pair < 64; ++pair) {
    const double step = rotary_step(by_4.rotary, pair);
    EXPECT_EQ(4 * 1000 * scaled_rotary_step(by_4, pair), 1000 * step) << pair;
    EXPECT_NEAR(3 * 1000 * scaled_rotary_step(by_3, pair), 1000 * step, 1e-15 * 1000 * step);
  }
}

TEST(RotaryScaling, NtkKeepsTheFastestPairAndStretchesTheSlowestByFactor) {
  const RotaryTableOptions by_8 = stretched(RotaryScaling::ntk, 8);
  EXPECT_EQ(scaled_rotary_step(by_8, 0), 1.0);
  const double slowest = rotary_step(by_8.rotary, 63);
  EXPECT_NEAR(scaled_rotary_step(by_8, 63), slowest / 8, 1e-15 * slowest);
  double stretch = 1;
  for (std::int64_t pair = 1; pair < 64; ++pair) {
    const double further = rotary_step(by_8.rotary, pair) / scaled_rotary_step(by_8, pair);
    EXPECT_GT(further, stretch) << "slower pairs are stretched more: " << pair;
    stretch = further;
  }
}

TEST(RotaryScaling, NtkIsALargerBase) {
  const RotaryTableOptions by_8 = stretched(RotaryScaling::ntk, 8);
  Rotary larger = by_8.rotary;
  larger.base *= std::pow(8.0, 128.0 / 126.0);
  for (std::int64_t pair = 0; pair < 64; ++pair) {
    const double step = rotary_step(larger, pair);
    EXPECT_NEAR(scaled_rotary_step(by_8, pair), step, 1e-14 * step) << pair;
  }
}

TEST(RotaryScaling, NtkOfOnePairIsPlain) {
  const RotaryTableOptions one{.rotary = {.dim = 2}, .scaling = RotaryScaling::ntk, .factor = 8};
  EXPECT_EQ(scaled_rotary_step(one, 0), 1.0);
}

/// Wavelengths of 8192 / 4 = 2048 positions and less stay, of 8192 and more grow by the factor.
TEST(RotaryScaling, Llama3StretchesLongWavelengthsAlone) {
  const RotaryTableOptions by_8 = stretched(RotaryScaling::llama3, 8);
  int kept = 0, blended = 0, divided = 0;
  for (std::int64_t pair = 0; pair < 64; ++pair) {
    const double step = rotary_step(by_8.rotary, pair), wavelength = 2 * kPi / step;
    const double scaled = scaled_rotary_step(by_8, pair);
    if (wavelength <= 2048) {
      EXPECT_EQ(scaled, step) << pair;
      ++kept;
    } else if (wavelength >= 8192) {
      EXPECT_EQ(scaled, step / 8) << pair;
      ++divided;
    } else {
      EXPECT_TRUE(step / 8 < scaled && scaled < step) << pair;
      ++blended;
    }
  }
  // base 500000, dim 128: wavelength 2 pi 500000^(pair / 64) passes 2048 between the pairs 28 and
  // 29, and 8192 between 34 and 35.
  EXPECT_EQ(kept, 29);
  EXPECT_EQ(blended, 6);
  EXPECT_EQ(divided, 29);
}

TEST(RotaryScaling, Llama3BlendsByHand) {
  // A wavelength of 4096 makes 8192 / 4096 = 2 turns: s = (2 - 1) / (4 - 1) of the plain step.
  const double step = 2 * kPi / 4096;
  EXPECT_NEAR(llama3_step(stretched(RotaryScaling::llama3, 8), step), step / 3 + step * 2 / 3 / 8,
              1e-15 * step);
}

TEST(RotaryScaling, Llama3IsContinuous) {
  const RotaryTableOptions by_8 = stretched(RotaryScaling::llama3, 8);
  for (const double wavelength : {2048.0, 8192.0}) {
    const double below = llama3_step(by_8, 2 * kPi / (wavelength * (1 - 1e-9)));
    const double above = llama3_step(by_8, 2 * kPi / (wavelength * (1 + 1e-9)));
    EXPECT_NEAR(below / above, 1, 1e-7) << wavelength;
  }
}

TEST(RotaryScaling, FactorOneIsPlain) {
  for (const RotaryScaling scaling :
       {RotaryScaling::linear, RotaryScaling::ntk, RotaryScaling::llama3})
    for (std::int64_t pair = 0; pair < 64; ++pair) {
      const double step = rotary_step(stretched(scaling, 1).rotary, pair);
      EXPECT_NEAR(scaled_rotary_step(stretched(scaling, 1), pair), step, 4e-16 * step) << pair;
    }
}

}  // namespace
}  // namespace strobe
