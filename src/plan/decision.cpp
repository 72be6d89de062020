// From a problem to a kernel, its tiles and its workspace.
// SPDX-License-Identifier: Apache-2.0
#include "plan/decision.hpp"

#include "cpu/run_forward.hpp"
#include "plan/heuristics.hpp"

namespace strobe::plan {

Decision decide(const Problem& problem, cpu::Isa allowed, int threads) {
  Decision decision;
  decision.threads = threads;
  decision.kernel = find(problem, allowed);
  if (decision.kernel == nullptr) return decision;
  const cpu::ForwardKernel& kernel = *decision.kernel->forward;
  decision.tiles = choose_tiles(problem, kernel, threads);
  decision.workspace_bytes = cpu::forward_workspace_bytes(
      kernel, problem.batch, problem.head_dim, problem.head_dim_v, decision.tiles, threads);
  return decision;
}

}  // namespace strobe::plan
