// The public Plan: checks, the decision, the run.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/plan.hpp"

#include "api/memory.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"
#include "cpu/decode_call.hpp"
#include "cpu/run_forward.hpp"
#include "plan/decision.hpp"
#include "plan/explain.hpp"

namespace strobe {
namespace {

/// The best instruction set that a backend's name allows.
cpu::Isa isa_of(const std::string& backend, const char* where) {
  using cpu::Isa;
  if (backend.empty() || backend == "cpu") return cpu::best_isa();
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512bf16}) {
    if (backend != std::string("cpu:") + cpu::name_of(isa)) continue;
    if (!cpu::machine_has(isa))
      api::fail("backend-machine", where,
                {"this machine cannot run ", backend, "; use backend \"cpu\" for the best it can"});
    return isa;
  }
  if (backend.starts_with("cuda"))
    api::fail("backend-later", where,
              {"this build has no backend ", backend,
               " yet; have: cpu, cpu:portable, cpu:avx2, cpu:avx512, cpu:avx512bf16"});
  api::fail("backend-unknown", where,
            {"there is no backend \"", backend,
             "\"; have: cpu, cpu:portable, cpu:avx2, cpu:avx512, cpu:avx512bf16"});
}

[[noreturn]] void fail_op(Op made_for, const char* where) {
  api::fail("plan-op", where,
            {"the plan was made for ", made_for == Op::forward ? "forward" : "decode",
             " and is run on ", made_for == Op::forward ? "DecodeTensors" : "ForwardTensors",
             "; make a plan with PlanOptions::op for what it is run on"});
}

void check_workspace(const Exec& exec, std::size_t needed, const char* where) {
  if (exec.workspace.size() >= needed && exec.workspace.data() != nullptr) return;
  api::fail("workspace-small", where,
            {"the workspace has ", exec.workspace.size(), " bytes and this plan needs ", needed,
             "; ask Plan::workspace_bytes()"});
}

void check_threads(int threads, const char* where) {
  if (threads < 1)
    api::fail("plan-threads", where, {"threads is ", threads, "; a plan needs 1 or more"});
}

}  // namespace

struct Plan::State {
  Problem problem;
  plan::Decision decision;
  std::string kernel;
};

Plan::Plan(const Problem& problem, const PlanOptions& options) {
  constexpr const char* kWhere = "strobe::Plan";
  state_ = api::with_memory_for("a plan (a few KiB)", kWhere, [&] {
    api::check_problem(problem, kWhere);
    api::check_op(problem, options.op, options.splits, kWhere);
    check_threads(options.threads, kWhere);
    const plan::Decision decision = plan::decide(problem, isa_of(options.backend, kWhere), options);
    if (decision.kernel == nullptr)
      api::fail("plan-kernel", kWhere,
                {"no kernel takes \"", problem.to_string(),
                 "\"; strobe explain says what each one refuses"});
    return std::make_unique<const State>(State{problem, decision, decision.kernel->name()});
  });
}

Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

const Problem& Plan::problem() const noexcept { return state_->problem; }
std::size_t Plan::workspace_bytes() const noexcept { return state_->decision.workspace_bytes; }
const std::string& Plan::kernel() const noexcept { return state_->kernel; }

void Plan::run(const ForwardTensors& tensors, const Exec& exec) const {
  constexpr const char* kWhere = "strobe::Plan::run";
  const plan::Decision& decision = state_->decision;
  api::with_memory_for("the message of an error (a few KiB)", kWhere, [&] {
    if (decision.op != Op::forward) fail_op(decision.op, kWhere);
    api::check_planned(tensors, state_->problem, kWhere);
    check_workspace(exec, decision.workspace_bytes, kWhere);
  });
  const ForwardParams params = api::forward_params(tensors, state_->problem);
  cpu::run_forward(*decision.kernel->forward, params, decision.tiles, decision.threads,
                   exec.parallel, exec.workspace.data());
}

void Plan::run_decode(const DecodeTensors& tensors, const Exec& exec) const {
  constexpr const char* kWhere = "strobe::Plan::run";
  const plan::Decision& decision = state_->decision;
  std::byte* const workspace = exec.workspace.data();
  api::with_memory_for("the message of an error (a few KiB)", kWhere, [&] {
    if (decision.op != Op::decode) fail_op(decision.op, kWhere);
    api::check_planned(tensors, state_->problem, kWhere);
    check_workspace(exec, decision.workspace_bytes, kWhere);
    api::check_append_slots(tensors, state_->problem, cpu::slot_numbers(decision.call, workspace),
                            kWhere);
  });
  cpu::run_decode_call(decision.call, api::decode_params(tensors, state_->problem), exec.parallel,
                       workspace);
}

std::string explain(const Problem& problem, const PlanOptions& options) {
  constexpr const char* kWhere = "strobe::explain";
  return api::with_memory_for("an explanation (a few KiB)", kWhere, [&] {
    api::check_problem(problem, kWhere);
    api::check_op(problem, options.op, options.splits, kWhere);
    check_threads(options.threads, kWhere);
    const cpu::Isa isa = isa_of(options.backend, kWhere);
    return plan::describe(problem, isa, plan::decide(problem, isa, options));
  });
}

std::string list_kernels() {
  return api::with_memory_for("a list of kernels (a few KiB)", "strobe::list_kernels",
                              plan::describe_kernels);
}

}  // namespace strobe
