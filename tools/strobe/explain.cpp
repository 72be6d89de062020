// strobe explain: what a plan would do and why, and what fits in memory.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "command.hpp"
#include "harness/standard_attention.hpp"
#include "memory.hpp"
#include "options.hpp"
#include "strobe/plan.hpp"

namespace strobe::tool {
namespace {

struct ExplainOptions {
  std::string text{};
  Where where{};
  std::string memory{};
};

constexpr const char* kExamples =
    R"(Examples:
  strobe explain "h8 q4096 d64 causal"
  strobe explain "h32/8 q4096 d128 bf16 causal" --memory 16GiB
  strobe explain "h8 q333 k1024 d40" --backend cpu:portable --threads 1
  strobe explain "h32/8 q1 k65536 d128 bf16 page=16" --op decode)";

void print_fit(const char* what, std::int64_t ours, std::int64_t standard) {
  fmt::print("  {:<18}{:>16}{:>16}", what, ours, standard);
  if (standard > 0) {
    fmt::print("{:>10.1f}x", static_cast<double>(ours) / static_cast<double>(standard));
  }
  fmt::print("\n");
}

void print_memory(const Problem& problem, std::int64_t memory, const ExplainOptions& options) {
  const ExtraBytes ours = plan_bytes(options.where);
  const ExtraBytes standard = harness::full_score_bytes;
  const bool both = problem.seqlen_q == problem.seqlen_k;
  fmt::print(
      "in {} (all tensors, with workspace or with the score matrix of all heads):\n"
      "  {:<18}{:>16}{:>16}\n",
      options.memory, "", "strobe", "standard");
  print_fit(both ? "longest sequence" : "longest seqlen_k", longest(problem, memory, ours).seqlen_k,
            longest(problem, memory, standard).seqlen_k);
  print_fit("largest batch", largest_batch(problem, memory, ours).batch,
            largest_batch(problem, memory, standard).batch);
}

/// What the cache takes, and what it would with a key head for each query head (MHA).
void print_cache(const Problem& problem) {
  const auto bytes = static_cast<double>(key_bytes(problem));
  const auto group = problem.num_heads / std::max<std::int64_t>(1, problem.num_heads_kv);
  fmt::print("  {:<12} {} of keys and values", "cache", bytes_text(bytes));
  if (group > 1) {
    fmt::print("; with {} key heads instead of {} it would be {}, {} times as much",
               problem.num_heads, problem.num_heads_kv,
               bytes_text(bytes * static_cast<double>(group)), group);
  }
  fmt::print("\n");
}

int explain_case(const ExplainOptions& options) {
  check_threads(options.where);
  const Problem problem = Problem::parse(options.text);
  const std::int64_t memory = options.memory.empty() ? 0 : parse_bytes(options.memory);
  if (options.where.backend == "reference") {
    fmt::print("{}\nreference: float64 in plain loops, one thread, no workspace\n",
               problem.to_string());
  } else {
    const std::string text = explain(problem, options.where.plan_options());
    fmt::print("{}{}", text, text.ends_with('\n') ? "" : "\n");
  }
  if (options.where.op() == Op::decode) print_cache(problem);
  if (memory > 0) print_memory(problem, memory, options);
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("explain", "what would run and why; what fits in memory");
  const auto options = std::make_shared<ExplainOptions>();
  command->add_option("case", options->text, "\"h8 q4096 d64 causal\"")->required();
  add_op(*command, options->where);
  add_backend(*command, options->where);
  add_threads(*command, options->where);
  command->add_option("--memory", options->memory,
                      "16GiB: also the longest sequence and the largest batch that fit");
  command->footer(kExamples);
  command->callback([&chosen, options] { chosen = [options] { return explain_case(*options); }; });
}

}  // namespace strobe::tool
