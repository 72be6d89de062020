// cos and sin of rotary angles, in tables: for models that stretch their positions.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/rotary.hpp"

#include <cmath>

#include "api/checks.hpp"
#include "api/memory.hpp"
#include "api/messages.hpp"
#include "semantics/rotary.hpp"

namespace strobe {
namespace {

using api::fail;

constexpr const char* kWhere = "strobe::fill_rotary_tables";

void check_scaling(const RotaryTableOptions& options) {
  const auto scaling = static_cast<std::int32_t>(options.scaling);
  if (scaling < 0 || scaling > static_cast<std::int32_t>(RotaryScaling::llama3))
    fail("enum-value", kWhere,
         {"scaling is ", scaling, ", which is none of its values; they go from 0 to ",
          static_cast<std::int32_t>(RotaryScaling::llama3)});
  if (!(options.factor >= 1 && std::isfinite(options.factor)))
    fail("tables-factor", kWhere,
         {"factor is ", options.factor,
          "; it is what positions are stretched by, so a finite number of at least 1"});
  if (options.scaling != RotaryScaling::llama3) return;
  const double low = options.low_freq_factor, high = options.high_freq_factor;
  if (!(low > 0 && low < high && std::isfinite(high)))
    fail("tables-frequencies", kWhere,
         {"low_freq_factor is ", low, " and high_freq_factor ", high,
          "; pairs between the two are blended, so they are finite and 0 < low < high"});
  if (options.original_positions < 1)
    fail("tables-frequencies", kWhere,
         {"original_positions is ", options.original_positions,
          "; it is the number of positions that the model was trained on, so at least 1"});
}

struct Table {
  const char* name = "";
  std::size_t entries = 0;
};

void check_size(const Table& table, std::int64_t positions, std::int64_t pairs) {
  std::int64_t entries = 0;
  const bool overflow = __builtin_mul_overflow(positions, pairs, &entries);
  if (!overflow && positions >= 0 && table.entries == static_cast<std::size_t>(entries)) return;
  fail("tables-size", kWhere,
       {table.name, " has ", table.entries, " entries for ", positions, " positions x ", pairs,
        " pairs; it takes one for each, and positions are at least 0"});
}

}  // namespace

void fill_rotary_tables(const RotaryTableOptions& options, std::int64_t positions,
                        std::span<float> cos, std::span<float> sin) {
  const std::int64_t pairs = options.rotary.dim / 2;
  api::with_memory_for("the message of an error (a few KiB)", kWhere, [&] {
    api::check_rotary(options.rotary, kWhere);
    check_scaling(options);
    check_size({"cos", cos.size()}, positions, pairs);
    check_size({"sin", sin.size()}, positions, pairs);
  });
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const double step = scaled_rotary_step(options, pair);
    for (std::int64_t position = 0; position < positions; ++position) {
      const Turn turn = turn_by(static_cast<double>(position) * step);
      const auto at = static_cast<std::size_t>(position * pairs + pair);
      cos[at] = static_cast<float>(turn.cos);
      sin[at] = static_cast<float>(turn.sin);
    }
  }
}

}  // namespace strobe
