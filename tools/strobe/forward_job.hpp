// A forward call over tensors from files: read, posed as a problem, run, written.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "harness/tensor_map.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "runner.hpp"
#include "semantics/forward_params.hpp"
#include "strobe/attention.hpp"

namespace strobe::tool {

/// Files by tensor name; a tensor may come from one of them only.
struct InputFiles {
  std::string safetensors{};                 ///< empty: none
  std::map<std::string, std::string> npy{};  ///< tensor name to file
};

/// Throws Error(invalid_argument) when results could not be written to `out`: a .safetensors file,
/// else a folder, which need not exist yet.
void check_output(const std::string& out);

class ForwardJob {
 public:
  /// Reads the tensors, makes the outputs (o = 0, lse = -inf, which gaps between packed sequences
  /// keep) and plans. `words` are the options of a case. Throws Error for all that is wrong.
  ForwardJob(const InputFiles& files, const std::string& words, const Where& where);

  /// Writes o and lse in memory.
  void run() { runner_->run(tensors_); }

  const Problem& problem() const { return problem_; }
  /// Valid as long as the job; before run(), o and lse hold nothing yet.
  ForwardParams params() const;
  const std::string& kernel() const { return runner_->kernel(); }
  int threads() const { return runner_->threads(); }
  std::size_t workspace_bytes() const { return runner_->workspace_bytes(); }

  /// See report.hpp.
  void check_comparable() const;
  void print_report(Progress& progress) const;

  /// Writes o and lse, in the layout of the input; says what went where. Ends the job.
  std::string write(const std::string& out) &&;

 private:
  harness::TensorMap in_{};
  harness::TensorMap out_{};
  Layout layout_ = Layout::bshd;
  Problem problem_{};
  ForwardTensors tensors_{};
  std::optional<ForwardRunner> runner_{};
};

}  // namespace strobe::tool
