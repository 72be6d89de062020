// Threads for measuring and checking: the library's Parallel, with functions instead of pointers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "strobe/plan.hpp"

namespace strobe::harness {

/// Threads to run on. Without `parallel` the calling thread does all, one worker after the other.
struct Team {
  Parallel parallel{};
  int threads = 1;
};

/// The pool must outlive the team.
inline Team team_of(ThreadPool& pool) { return {pool.parallel(), pool.size()}; }

namespace detail {

void run_workers(const Team& team, void (*body)(void* argument), void* argument);

}  // namespace detail

/// Calls function(worker) once for each worker 0 .. threads - 1, at once where the team can. The
/// first exception is thrown again when all have returned.
template <class Function>
void on_each_worker(const Team& team, const Function& function) {
  struct Shared {
    const Function& function;
    std::atomic<int> next{0};
    std::mutex mutex{};
    std::exception_ptr error{};
  } shared{function};
  const auto body = [](void* argument) {
    auto& all = *static_cast<Shared*>(argument);
    try {
      all.function(all.next.fetch_add(1));
    } catch (...) {
      const std::lock_guard lock(all.mutex);
      if (!all.error) all.error = std::current_exception();
    }
  };
  detail::run_workers(team, body, &shared);
  if (shared.error) std::rethrow_exception(shared.error);
}

/// Calls function(task, worker) once for each task 0 .. tasks - 1; workers claim them in order.
template <class Function>
void for_each_task(const Team& team, std::int64_t tasks, const Function& function) {
  std::atomic<std::int64_t> next{0};
  on_each_worker(team, [&](int worker) {
    for (std::int64_t task = next++; task < tasks; task = next++) function(task, worker);
  });
}

}  // namespace strobe::harness
