// The tasks of a decode call and who runs them.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/run_decode.hpp"

#include <algorithm>
#include <atomic>
#include <span>

#include "cpu/threads.hpp"
#include "cpu/workspace.hpp"

namespace strobe::cpu {
namespace {

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// A sequence in the order of the tasks: which one, and what comes before it.
struct Place {
  std::int64_t sequence = 0;
  std::int64_t first_task = 0;
  std::int64_t first_leaf = 0;  ///< of the leaf states
};

/// The parts of the workspace, as offsets from its first aligned byte.
struct Parts {
  std::size_t scratch = 0;  ///< of one thread
  std::size_t places, counters, sums, o, bytes;

  Parts(const DecodeKernel& kernel, const DecodeSizes& n, const DecodeCut& cut, int threads) {
    const auto batch = static_cast<std::size_t>(n.batch);
    const auto states =
        batch * static_cast<std::size_t>(count_leaves(n.seqlen_k) * n.num_heads_kv * n.rows);
    scratch = std::max(kernel.scratch_bytes(n.shape(cut)),
                       aligned(kernel.number_bytes * static_cast<std::size_t>(n.head_dim_v + 15)));
    places = static_cast<std::size_t>(threads) * scratch;
    counters = places + aligned(batch * sizeof(Place));
    sums = counters + aligned(batch * sizeof(std::int32_t) *
                              static_cast<std::size_t>(ceil_div(n.num_heads_kv, cut.kv_heads)));
    o = sums + aligned(states * 2 * kernel.number_bytes);
    bytes = o + aligned(states * static_cast<std::size_t>(n.head_dim_v) * kernel.number_bytes);
  }
};

/// All tasks of a call, numbered: sequences from the longest on, within one the leaves from the
/// first on, within those the key heads.
class TaskOrder {
 public:
  TaskOrder(const ForwardParams& p, const DecodeCut& cut, std::span<Place> places,
            std::span<std::int32_t> left)
      : p_(p),
        cut_(cut),
        places_(places),
        left_(left),
        head_sets_(ceil_div(p.num_heads_kv, cut.kv_heads)) {
    for (std::int64_t b = 0; b < p.batch; ++b) places[static_cast<std::size_t>(b)].sequence = b;
    std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
      const std::int64_t m = sequence(p, a.sequence).lengths.k;
      const std::int64_t n = sequence(p, b.sequence).lengths.k;
      return m != n ? m > n : a.sequence < b.sequence;
    });
    std::int64_t leaf = 0;
    for (Place& place : places) {
      place.first_task = count_;
      place.first_leaf = leaf;
      const std::int64_t leaves = leaves_of(place), parts = parts_of(leaves);
      count_ += parts * head_sets_;
      leaf += leaves;
      for (std::int64_t set = 0; set < head_sets_; ++set)
        left_[counter(place.sequence, set)] = static_cast<std::int32_t>(parts);
    }
  }

  std::int64_t count() const { return count_; }

  /// With the leaf states of its sequence, which begin at `states`.
  DecodeTask task(std::int64_t index, const LeafStates& states, std::size_t number_bytes) const {
    const auto after = std::upper_bound(
        places_.begin(), places_.end(), index,
        [](std::int64_t task, const Place& place) { return task < place.first_task; });
    const Place& place = *(after - 1);
    const std::int64_t inside = index - place.first_task;
    DecodeTask task;
    task.sequence = sequence(p_, place.sequence);
    task.first_kv_head = inside % head_sets_ * cut_.kv_heads;
    task.kv_heads = std::min(cut_.kv_heads, p_.num_heads_kv - task.first_kv_head);
    task.first_leaf = inside / head_sets_ * cut_.leaves;
    task.leaves = std::min(cut_.leaves, leaves_of(place) - task.first_leaf);
    // As far apart as the most queries need.
    const std::int64_t before =
        place.first_leaf * p_.num_heads_kv * p_.seqlen_q * (p_.num_heads / p_.num_heads_kv);
    const auto bytes = static_cast<std::int64_t>(number_bytes);
    task.states.sums = static_cast<std::byte*>(states.sums) + before * 2 * bytes;
    task.states.o = static_cast<std::byte*>(states.o) + before * p_.head_dim_v * bytes;
    return task;
  }

  /// Whether it was the last task of its key heads.
  bool finish(const DecodeTask& task) const {
    const std::size_t at = counter(task.sequence.index, task.first_kv_head / cut_.kv_heads);
    return std::atomic_ref<std::int32_t>(left_[at]).fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  /// The same key heads with all leaves.
  DecodeTask whole(DecodeTask task) const {
    task.first_leaf = 0;
    task.leaves = count_leaves(task.sequence.lengths.k);
    return task;
  }

 private:
  std::int64_t leaves_of(const Place& place) const {
    return count_leaves(sequence(p_, place.sequence).lengths.k);
  }
  /// A sequence without keys has a task too: its rows are written.
  std::int64_t parts_of(std::int64_t leaves) const {
    return std::max<std::int64_t>(1, ceil_div(leaves, cut_.leaves));
  }
  std::size_t counter(std::int64_t sequence, std::int64_t set) const {
    return static_cast<std::size_t>(sequence * head_sets_ + set);
  }

  const ForwardParams& p_;
  DecodeCut cut_;
  std::span<const Place> places_;
  std::span<std::int32_t> left_;  ///< tasks of each sequence and head set that are not done
  std::int64_t head_sets_;
  std::int64_t count_ = 0;
};

}  // namespace

std::int64_t count_tasks(const DecodeSizes& sizes, const DecodeCut& cut) {
  return sizes.batch * ceil_div(sizes.num_heads_kv, cut.kv_heads) *
         std::max<std::int64_t>(1, ceil_div(count_leaves(sizes.seqlen_k), cut.leaves));
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
  const TaskOrder tasks(params, cut, {reinterpret_cast<Place*>(base + parts.places), batch},
                        {reinterpret_cast<std::int32_t*>(base + parts.counters), batch * sets});
  const LeafStates states{base + parts.o, base + parts.sums};
  run_items(parallel, threads, tasks.count(), [&](std::int64_t index, int self) {
    std::byte* const scratch = base + static_cast<std::size_t>(self) * parts.scratch;
    const DecodeTask task = tasks.task(index, states, kernel.number_bytes);
    kernel.run(params, task, scratch);
    if (tasks.finish(task)) kernel.combine(params, tasks.whole(task), scratch);
  });
}

}  // namespace strobe::cpu
