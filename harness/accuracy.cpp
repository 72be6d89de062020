// Comparison with float64, row by row, beside standard attention on the same rows.
// SPDX-License-Identifier: Apache-2.0
#include "harness/accuracy.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "harness/accuracy_scan.hpp"
#include "harness/plain_keys.hpp"
#include "harness/standard_attention.hpp"
#include "reference/forward.hpp"
#include "semantics/number_formats.hpp"
#include "semantics/work.hpp"

namespace strobe::harness {
namespace {

/// Rows of one head that are compared together.
constexpr std::int64_t kBlock = 64;
/// Fewer values than this say little of a root mean square, and so do fewer rows: the values of one
/// share the errors of its weights.
constexpr std::int64_t kLeastForRms = 1000;
constexpr std::int64_t kLeastRowsForRms = 48;

/// Sums over compared elements, of one block or of many.
struct Tally {
  double max_abs = 0.0;
  double squares = 0.0;
  Place worst{};
  double worst_value = 0.0;
  double worst_reference = 0.0;

  void add(double value, double reference, const Place& place) {
    const double difference = std::abs(value - reference);
    squares += difference * difference;
    if (difference <= max_abs) return;
    max_abs = difference;
    worst = place;
    worst_value = value;
    worst_reference = reference;
  }
  void add(const Tally& other) {
    const double sum = squares + other.squares;
    if (other.max_abs > max_abs) *this = other;
    squares = sum;
  }
};

/// One kind of output: the result's differences, standard attention's, and the references.
struct Output {
  Tally ours{};
  Tally standard{};
  double squares = 0.0;  ///< of the references
  double largest = 0.0;  ///< |reference|
  std::int64_t values = 0;

  void add(const Output& other) {
    ours.add(other.ours);
    standard.add(other.standard);
    squares += other.squares;
    largest = std::max(largest, other.largest);
    values += other.values;
  }
  Errors errors(const Tally& tally) const {
    return {tally.max_abs, squares > 0.0 ? std::sqrt(tally.squares / squares) : 0.0};
  }
};

struct Block {
  Output o{};
  Output lse{};
  Findings mismatches{};
};

/// One element: the result's value, standard attention's and the truth.
struct Values {
  double ours;
  double standard;
  double reference;
};

bool same_special(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : !std::isnan(b) && a == b;
}

void compare(const Values& v, const Place& place, Output& output, Findings& mismatches) {
  ++output.values;
  if (!std::isfinite(v.reference) || !std::isfinite(v.ours)) {
    if (!same_special(v.ours, v.reference)) {
      mismatches.add_made([&] {
        return fmt::format("{} is {}, float64 says {}", to_string(place), v.ours, v.reference);
      });
    }
    return;
  }
  output.ours.add(v.ours, v.reference, place);
  if (std::isfinite(v.standard)) output.standard.add(v.standard, v.reference, place);
  output.squares += v.reference * v.reference;
  output.largest = std::max(output.largest, std::abs(v.reference));
}

double rounded(double value, DType dtype) {
  if (dtype == DType::f64) return value;
  const auto f32 = static_cast<float>(value);
  if (dtype == DType::f16) return static_cast<float>(float16(f32));
  return dtype == DType::bf16 ? static_cast<float>(bfloat16(f32)) : f32;
}

/// The same call twice: what it means, and as standard attention reads it.
struct Calls {
  const ForwardParams& exact;
  const ForwardParams& standard;
};

/// Counts the rows of all threads for whoever watches.
class RowCounter {
 public:
  RowCounter(const std::vector<StandardRows>& which, const std::function<void(double)>& progress)
      : progress_(progress) {
    for (const StandardRows& rows : which) rows_ += rows.rows;
  }
  void add_row() {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    progress_(static_cast<double>(++done_) / static_cast<double>(rows_));
  }

