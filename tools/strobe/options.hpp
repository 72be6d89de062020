// Options that several commands share, and how they are read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "command.hpp"
#include "harness/hard_values.hpp"
#include "strobe/plan.hpp"
#include "strobe/problem.hpp"

namespace strobe::tool {

/// What a command computes and where: --op, --splits, --backend and --threads.
struct Where {
  std::string backend{};  ///< empty: the best kernels of this machine
  int threads = 0;        ///< 0: every core that this process may use
  std::string op_name = "forward";
  int splits = 0;  ///< decode: parts of the keys; 0: as many as pay

  /// The number of threads asked for, or every core.
  int thread_count() const;
  /// Throws Error(unsupported) for an operation that comes with a later version,
  /// Error(invalid_argument) for a name that is none.
  Op op() const;
  PlanOptions plan_options() const;
};

/// --op and --splits.
void add_op(CLI::App& command, Where& where);
void add_backend(CLI::App& command, Where& where);
void add_threads(CLI::App& command, Where& where);
void add_seed(CLI::App& command, std::uint64_t& seed);
/// --values: a name for read_values().
void add_values(CLI::App& command, std::string& name);

/// Throws Error(invalid_argument) for a name that there is not.
harness::Values read_values(const std::string& name);

/// Throws Error(invalid_argument) for threads out of range. A backend's name is checked by Plan.
void check_threads(const Where& where);

/// Throws Error(invalid_argument) when no file could be written at `path`, before any work is done
/// for it; `option` is what the message blames.
void check_output_file(const std::string& path, const char* option);

/// "1.25 MiB", "640 bytes".
std::string bytes_text(double bytes);
/// "3.21 ms", "12.4 s".
std::string seconds_text(double seconds);

/// Parses all cases before anything runs, so that a slip in the last one costs no time.
std::vector<Problem> parse_cases(const std::vector<std::string>& cases);

}  // namespace strobe::tool
