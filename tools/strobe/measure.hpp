// One row of the benchmark: a case timed beside the peaks of the same process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/hard_values.hpp"
#include "harness/timing.hpp"
#include "options.hpp"
#include "strobe/problem.hpp"

namespace strobe::tool {

/// What standard attention took for the same case.
struct StandardRow {
  harness::Timing timing{};
  std::int64_t score_bytes = 0;      ///< of the score matrices that it held
  std::int64_t workspace_bytes = 0;  ///< all that it held
};

/// The case that a row was timed in turn with, and how the two compare.
struct RelativeRow {
  std::string text{};
  harness::Timing timing{};  ///< the other case's
  double ratio = 0;          ///< the row's time by the other's, the median over the pairs
  double cpu_ratio = 0;      ///< the same of CPU time
};

struct BenchRow {
  std::string text{};   ///< the case as asked
  std::string label{};  ///< of the suite; empty: none
  harness::Values values = harness::Values::normal;
  Problem problem{};
  std::string backend{};
  std::string kernel{};
  int threads = 1;
  harness::Timing timing{};
  double flops = 0;         ///< of visible pairs, one run
  double bytes = 0;         ///< q, k, v, o and lse once; decode: the cache and new keys
  std::string peak_name{};  ///< "FMA f32, 512-bit"
  double peak_flops = 0;
  double peak_bytes = 0;   ///< a second: the read loop over the same buffers
  double known_flops = 0;  ///< what the core is known to do at its clock; 0: not known
  double clock_hz = 0;
  std::int64_t workspace_bytes = 0;
  std::int64_t peak_rss_bytes = 0;      ///< of the process while the case ran, tensors included
  std::int64_t score_matrix_bytes = 0;  ///< f32 scores of all heads: never allocated
  std::int64_t caches = 0;              ///< decode: in rotation; 1 is hot
  std::int64_t cache_bytes = 0;         ///< decode: keys and values of one, at their longest
  std::vector<double> busy{};           ///< decode: each thread's share of the time, greatest first
  std::string remark{};                 ///< about the peak; empty: none
  std::optional<StandardRow> standard{};
  std::string standard_failure{};  ///< why there is no standard row although asked for
  std::optional<RelativeRow> relative{};

  double flops_per_second() const;
  double bytes_per_second() const;
  double fraction_of_peak() const;
  double fraction_of_bandwidth() const;
  /// The time that the nearer limit would take, by the time it took.
  double fraction_of_limit() const;
};

struct MeasureOptions {
  Where where{};
  harness::Draw draw{0};
  bool standard = false;
  bool hot = false;  ///< decode: the same cache in every run
  /// Told what share of a case is done, from 0 to 1.
  std::function<void(double)> progress{};
};

/// Makes tensors, plan, workspace and threads, then times the run alone. With `relative_to`, a case
/// on normal values, the two are timed in turn.
BenchRow measure(const Problem& problem, const MeasureOptions& options,
                 const std::string& relative_to = {});

}  // namespace strobe::tool
