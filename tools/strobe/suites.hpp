// Lists of cases that belong together, for strobe bench --suite.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/hard_values.hpp"
#include "strobe/plan.hpp"

namespace strobe::tool {

struct SuiteCase {
  std::string text{};
  std::string label{};  ///< "GPT-2"; empty: none
  harness::Values values = harness::Values::normal;
  std::string relative_to{};  ///< the case to time it in turn with; empty: none
  bool hot = false;           ///< decode: the same cache in every run
};

/// prefill: the speed table of docs/performance.md. models: shapes of well-known models. odd: 20
/// shapes that fit no tile, drawn with a fixed seed. options: every option, each row relative to
/// the case without it. decode: one step over caches of every kind. Throws Error(invalid_argument)
/// for others.
std::vector<SuiteCase> suite_cases(const std::string& name);

/// The operation of a suite's cases. Throws like suite_cases().
Op suite_op(const std::string& name);

/// "prefill, models, odd, options, decode", for messages and help.
std::string suite_names();

}  // namespace strobe::tool
