// forward() and decode(): a plan for one call, with threads and memory of its own where none are
// given.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/attention.hpp"

#include <cstddef>
#include <memory>
#include <new>
#include <optional>

#include "api/memory.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"
#include "plan/cost.hpp"

namespace strobe {
namespace {

/// Below this much work, starting threads (some 50 microseconds each) costs more than it gives.
constexpr double kFlopsWorthThreads = 5e7;
constexpr double kBytesWorthThreads = 1e7;

using Memory = std::unique_ptr<std::byte[]>;

Memory try_allocate(std::size_t bytes) { return Memory(new (std::nothrow) std::byte[bytes]); }

/// The largest block that the system gives now, to within a sixteenth; less than `refused`.
std::size_t largest_block(std::size_t refused) {
  std::size_t given = 0;
  while (refused - given > refused / 16 + 1) {
    const std::size_t middle = given + (refused - given) / 2;
    (try_allocate(middle) != nullptr ? given : refused) = middle;
  }
  return given;
}

/// Says what was asked for, what there is, and how many threads that is enough for.
[[noreturn]] void fail_workspace(const Plan& plan, PlanOptions options, const char* where) {
  const std::size_t bytes = plan.workspace_bytes(), largest = largest_block(bytes);
  const int threads = options.threads;
  const auto needed = [&](int count) {
    options.threads = count;
    return Plan(plan.problem(), options).workspace_bytes();
  };
  int fits = threads - 1;
  while (fits > 0 && needed(fits) > largest) --fits;
  if (fits > 0)
    api::fail("workspace-memory", where,
              {"cannot allocate ", bytes, " bytes of workspace for ", threads,
               " threads; the largest block to be had, ", largest, " bytes, is enough for ", fits,
               ": make a Plan for as many"});
  api::fail("workspace-memory", where,
            {"cannot allocate ", bytes, " bytes of workspace; the largest block to be had has ",
             largest, ", and one thread needs ", needed(1), ": make the batch smaller"});
}

/// A plan for one call, run with what the caller does not bring.
template <class Tensors>
void run(const Tensors& tensors, const Problem& problem, Op op, const Exec& exec,
         const char* where) {
  const plan::Cost cost = plan::forward_cost(problem);
  const bool worth =
      cost.flops >= kFlopsWorthThreads || (op == Op::decode && cost.bytes >= kBytesWorthThreads);
  const bool parallel = exec.parallel.run != nullptr || worth;
  const PlanOptions options{.threads = parallel ? available_threads() : 1, .op = op};
  const Plan plan(problem, options);

  Exec with = exec;
  std::optional<ThreadPool> pool;
  if (parallel && exec.parallel.run == nullptr) {
    pool.emplace();
    with.parallel = pool->parallel();
  }
  Memory workspace;
  if (exec.workspace.empty()) {
    workspace = try_allocate(plan.workspace_bytes());
    if (workspace == nullptr) fail_workspace(plan, options, where);
    with.workspace = {workspace.get(), plan.workspace_bytes()};
  }
  plan.run(tensors, with);
}

}  // namespace

void forward(const ForwardTensors& tensors, const Options& options, const Exec& exec) {
  constexpr const char* kWhere = "strobe::forward";
  api::with_memory_for("the message of an error (a few KiB)", kWhere, [&] {
    run(tensors, api::check_forward(tensors, options, kWhere), Op::forward, exec, kWhere);
  });
}

void decode(const DecodeTensors& tensors, const Options& options, const Exec& exec) {
  constexpr const char* kWhere = "strobe::decode";
  api::with_memory_for("the message of an error (a few KiB)", kWhere, [&] {
    run(tensors, api::check_decode(tensors, options, kWhere), Op::decode, exec, kWhere);
  });
}

}  // namespace strobe
