// From a problem to a kernel, its tiles and its workspace.
// SPDX-License-Identifier: Apache-2.0
#include "plan/decision.hpp"

#include "cpu/run_forward.hpp"
#include "plan/heuristics.hpp"

namespace strobe::plan {

namespace {

cpu::DecodeCall decode_call(const Problem& problem, const Decision& decision) {
  cpu::DecodeCall call;
  call.few = decision.kernel->decode;
  call.tile = decision.kernel->forward;
  call.tiles = decision.tiles;
  if (call.few != nullptr)
    call.cut = choose_cut(problem, *call.few, decision.threads, decision.splits);
  call.sizes = decode_sizes(problem);
  call.seqlen_q = problem.seqlen_q;
  call.num_heads = problem.num_heads;
  call.dtype = problem.dtype;
  call.rotary = problem.rotary;
  call.threads = decision.threads;
  call.slots = append_slots(problem);
  return call;
}

}  // namespace

Decision decide(const Problem& problem, cpu::Isa allowed, const PlanOptions& options) {
  Decision decision;
  decision.op = options.op;
  decision.threads = options.threads;
  decision.splits = options.splits;
  decision.kernel = find(problem, options.op, allowed);
  if (decision.kernel == nullptr) return decision;
  if (const cpu::ForwardKernel* kernel = decision.kernel->forward) {
    decision.tiles = choose_tiles(problem, *kernel, options.threads);
    decision.workspace_bytes =
        cpu::forward_workspace_bytes(*kernel, problem.batch, problem.head_dim, problem.head_dim_v,
                                     decision.tiles, options.threads);
  }
  if (options.op == Op::decode) {
    decision.call = decode_call(problem, decision);
    decision.workspace_bytes = cpu::decode_call_bytes(decision.call);
  }
  return decision;
}

}  // namespace strobe::plan
