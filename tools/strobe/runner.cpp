// Runs forward on one backend as often as asked: a kept plan, or the float64 reference.
// SPDX-License-Identifier: Apache-2.0
#include "runner.hpp"

#include <fmt/core.h>

#include "api/memory.hpp"
#include "api/validate.hpp"
#include "reference/forward.hpp"

namespace strobe::tool {

ForwardRunner::ForwardRunner(const Problem& problem, const Where& where) : problem_(problem) {
  check_threads(where);
  if (where.backend == "reference") {
    api::check_problem(problem, "strobe::reference::forward");
    backend_ = where.backend;
    kernel_ = "reference forward f64, plain loops";
    return;
  }
  threads_ = where.thread_count();
  plan_.emplace(problem, PlanOptions{.threads = threads_, .backend = where.backend});
  kernel_ = plan_->kernel();
  backend_ = kernel_.substr(0, kernel_.find(' '));
  if (threads_ > 1) pool_ = std::make_unique<ThreadPool>(threads_);
  api::with_memory_for(fmt::format("a workspace of {} bytes", plan_->workspace_bytes()),
                       "strobe::Plan", [this] { workspace_.resize(plan_->workspace_bytes()); });
}

void ForwardRunner::run(const ForwardTensors& tensors) {
  if (plan_) {
    plan_->run(tensors,
               {.parallel = pool_ ? pool_->parallel() : Parallel{}, .workspace = workspace_});
    return;
  }
  api::check_planned(tensors, problem_, "strobe::reference::forward");
  reference::forward(api::reference_params(tensors, problem_));
}

}  // namespace strobe::tool
