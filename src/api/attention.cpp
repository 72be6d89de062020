// forward(): a plan for one call, with threads and memory of its own where none are given.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/attention.hpp"

#include <cstddef>
#include <memory>
#include <new>
#include <optional>

#include "api/messages.hpp"
#include "api/validate.hpp"
#include "plan/cost.hpp"

namespace strobe {
namespace {

constexpr const char* kWhere = "strobe::forward";

/// Below this much work, starting threads (some 50 microseconds each) costs more than it gives.
constexpr double kFlopsWorthThreads = 5e7;

std::unique_ptr<std::byte[]> allocate(std::size_t bytes) {
  std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
  if (memory == nullptr)
    api::fail("workspace-memory", kWhere,
              {"cannot allocate ", bytes, " bytes of workspace; use fewer threads"});
  return memory;
}

}  // namespace

void forward(const ForwardTensors& tensors, const Options& options, const Exec& exec) {
  const Problem problem = api::check_forward(tensors, options, kWhere);
  const bool parallel =
      exec.parallel.run != nullptr || plan::forward_cost(problem).flops >= kFlopsWorthThreads;
  const Plan plan(problem, {.threads = parallel ? available_threads() : 1});

  Exec with = exec;
  std::optional<ThreadPool> pool;
  if (parallel && exec.parallel.run == nullptr) {
    pool.emplace();
    with.parallel = pool->parallel();
  }
  std::unique_ptr<std::byte[]> workspace;
  if (exec.workspace.empty()) {
    workspace = allocate(plan.workspace_bytes());
    with.workspace = {workspace.get(), plan.workspace_bytes()};
  }
  plan.run(tensors, with);
}

}  // namespace strobe
