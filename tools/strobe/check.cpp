// strobe check: the error of an operation against float64, beside standard attention's.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "api/validate.hpp"
#include "command.hpp"
#include "fitting.hpp"
#include "harness/accuracy.hpp"
#include "options.hpp"
#include "progress.hpp"

namespace strobe::tool {
namespace {

struct CheckOptions {
  std::vector<std::string> cases{};
  Where where{};
  std::uint64_t seed = 0;
  std::string values = "normal";
};

constexpr const char* kExamples =
    R"(Runs each case on random tensors (fixed by --seed and --values) and compares with float64:
every row when fewer than 2^24 pairs of query and key are visible, else a sample of rows with
the edges of tiles. Passes while error <= 1.25 x standard attention's + 2 ulp of the largest
|o| (root mean square; the single largest error may be twice that); else the exit status is 1.

Examples:
  strobe check "b2 h8/2 q333 k1024 d128/64 bf16 causal window=128,0"
  strobe check "h4 q777 d80" "h4 q777 d80 bf16" --backend cpu:portable --seed 7
  strobe check "b3 h2 q100 d64 causal varlen" --threads 1
  strobe check "h2 q700 d40 causal" --values rising
  strobe check "b3 h8/2 q1 k3000 d128 bf16 page=16 append" --op decode --splits 3)";

/// Beside the plan's workspace each thread holds one head's keys and values as f32, the keys once
/// more transposed, and scores of the 64 rows that are compared together. Decode also holds the
/// cache that must come out.
ExtraBytes check_bytes(const Where& where) {
  return [plan = plan_bytes(where), threads = where.thread_count(),
          decode = where.op() == Op::decode](const Problem& p) {
    const std::int64_t a_key =
        2 * p.head_dim + p.head_dim_v + std::min<std::int64_t>(64, p.seqlen_q);
    std::int64_t bytes = plan(p);
    std::int64_t compared = 0;
    if (__builtin_mul_overflow(p.seqlen_k, a_key * size_of(DType::f32) * threads, &compared) ||
        __builtin_add_overflow(bytes, compared, &bytes) ||
        (decode && __builtin_add_overflow(bytes, key_bytes(p), &bytes)))
      return std::numeric_limits<std::int64_t>::max();
    return bytes;
  };
}

harness::CheckResult check_case(const Problem& problem, const harness::Draw& draw,
                                const PlanOptions& plan,
                                const std::function<void(double)>& progress) {
  if (plan.op == Op::decode) return harness::check_decode(problem, draw, plan, progress);
  return harness::check_forward(problem, draw, plan.backend, plan.threads, progress);
}

int check(const CheckOptions& options) {
  check_threads(options.where);
  const PlanOptions plan = options.where.plan_options();
  const harness::Draw draw(options.seed, read_values(options.values));
  const std::vector<Problem> problems = parse_cases(options.cases);
  for (const Problem& problem : problems) api::check_op(problem, plan.op, plan.splits, "check");
  Progress progress(static_cast<int>(problems.size()));
  int failed = 0;
  for (const Problem& problem : problems) {
    progress.begin(problem.to_string());
    harness::CheckResult result;
    with_memory_for(problem, check_bytes(options.where), [&] {
      result = check_case(problem, draw, plan, [&](double part) { progress.part(part); });
    });
    progress.step();
    progress.clear();
    const std::string text = result.to_string();
    fmt::print("{}{}", text, text.ends_with('\n') ? "" : "\n");
    if (result.passed()) fmt::print("  reproduce: {}\n", result.command());
    if (!result.passed()) ++failed;
  }
  if (problems.size() > 1) {
    fmt::print("{} of {} cases passed\n", static_cast<int>(problems.size()) - failed,
               problems.size());
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("check", "the error against float64, beside standard attention's");
  const auto options = std::make_shared<CheckOptions>();
  command->add_option("case", options->cases, "\"b2 h8/2 q333 d128 bf16 causal\" ...")->required();
  add_op(*command, options->where);
  add_backend(*command, options->where);
  add_threads(*command, options->where);
  add_seed(*command, options->seed);
  add_values(*command, options->values);
  command->footer(kExamples);
  command->callback([&chosen, options] { chosen = [options] { return check(*options); }; });
}

}  // namespace strobe::tool
