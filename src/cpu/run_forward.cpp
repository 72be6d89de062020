// The tasks of a forward call and who runs them.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/run_forward.hpp"

#include <algorithm>
#include <span>

#include "cpu/threads.hpp"
#include "cpu/workspace.hpp"

namespace strobe::cpu {
namespace {

/// A sequence in the order of the tasks: which one, and how many tasks come before its own.
struct Place {
  std::int64_t batch = 0;
  std::int64_t first_task = 0;
};
static_assert(sizeof(Place) == 16);

/// All tasks of a call, numbered. Within a sequence the last rows come first (under a causal mask
/// they see most keys), and the heads of one range of rows follow each other.
class TaskOrder {
 public:
  TaskOrder(const ForwardParams& p, std::int64_t task_rows, std::span<Place> places)
      : p_(p), task_rows_(task_rows), places_(places) {
    for (std::int64_t b = 0; b < p.batch; ++b) places[static_cast<std::size_t>(b)].batch = b;
    if (p.cu_seqlens_q != nullptr || p.seqlens_k != nullptr || p.seqlens_q != nullptr)
      std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
        const Lengths m = sequence(p, a.batch).lengths, n = sequence(p, b.batch).lengths;
        return m.k != n.k ? m.k > n.k : m.q != n.q ? m.q > n.q : a.batch < b.batch;
      });
    for (Place& place : places) {
      place.first_task = count_;
      count_ += blocks(sequence(p, place.batch)) * p.num_heads;
    }
  }

  std::int64_t count() const { return count_; }

  ForwardTask operator[](std::int64_t index) const {
    const auto after = std::upper_bound(
        places_.begin(), places_.end(), index,
        [](std::int64_t task, const Place& place) { return task < place.first_task; });
    const Place& place = *(after - 1);
    ForwardTask task;
    task.sequence = sequence(p_, place.batch);
    const std::int64_t inside = index - place.first_task;
    const std::int64_t block = blocks(task.sequence) - 1 - inside / p_.num_heads;
    task.head = inside % p_.num_heads;
    task.first_row = block * task_rows_;
    task.rows = std::min(task_rows_, task.sequence.rows - task.first_row);
    return task;
  }

 private:
  std::int64_t blocks(const Sequence& s) const { return (s.rows + task_rows_ - 1) / task_rows_; }

  const ForwardParams& p_;
  std::int64_t task_rows_;
  std::span<const Place> places_;
  std::int64_t count_ = 0;
};

}  // namespace

std::size_t forward_workspace_bytes(const ForwardKernel& kernel, std::int64_t batch,
                                    std::int64_t head_dim, std::int64_t head_dim_v, int tiles,
                                    int threads) {
  return kAlignment - 1 +
         static_cast<std::size_t>(threads) * kernel.scratch_bytes(head_dim, head_dim_v, tiles) +
         static_cast<std::size_t>(batch) * sizeof(Place);
}

void run_forward(const ForwardKernel& kernel, const ForwardParams& params, int tiles, int threads,
                 const Parallel& parallel, std::byte* workspace) {
  std::byte* const scratch = align(workspace);
  const std::size_t bytes = kernel.scratch_bytes(params.head_dim, params.head_dim_v, tiles);
  auto* const places =
      reinterpret_cast<Place*>(scratch + static_cast<std::size_t>(threads) * bytes);
  const TaskOrder tasks(params, std::int64_t{tiles} * kernel.tile_q,
                        {places, static_cast<std::size_t>(params.batch)});
  run_items(parallel, threads, tasks.count(), [&](std::int64_t index, int self) {
    kernel.run(params, tasks[index], tiles, scratch + static_cast<std::size_t>(self) * bytes);
  });
}

}  // namespace strobe::cpu
