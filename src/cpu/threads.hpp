// Runs a body on the caller's threads, whoever provides them, without allocating.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <type_traits>

#include "strobe/plan.hpp"

namespace strobe::cpu {

/// Calls body() on up to `workers` threads; with no executor, once on the calling thread. Bodies
/// claim their work themselves, so fewer or more calls than asked for are correct too.
template <class Body>
void run_workers(const Parallel& parallel, int workers, Body&& body) {
  if (parallel.run == nullptr || workers <= 1) return body();
  parallel.run(
      parallel.context, workers,
      [](void* argument) { (*static_cast<std::remove_reference_t<Body>*>(argument))(); }, &body);
}

/// Calls work(item, worker) once for each item of [0, items), in rising order as workers claim
/// them; `worker` is below `threads` and names memory that only this worker uses.
template <class Work>
void run_items(const Parallel& parallel, int threads, std::int64_t items, Work&& work) {
  std::atomic<std::int64_t> next_item{0};
  std::atomic<int> next_worker{0};
  auto body = [&] {
    // The executor may call more often than asked, and one call may do all the work.
    const int self = next_worker.fetch_add(1, std::memory_order_relaxed);
    if (self >= threads) return;
    for (;;) {
      const std::int64_t item = next_item.fetch_add(1, std::memory_order_relaxed);
      if (item >= items) return;
      work(item, self);
    }
  };
  const auto workers = static_cast<int>(std::min<std::int64_t>(threads, items));
  if (workers > 0) run_workers(parallel, workers, body);
}

}  // namespace strobe::cpu
