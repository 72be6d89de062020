// The tasks of a decode call and who runs them.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/run_decode.hpp"

#include <algorithm>

#include "cpu/threads.hpp"
#include "cpu/workspace.hpp"

namespace strobe::cpu {
namespace {

/// The parts of the workspace, as offsets from its first aligned byte.
struct Parts {
  std::size_t scratch = 0;  ///< of one thread
  std::size_t places, pieces, counters, sums, o, bytes;

  static std::size_t piece_count(const DecodeSizes& n, const DecodeCut& cut) {
    return static_cast<std::size_t>(n.batch * count_parts(count_leaves(n.seqlen_k), cut));
  }

  Parts(const DecodeKernel& kernel, const DecodeSizes& n, const DecodeCut& cut, int threads) {
    const auto batch = static_cast<std::size_t>(n.batch);
    const auto states =
        batch * static_cast<std::size_t>(count_leaves(n.seqlen_k) * n.num_heads_kv * n.rows);
    scratch = std::max(kernel.scratch_bytes(n.shape(cut)),
                       aligned(kernel.number_bytes * static_cast<std::size_t>(n.head_dim_v + 15)));
    places = static_cast<std::size_t>(threads) * scratch;
    pieces = places + aligned(batch * sizeof(DecodePlace));
    counters = pieces + aligned(piece_count(n, cut) * sizeof(DecodePiece));
    sums = counters + aligned(batch * sizeof(std::int32_t) *
                              static_cast<std::size_t>(ceil_div(n.num_heads_kv, cut.kv_heads)));
    o = sums + aligned(states * 2 * kernel.number_bytes);
    bytes = o + aligned(states * static_cast<std::size_t>(n.head_dim_v) * kernel.number_bytes);
  }
};

}  // namespace

std::int64_t count_tasks(const DecodeSizes& sizes, const DecodeCut& cut) {
  return sizes.batch * ceil_div(sizes.num_heads_kv, cut.kv_heads) *
         count_parts(count_leaves(sizes.seqlen_k), cut);
}

std::size_t decode_workspace_bytes(const DecodeKernel& kernel, const DecodeSizes& sizes,
                                   const DecodeCut& cut, int threads) {
  return kAlignment - 1 + Parts(kernel, sizes, cut, threads).bytes;
}

void run_decode(const DecodeKernel& kernel, const ForwardParams& params, const DecodeSizes& sizes,
                const DecodeCut& cut, int threads, const Parallel& parallel, std::byte* workspace) {
  std::byte* const base = align(workspace);
  const Parts parts(kernel, sizes, cut, threads);
  const auto batch = static_cast<std::size_t>(params.batch);
  const auto sets = static_cast<std::size_t>(ceil_div(params.num_heads_kv, cut.kv_heads));
  const DecodeOrder order(
      params, cut,
      {{reinterpret_cast<DecodePlace*>(base + parts.places), batch},
       {reinterpret_cast<DecodePiece*>(base + parts.pieces), Parts::piece_count(sizes, cut)},
       {reinterpret_cast<std::int32_t*>(base + parts.counters), batch * sets}});
  const LeafStates states{base + parts.o, base + parts.sums};
  run_items(parallel, threads, order.count(), [&](std::int64_t index, int self) {
    std::byte* const scratch = base + static_cast<std::size_t>(self) * parts.scratch;
    const DecodeTask task = order.task(index, states, kernel.number_bytes);
    kernel.run(params, task, scratch);
    for (int i = 0; i < task.members; ++i)
      if (order.finish(task, i)) kernel.combine(params, order.whole(task, i), scratch);
  });
}

}  // namespace strobe::cpu
