// Runs an operation on one backend as often as asked: a kept plan, or the float64 reference.
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
class Runner {
 public:
  /// Throws as check_threads() and Plan do.
  Runner(const Problem& problem, const Where& where);

  /// Checks the tensors, then writes o and lse.
  void run(const ForwardTensors& tensors);
  /// Likewise, for op decode; the cache is appended to.
  void run(const DecodeTensors& tensors);

  /// Has the plan run on `parallel` instead of its own threads: the same, metered, say.
  void run_on(const Parallel& parallel) { parallel_ = parallel; }

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
  template <class Tensors>
  bool run_plan(const Tensors& tensors);

  Problem problem_;
  std::optional<Plan> plan_{};  ///< none: the reference
  std::unique_ptr<ThreadPool> pool_{};
  Parallel parallel_{};
  std::vector<std::byte> workspace_{};
  std::string kernel_;
  std::string backend_;
  int threads_ = 1;
};

}  // namespace strobe::tool
