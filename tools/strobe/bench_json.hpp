// The rows of strobe bench as JSON.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "measure.hpp"

namespace strobe::tool {

/// {"machine": {...}, "rows": [...]}, rows in order; docs/cases.md names the fields.
std::string bench_json(const std::vector<BenchRow>& rows, const std::string& op);

}  // namespace strobe::tool
