// Runs an operation on one backend as often as asked: a kept plan, or the float64 reference.
// SPDX-License-Identifier: Apache-2.0
#include "runner.hpp"

#include <fmt/core.h>

#include "api/memory.hpp"
#include "api/validate.hpp"
#include "reference/decode.hpp"
#include "reference/forward.hpp"

namespace strobe::tool {

Runner::Runner(const Problem& problem, const Where& where) : problem_(problem) {
  check_threads(where);
  const PlanOptions options = where.plan_options();
  const bool forward = options.op == Op::forward;
  if (where.backend == "reference") {
    const char* const name = forward ? "strobe::reference::forward" : "strobe::reference::decode";
    api::check_problem(problem, name);
    api::check_op(problem, options.op, options.splits, name);
    backend_ = where.backend;
    kernel_ = fmt::format("reference {} f64, plain loops", forward ? "forward" : "decode");
    return;
  }
  threads_ = options.threads;
  plan_.emplace(problem, options);
  kernel_ = plan_->kernel();
  backend_ = kernel_.substr(0, kernel_.find(' '));
  if (threads_ > 1) pool_ = std::make_unique<ThreadPool>(threads_);
  parallel_ = team().parallel;
  api::with_memory_for(fmt::format("a workspace of {} bytes", plan_->workspace_bytes()),
                       "strobe::Plan", [this] { workspace_.resize(plan_->workspace_bytes()); });
}

/// False where there is no plan: the reference is asked for.
template <class Tensors>
bool Runner::run_plan(const Tensors& tensors) {
  if (!plan_) return false;
  plan_->run(tensors, {.parallel = parallel_, .workspace = workspace_});
  return true;
}

void Runner::run(const ForwardTensors& tensors) {
  if (run_plan(tensors)) return;
  api::check_planned(tensors, problem_, "strobe::reference::forward");
  reference::forward(api::reference_params(tensors, problem_));
}

void Runner::run(const DecodeTensors& tensors) {
  if (run_plan(tensors)) return;
  api::check_planned(tensors, problem_, "strobe::reference::decode");
  reference::decode(api::decode_reference_params(tensors, problem_));
}

}  // namespace strobe::tool
