// Runs forward on one backend as often as asked: a kept plan, or the float64 reference.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/team.hpp"
#include "options.hpp"
#include "strobe/attention.hpp"
#include "strobe/plan.hpp"

namespace strobe::tool {

/// Plan, workspace and threads are made once, outside whatever is timed.
class ForwardRunner {
 public:
  /// Throws as check_threads() and Plan do.
  ForwardRunner(const Problem& problem, const Where& where);

  /// Checks the tensors, then writes o and lse.
  void run(const ForwardTensors& tensors);

  /// "cpu:avx512", "reference": what --backend would have to say to get the same.
  const std::string& backend() const { return backend_; }
  /// "cpu:avx512 forward f32".
  const std::string& kernel() const { return kernel_; }
  int threads() const { return threads_; }
  /// The plan's threads, for measuring and comparing beside it.
  harness::Team team() const { return {pool_ ? pool_->parallel() : Parallel{}, threads_}; }
  /// What the run needs beside inputs and outputs.
  std::size_t workspace_bytes() const { return workspace_.size(); }

 private:
  Problem problem_;
  std::optional<Plan> plan_{};  ///< none: the reference
  std::unique_ptr<ThreadPool> pool_{};
  std::vector<std::byte> workspace_{};
  std::string kernel_;
  std::string backend_;
  int threads_ = 1;
};

}  // namespace strobe::tool