 private:
  const std::function<void(double)>& progress_;
  std::mutex mutex_;
  std::int64_t rows_ = 0;
  std::int64_t done_ = 0;
};

Block compare_rows(const Calls& calls, const StandardRows& which, RowCounter& counter) {
  const ForwardParams& p = calls.exact;
  Block block;
  const auto dim = static_cast<std::size_t>(p.head_dim_v);
  std::vector<double> standard_o(static_cast<std::size_t>(which.rows) * dim);
  std::vector<double> standard_lse(static_cast<std::size_t>(which.rows));
  standard_rows(calls.standard, which, standard_o.data(), standard_lse.data());
  std::vector<double> reference_o(dim);
  const Sequence s = sequence(p, which.batch);
  for (std::int64_t i = 0; i < which.rows; ++i) {
    double reference_lse = 0.0;
    const std::int64_t row = which.first + i;
    reference::forward_row(p, which.batch, which.head, row, reference_o.data(), &reference_lse);
    const std::int64_t first = p.o_strides.offset(s.batch, s.first_q + row, which.head);
    for (std::size_t d = 0; d < dim; ++d) {
      const double standard = standard_o[static_cast<std::size_t>(i) * dim + d];
      const auto index = static_cast<std::int64_t>(d);
      compare({load_element(p.o, p.o_dtype, first + index), rounded(standard, p.o_dtype),
               reference_o[d]},
              {which.batch, which.head, row, index}, block.o, block.mismatches);
    }
    counter.add_row();
    if (p.lse == nullptr) continue;
    const std::int64_t place = p.lse_strides.offset(s.batch, s.first_q + row, which.head);
    compare({load_element(p.lse, p.lse_dtype, place), standard_lse[static_cast<std::size_t>(i)],
             reference_lse},
            {which.batch, which.head, row, -1}, block.lse, block.mismatches);
  }
  return block;
}

std::vector<StandardRows> all_rows(const ForwardParams& p) {
  std::vector<StandardRows> blocks;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const std::int64_t rows = sequence(p, b).rows;
    for (std::int64_t h = 0; h < p.num_heads; ++h) {
      for (std::int64_t first = 0; first < rows; first += kBlock)
        blocks.push_back({b, h, first, std::min(kBlock, rows - first)});
    }
  }
  return blocks;
}

std::vector<StandardRows> single_rows(const std::vector<Place>& places) {
  std::vector<StandardRows> blocks;
  blocks.reserve(places.size());
  for (const Place& place : places) blocks.push_back({place.batch, place.head, place.row, 1});
  return blocks;
}

Block compare_all(const Calls& calls, const std::vector<StandardRows>& which, const Team& team,
                  const CompareOptions& options) {
  // Kept apart until all are there: sums in a fixed order have the same bits on any team.
  std::vector<Block> blocks(which.size());
  RowCounter counter(which, options.progress);
  for_each_task(team, static_cast<std::int64_t>(which.size()), [&](std::int64_t task, int) {
    const auto index = static_cast<std::size_t>(task);
    blocks[index] = compare_rows(calls, which[index], counter);
  });
  Block total;
  for (const Block& block : blocks) {
    total.o.add(block.o);
    total.lse.add(block.lse);
    total.mismatches.add(block.mismatches);
  }
  return total;
}

double all_visible_pairs(const ForwardParams& p) {
  double pairs = 0.0;
  for (std::int64_t b = 0; b < p.batch; ++b)
    pairs += static_cast<double>(visible_pairs(p.mask, sequence(p, b).lengths));
  return pairs * static_cast<double>(p.num_heads);
}

std::string too_far(const Tally& tally, double tolerance) {
  return fmt::format("{} is {:.9g}, float64 says {:.9g}: the error {:.3g} exceeds {:.3g}",
                     to_string(tally.worst), tally.worst_value, tally.worst_reference,
                     tally.max_abs, tolerance);
}

/// The largest of many errors is itself a matter of luck: two equally exact methods differ in it by
/// up to 1.6. The root mean square is what holds to 1.25; the largest error gets this much room.
constexpr double kWorstOfMany = 2.0;

void judge(Comparison& c, const Block& total, const ForwardParams& p, double slack,
           Findings& findings) {
  // Our q.k is one sum; standard attention starts a new one every 384 dims.
  const double sums = std::max(1.0, static_cast<double>(p.head_dim) / 384.0);
  c.o_tolerance =
      kWorstOfMany * o_tolerance(sums * c.standard_o.max_abs, c.largest_o, p.dtype, p.o_dtype);
  c.lse_tolerance = lse_tolerance(c.standard_lse.max_abs, c.largest_lse, p.dtype);
  if (c.values >= kLeastForRms && c.rows >= kLeastRowsForRms)
    c.rms_tolerance = rms_tolerance(sums * c.standard_o.rel_rms, p.o_dtype);
  for (double* tolerance : {&c.o_tolerance, &c.rms_tolerance, &c.lse_tolerance})
    *tolerance *= slack;
  findings.add(total.mismatches);
  if (c.o.max_abs > c.o_tolerance) findings.add(too_far(total.o.ours, c.o_tolerance));
  if (c.rms_tolerance > 0.0 && c.o.rel_rms > c.rms_tolerance) {
    findings.add(
        fmt::format("o as a whole: the relative root mean square error {:.3g} exceeds "
                    "{:.3g}",
                    c.o.rel_rms, c.rms_tolerance));
  }
  if (c.lse.max_abs > c.lse_tolerance) findings.add(too_far(total.lse.ours, c.lse_tolerance));
}

}  // namespace

