// fill_rotary_tables: where each value stands, how it is rounded, and every message.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/rotary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "provocation.hpp"

namespace strobe::test {
namespace {

struct Tables {
  std::vector<float> cos, sin;
};

Tables tables(const RotaryTableOptions& options, std::int64_t positions) {
  const auto entries = static_cast<std::size_t>(positions * options.rotary.dim / 2);
  Tables made{std::vector<float>(entries), std::vector<float>(entries)};
  fill_rotary_tables(options, positions, made.cos, made.sin);
  return made;
}

TEST(RotaryTables, HoldCosAndSinRoundedOnce) {
  const Tables made = tables({.rotary = {.dim = 4}}, 3);  // steps 1 and 1 / 100
  const double angles[] = {0, 0, 1, 0.01, 2, 0.02};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_FLOAT_EQ(made.cos[i], static_cast<float>(std::cos(angles[i]))) << i;
    EXPECT_FLOAT_EQ(made.sin[i], static_cast<float>(std::sin(angles[i]))) << i;
  }
}

TEST(RotaryTables, DoNotDependOnWhichDimensionsPair) {
  EXPECT_EQ(tables({.rotary = {.dim = 8, .interleaved = true}}, 9).sin,
            tables({.rotary = {.dim = 8}}, 9).sin);
}

/// Position 4 p of a model stretched by 4 is position p of the model as it was trained.
TEST(RotaryTables, LinearReadsEveryFourthPosition) {
  const Tables plain = tables({.rotary = {.dim = 64}}, 50);
  const Tables linear =
      tables({.rotary = {.dim = 64}, .scaling = RotaryScaling::linear, .factor = 4}, 200);
  for (std::size_t position = 0; position < 50; ++position)
    for (std::size_t pair = 0; pair < 32; ++pair) {
      EXPECT_EQ(linear.cos[4 * position * 32 + pair], plain.cos[position * 32 + pair]);
      EXPECT_EQ(linear.sin[4 * position * 32 + pair], plain.sin[position * 32 + pair]);
    }
}

TEST(RotaryTables, EachScalingGivesItsOwn) {
  std::vector<std::vector<float>> all;
  for (const RotaryScaling scaling :
       {RotaryScaling::none, RotaryScaling::linear, RotaryScaling::ntk, RotaryScaling::llama3})
    all.push_back(tables({.rotary = {.dim = 64}, .scaling = scaling, .factor = 4}, 5).sin);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(all[i], all[j]) << i << " " << j;
}

TEST(RotaryTables, MayBeEmpty) {
  EXPECT_NO_THROW(fill_rotary_tables({.rotary = {.dim = 64}}, 0, {}, {}));
  EXPECT_NO_THROW(fill_rotary_tables({}, 100, {}, {}));
}

void fill(const RotaryTableOptions& options, std::int64_t positions, std::size_t cos,
          std::size_t sin) {
  std::vector<float> cos_table(cos), sin_table(sin);
  fill_rotary_tables(options, positions, cos_table, sin_table);
}

class RotaryTablesMessage : public testing::TestWithParam<Provocation> {};

TEST_P(RotaryTablesMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const Provocation kProvocations[] = {
    {"OddDim", [] { fill({.rotary = {.dim = 7}}, 2, 6, 6); },
     "strobe::fill_rotary_tables: rotary.dim is 7; it turns dimensions in pairs, so it must be "
     "even "
     "and at least 0, which is off [rotary-dim]"},
    {"NegativeDim", [] { fill({.rotary = {.dim = -2}}, 2, 6, 6); },
     "strobe::fill_rotary_tables: rotary.dim is -2; it turns dimensions in pairs, so it must be "
     "even "
     "and at least 0, which is off [rotary-dim]"},
    {"BaseZero", [] { fill({.rotary = {.dim = 4, .base = 0}}, 2, 4, 4); },
     "strobe::fill_rotary_tables: rotary.base is 0; it must be finite and above 0, as in 10000 "
     "[rotary-base]"},
    {"BaseNaN", [] { fill({.rotary = {.dim = 4, .base = kNaN}}, 2, 4, 4); },
     "strobe::fill_rotary_tables: rotary.base is nan; it must be finite and above 0, as in 10000 "
     "[rotary-base]"},
    {"FactorBelowOne",
     [] { fill({.rotary = {.dim = 4}, .scaling = RotaryScaling::linear, .factor = 0.5}, 2, 4, 4); },
     "strobe::fill_rotary_tables: factor is 0.5; it is what positions are stretched by, so a "
     "finite number of at least 1 [tables-factor]"},
    {"NoSuchScaling",
     [] { fill({.rotary = {.dim = 4}, .scaling = static_cast<RotaryScaling>(4)}, 2, 4, 4); },
     "strobe::fill_rotary_tables: scaling is 4, which is none of its values; they go from 0 to 3 "
     "[enum-value]"},
    {"FrequenciesCross",
     [] {
       fill({.rotary = {.dim = 4},
             .scaling = RotaryScaling::llama3,
             .low_freq_factor = 4,
             .high_freq_factor = 4},
            2, 4, 4);
     },
     "strobe::fill_rotary_tables: low_freq_factor is 4 and high_freq_factor 4; pairs between the "
     "two are blended, so they are finite and 0 < low < high [tables-frequencies]"},
    {"NoOriginalPositions",
     [] {
       fill({.rotary = {.dim = 4}, .scaling = RotaryScaling::llama3, .original_positions = 0}, 2, 4,
            4);
     },
     "strobe::fill_rotary_tables: original_positions is 0; it is the number of positions that the "
     "model was trained on, so at least 1 [tables-frequencies]"},
    {"CosTooSmall", [] { fill({.rotary = {.dim = 4}}, 3, 5, 6); },
     "strobe::fill_rotary_tables: cos has 5 entries for 3 positions x 2 pairs; it takes one for "
     "each, and positions are at least 0 [tables-size]"},
    {"SinTooLarge", [] { fill({.rotary = {.dim = 4}}, 3, 6, 7); },
     "strobe::fill_rotary_tables: sin has 7 entries for 3 positions x 2 pairs; it takes one for "
     "each, and positions are at least 0 [tables-size]"},
    {"NegativePositions", [] { fill({.rotary = {.dim = 4}}, -1, 0, 0); },
     "strobe::fill_rotary_tables: cos has 0 entries for -1 positions x 2 pairs; it takes one for "
     "each, and positions are at least 0 [tables-size]"},
    {"PositionsBeyondI64",
     [] { fill({.rotary = {.dim = 4}}, std::numeric_limits<std::int64_t>::max(), 6, 6); },
     "strobe::fill_rotary_tables: cos has 6 entries for 9223372036854775807 positions x 2 pairs; "
     "it takes one for each, and positions are at least 0 [tables-size]"},
};
INSTANTIATE_TEST_SUITE_P(All, RotaryTablesMessage, testing::ValuesIn(kProvocations), name_of_test);

TEST(RotaryTables, CheckBeforeTheyWrite) {
  std::vector<float> cos(6, 7.0f), sin(5, 7.0f);
  EXPECT_THROW(fill_rotary_tables({.rotary = {.dim = 4}}, 3, cos, sin), Error);
  EXPECT_EQ(cos, std::vector<float>(6, 7.0f));
}

}  // namespace
}  // namespace strobe::test
