// The rows of strobe bench as JSON.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "measure.hpp"

namespace strobe::tool {

/// {"machine": {...}, "rows": [...]}, rows in the order asked. Every row has
///   case op backend threads seconds_median seconds_min seconds_max gflops peak_gflops
///   fraction_of_peak gbytes_per_s peak_gbytes_per_s fraction_of_bandwidth fraction_of_limit
///   workspace_bytes peak_rss_bytes cpu_over_wall
/// as measure.hpp explains them, and besides: problem (the case in its shortest form), kernel, peak
/// (which loop), known_gflops and clock_hz (what that loop is known to reach), samples, rejected,
/// score_matrix_bytes; label, remark, values and standard (an object) where there is something to
/// say. A row timed in turn with another case has relative_to: {case, ratio, cpu_ratio,
/// seconds_median, seconds_min, seconds_max, cpu_over_wall}; the ratio is the row's time by the
/// other case's, the median over `samples` pairs. Rows of decode have splits (as asked; 0: the
/// plan's choice), caches (in rotation; 1 is hot), cache_bytes (of one) and busy, each thread's CPU
/// time by wall time, greatest first.
std::string bench_json(const std::vector<BenchRow>& rows, const Where& where);

}  // namespace strobe::tool