double ulp(double value, DType dtype) {
  if (value == 0.0 || !std::isfinite(value)) return 0.0;
  switch (dtype) {
    case DType::f64: return std::ldexp(1.0, std::max(std::ilogb(value), -1022) - 52);
    case DType::bf16: return std::ldexp(1.0, std::ilogb(value) - 7);
    case DType::f16: return std::ldexp(1.0, std::max(std::ilogb(value), -14) - 10);
    default: return std::ldexp(1.0, std::max(std::ilogb(value), -126) - 23);
  }
}

double o_tolerance(double standard_error, double largest_o, DType dtype, DType o_dtype) {
  const double least_normal = dtype == DType::f64 ? 0x1p-1022 : 0x1p-126;
  const double ulps = largest_o < least_normal ? 32.0 : 2.0;
  return 1.25 * standard_error + ulps * std::max(ulp(largest_o, dtype), ulp(largest_o, o_dtype));
}

double rms_tolerance(double standard_rms, DType o_dtype) {
  double slack = 0x1p-23;
  if (o_dtype == DType::bf16) slack = 0x1p-9;
  if (o_dtype == DType::f16) slack = 0x1p-12;
  if (o_dtype == DType::f64) slack = 0x1p-52;
  return 1.25 * standard_rms + slack;
}

double lse_tolerance(double standard_error, double largest_lse, DType dtype) {
  double exp_error = 0x1p-21;
  if (dtype == DType::bf16) exp_error = 0x1p-13;
  if (dtype == DType::f64) exp_error = 0x1p-50;
  return 1.25 * standard_error + 2.0 * ulp(std::max(1.0, largest_lse), lse_dtype_of(dtype)) +
         exp_error;
}

namespace {

Comparison compare_calls(const ForwardParams& p, const ForwardParams& standard, const Team& team,
                         const CompareOptions& options) {
  Comparison c;
  c.lse_given = p.lse != nullptr;
  for (std::int64_t b = 0; b < p.batch; ++b) c.rows_all += sequence(p, b).rows * p.num_heads;

  Findings findings = scan_outputs(p, team);
  const bool full = all_visible_pairs(p) < static_cast<double>(options.full_below);
  const std::vector<StandardRows> which =
      full ? all_rows(p) : single_rows(sampled_rows(p, options.seed));
  const Block total = compare_all({p, standard}, which, team, options);
  for (const StandardRows& rows : which) c.rows += rows.rows;
  c.sampled = c.rows < c.rows_all;
  c.values = total.o.values;
  c.largest_o = total.o.largest;
  c.largest_lse = total.lse.largest;
  c.o = total.o.errors(total.o.ours);
  c.standard_o = total.o.errors(total.o.standard);
  c.lse = total.lse.errors(total.lse.ours);
  c.standard_lse = total.lse.errors(total.lse.standard);
  c.worst_o = total.o.ours.worst;
  c.worst_lse = total.lse.ours.worst;
  judge(c, total, standard, options.slack, findings);
  c.failures = findings.lines();
  return c;
}

}  // namespace

Comparison compare_forward(const ForwardParams& p, const Team& team,
                           const CompareOptions& options) {
  if (p.kv_dtype == DType::none) return compare_calls(p, p, team, options);
  const PlainKeys exact(p, p.dtype == DType::f64 ? DType::f64 : DType::f32);
  const PlainKeys rounded(p, p.dtype);
  return compare_calls(exact.params(), rounded.params(), team, options);
}

}  // namespace strobe::harness
