// A case run, and forward checked: the tool's `check` and the conformance tests.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <mutex>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "api/validate.hpp"
#include "harness/accuracy.hpp"
#include "harness/random_tensors.hpp"
#include "harness/stretch.hpp"
#include "harness/tensor_map.hpp"
#include "reference/decode.hpp"
#include "reference/forward.hpp"

namespace strobe::harness {
namespace {

std::string row_of(const char* name, const Errors& ours, const Errors& standard,
                   const std::string& allowed, const std::string& rms_allowed) {
  return fmt::format("  {:<4} {:>11.3g} {:>11.3g} {:>11} {:>13.3g} {:>11.3g} {:>11}\n", name,
                     ours.max_abs, standard.max_abs, allowed, ours.rel_rms, standard.rel_rms,
                     rms_allowed);
}

/// Runs a plan on a pool of its threads. Returns the kernel's name.
template <class Tensors>
std::string run_plan(const Problem& problem, const Tensors& tensors, PlanOptions options,
                     ThreadPool& pool) {
  options.threads = pool.size();
  const Plan plan(problem, options);
  std::vector<std::byte> workspace(plan.workspace_bytes());
  plan.run(tensors, {.parallel = pool.parallel(), .workspace = workspace});
  return plan.kernel();
}

}  // namespace

std::string Comparison::to_string() const {
  const std::string how_many =
      sampled ? fmt::format("{} of {} rows (tile edges and drawn ones)", rows, rows_all)
              : fmt::format("all {} rows", rows_all);
  std::string text =
      fmt::format("  compared with float64: {}, {} values of o, the largest {:.3g}\n", how_many,
                  values, largest_o);
  text += fmt::format("  {:<4} {:>11} {:>11} {:>11} {:>13} {:>11} {:>11}\n", "", "max error",
                      "standard", "allowed", "relative rms", "standard", "allowed");
  const auto number = [](double value) { return fmt::format("{:.3g}", value); };
  text += row_of("o", o, standard_o, number(o_tolerance),
                 rms_tolerance > 0.0 ? number(rms_tolerance) : "-");
  if (lse_given) text += row_of("lse", lse, standard_lse, number(lse_tolerance), "-");
  for (const std::string& failure : failures) text += "  wrong: " + failure + "\n";
  return text;
}

std::string CheckResult::command() const {
  std::string text = fmt::format("strobe check \"{}\"", problem.to_string());
  if (options.op == Op::decode) text += " --op decode";
  if (options.splits > 0) text += fmt::format(" --splits {}", options.splits);
  // The kernel's own backend: what asked for more, or for nothing, is another kernel elsewhere.
  const std::string backend = kernel.substr(0, kernel.find(' '));
  if (!backend.empty()) text += " --backend " + backend;
  if (draw.values != Values::normal) text += fmt::format(" --values {}", name_of(draw.values));
  return text + fmt::format(" --seed {} --threads {}", draw.seed, options.threads);
}

std::string CheckResult::to_string() const {
  const std::string kind =
      draw.values == Values::normal ? "" : fmt::format("values {}, ", name_of(draw.values));
  std::string text = fmt::format("{}: {} ({}, {} {}, {}seed {})\n", problem.to_string(),
                                 passed() ? "passed" : "FAILED", kernel, options.threads,
                                 options.threads == 1 ? "thread" : "threads", kind, draw.seed) +
                     comparison.to_string();
  if (!passed()) text += "  reproduce: " + command() + "\n";
  return text;
}

void run_reference(const ForwardParams& p, const Team& team,
                   const std::function<void(double)>& progress) {
  const std::int64_t heads = p.batch * p.num_heads;
  std::mutex mutex;
  std::int64_t done = 0;
  for_each_task(team, heads, [&](std::int64_t task, int) {
    reference::forward_head(p, task / p.num_heads, task % p.num_heads);
    if (!progress) return;
    const std::lock_guard lock(mutex);
    progress(static_cast<double>(++done) / static_cast<double>(heads));
  });
}

std::string run_forward(const Problem& problem, const ForwardTensors& tensors,
                        const std::string& backend, int threads,
                        const std::function<void(double)>& progress) {
  ThreadPool pool(threads);
  if (backend == "reference") {
    api::check_planned(tensors, problem, "strobe::harness::run_forward");
    run_reference(api::reference_params(tensors, problem), team_of(pool), progress);
    return "reference";
  }
  return run_plan(problem, tensors, {.backend = backend}, pool);
}

std::string run_decode(const Problem& problem, const DecodeTensors& tensors,
                       const PlanOptions& options, const std::function<void(double)>& progress) {
  ThreadPool pool(options.threads);
  if (options.backend == "reference") {
    api::check_planned(tensors, problem, "strobe::harness::run_decode");
    const DecodeParams p = api::decode_reference_params(tensors, problem);
    reference::append(p);
    const std::vector<std::byte> turned = reference::turn_queries(p);
    run_reference(reference::turned_params(p, turned), team_of(pool), progress);
    return "reference";
  }
  return run_plan(problem, tensors, options, pool);
}

CheckResult check_forward(const Problem& problem, const Draw& draw, const std::string& backend,
                          int threads, const std::function<void(double)>& progress) {
  CheckResult result{.problem = problem, .draw = draw, .options = {.backend = backend}};
  TensorMap inputs = drawn_tensors(problem, draw);
  TensorMap outputs = output_tensors(problem, inputs);
  const ForwardTensors tensors = forward_tensors(inputs, outputs);
  const double ran = backend == "reference" ? 0.5 : 0.0;  // kernels take no time beside it
  result.kernel = run_forward(problem, tensors, backend, threads, stretch(progress, 0.0, ran));
  ThreadPool pool(threads);
  result.options.threads = pool.size();
  result.comparison = compare_forward(api::reference_params(tensors, problem), team_of(pool),
                                      {.seed = draw.seed, .progress = stretch(progress, ran, 1.0)});
  return result;
}

}  // namespace strobe::harness
