// Prints what a plan does, what it costs, and why no other kernel does it.
// SPDX-License-Identifier: Apache-2.0
#include "plan/explain.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "plan/cost.hpp"
#include "plan/heuristics.hpp"

namespace strobe::plan {
namespace {

/// printf into a string: the library has no formatting dependency.
template <class... Args>
std::string text(const char* format, Args... args) {
  std::array<char, 512> line{};
  std::snprintf(line.data(), line.size(), format, args...);
  return line.data();
}

/// "1.25 GFLOP", "80 KiB"
std::string amount(double value, double step, std::array<const char*, 6> units) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return text("%.4g %s", value, units[unit]);
}

std::string bytes_text(double bytes) {
  return amount(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB", "PiB"});
}

std::string flops_text(double flops) {
  return amount(flops, 1000, {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"});
}

/// Row of a two-column listing.
std::string row(const char* name, const std::string& value) {
  return text("  %-12s ", name) + value + "\n";
}

std::string count_text(std::int64_t count, const char* one, const char* more) {
  return text("%lld %s", static_cast<long long>(count), count == 1 ? one : more);
}

std::string tile_rows(const Problem& problem, const Decision& decision) {
  const cpu::ForwardKernel& kernel = *decision.kernel->forward;
  return row("tiles", text("%d queries x %d keys, %d query tiles a task", kernel.tile_q,
                           kernel.tile_k, decision.tiles)) +
         row("tasks", text("%lld for ",
                           static_cast<long long>(count_tasks(problem, kernel, decision.tiles))) +
                          count_text(decision.threads, "thread", "threads"));
}

/// Why a decode call has this kernel.
std::string because_row(const Problem& problem) {
  return row("because",
             count_text(problem.seqlen_q, "query", "queries") +
                 text(" of a sequence; few are up to %lld", static_cast<long long>(kFewQueries)));
}

/// A decode call of the tile kernel, which no splits reach: what was asked for is not made quietly
/// something else.
std::string many_rows(const Problem& problem, const Decision& decision) {
  const std::int64_t tasks = count_tasks(problem, *decision.kernel->forward, decision.tiles);
  const std::string splits =
      decision.splits > 0 ? text("do not apply, %d asked for", decision.splits) : "do not apply";
  return because_row(problem) + tile_rows(problem, decision) +
         row("splits", splits + ": a task is some queries over all of their keys") +
         row("busy", text("%lld of %d threads",
                          static_cast<long long>(std::min<std::int64_t>(decision.threads, tasks)),
                          decision.threads));
}

/// Why this kernel, what its tasks are, and how many threads they keep busy.
std::string leaf_rows(const Problem& problem, const Decision& decision) {
  const cpu::DecodeCall& call = decision.call;
  const auto busy = [&](const cpu::DecodeCut& cut) {
    return std::min<std::int64_t>(decision.threads, cpu::count_tasks(call.sizes, cut));
  };
  const std::int64_t leaves = cpu::count_leaves(problem.seqlen_k);
  const std::int64_t parts = cpu::count_parts(leaves, call.cut);
  const cpu::DecodeCut whole = choose_cut(problem, *call.few, decision.threads, 1);
  std::string out = because_row(problem);
  out += row("rows",
             text("%lld for each pass over a key head", static_cast<long long>(call.sizes.rows)));
  out += row("splits", count_text(parts, "part", "parts") + " of up to " +
                           count_text(call.cut.leaves, "leaf", "leaves") +
                           text(" of %lld keys", static_cast<long long>(cpu::kLeafKeys)));
  out += row("tasks",
             text("%lld of ", static_cast<long long>(cpu::count_tasks(call.sizes, call.cut))) +
                 count_text(call.cut.kv_heads, "key head", "key heads"));
  if (call.cut.sequences > 1)
    out += row("shared pages",
               text("read once for up to %lld sequences, by whole leaves; %lld tasks if all share",
                    static_cast<long long>(call.cut.sequences),
                    static_cast<long long>(count_shared_tasks(problem, call.cut))));
  return out + row("busy", text("%lld of %d threads; %lld if keys were not split",
                                static_cast<long long>(busy(call.cut)), decision.threads,
                                static_cast<long long>(busy(whole))));
}

std::string chosen(const Problem& problem, const Decision& decision) {
  const KernelRow& kernel = *decision.kernel;
  std::string out = row("kernel", kernel.name() + " (" + kernel.arithmetic() + ")");
  if (kernel.forward == nullptr)
    out += leaf_rows(problem, decision);
  else if (decision.op == Op::decode)
    out += many_rows(problem, decision);
  else
    out += tile_rows(problem, decision);
  if (problem.kv_dtype != DType::none) out += row("codes", kernel.codes(problem));
  const bool grows = decision.op == Op::decode;
  return out + row("workspace", bytes_text(static_cast<double>(decision.workspace_bytes)) +
                                    (grows ? "" : " (independent of the sequence length)"));
}

std::string cost(const Problem& problem) {
  const Cost cost = forward_cost(problem);
  const double all = static_cast<double>(problem.batch * problem.num_heads) *
                     static_cast<double>(problem.seqlen_q) * static_cast<double>(problem.seqlen_k);
  std::string out =
      row("pairs",
          text("%lld of %.0f are visible (%.1f %%)", static_cast<long long>(cost.visible_pairs),
               all, all > 0 ? 100.0 * static_cast<double>(cost.visible_pairs) / all : 0.0));
  out += row("FLOPs", flops_text(cost.flops) + ", 2 (head_dim + head_dim_v) a visible pair");
  out += row("bytes", bytes_text(cost.bytes) +
                          ": q, k, v, o and lse once; the score matrix would be " +
                          bytes_text(4.0 * all));
  const double intensity = cost.bytes > 0 ? cost.flops / cost.bytes : 0.0;
  // A core of today does 5 to 30 FLOPs in the time it reads a byte from memory.
  return out + row("limit", text("%.0f FLOPs a byte: ", intensity) +
                                (intensity >= 32 ? "arithmetic" : "memory bandwidth"));
}

}  // namespace

std::string describe(const Problem& problem, cpu::Isa allowed, const Decision& decision) {
  std::string out = problem.to_string() + "\n";
  if (decision.kernel != nullptr) out += chosen(problem, decision);
  out += cost(problem);
  out += "  other kernels\n";
  for (const KernelRow& kernel : kernels()) {
    if (&kernel == decision.kernel) continue;
    const std::string reason = kernel.refuses(problem, decision.op, allowed);
    out += text("    %-28s ", kernel.name().c_str()) +
           (reason.empty() ? "takes it too, but comes after the one chosen" : reason) + "\n";
  }
  return out + text("    %-28s ", "reference") +
         "float64, plain loops: the oracle of tests, never chosen\n";
}

std::string describe_kernels() {
  std::string out;
  for (const KernelRow& kernel : kernels()) {
    const std::string tile =
        kernel.forward != nullptr
            ? text("tile %3d x %d", kernel.forward->tile_q, kernel.forward->tile_k)
            : text("leaf %lld", static_cast<long long>(cpu::kLeafKeys));
    out += text("%-28s %-26s %-14s  %s\n", kernel.name().c_str(), kernel.arithmetic(), tile.c_str(),
                cpu::machine_has(kernel.isa) ? "runs here" : "not on this machine");
  }
  return out;
}

}  // namespace strobe::plan
