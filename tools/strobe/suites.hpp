// Lists of cases that belong together, for strobe bench --suite.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace strobe::tool {

struct SuiteCase {
  std::string text{};
  std::string label{};  ///< "GPT-2"; empty: none
};

/// prefill: the speed table of docs/performance.md. models: shapes of well-known models. odd: 20
/// shapes that fit no tile, drawn with a fixed seed. Throws Error(invalid_argument) for others.
std::vector<SuiteCase> suite_cases(const std::string& name);

}  // namespace strobe::tool
