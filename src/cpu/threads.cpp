// ThreadPool: persistent workers that spin briefly, then sleep.
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "api/messages.hpp"
#include "strobe/plan.hpp"

#if defined(__linux__)
#  include <sched.h>
#endif

namespace strobe {

int available_threads() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

/// One job at a time. The caller never waits for a worker that has not begun: a descheduled
/// thread costs nothing (notes in bench/notes.md).
struct ThreadPool::State {
  std::vector<std::thread> threads;
  std::mutex one_run;  // held by the caller whose job this is

  std::mutex mutex;  // guards what follows
  std::condition_variable wake, done;
  Parallel::Body body = nullptr;
  void* argument = nullptr;
  int calls_left = 0;
  int running = 0;
  bool stop = false;
  std::atomic<unsigned> jobs{0};  // spun upon without the mutex

  /// Takes calls of the current job until none is left. Expects and returns the mutex locked.
  void work(std::unique_lock<std::mutex>& lock) {
    while (calls_left > 0) {
      --calls_left;
      ++running;
      const Parallel::Body call = body;
      void* const with = argument;
      lock.unlock();
      call(with);
      lock.lock();
      if (--running == 0 && calls_left == 0) done.notify_all();
    }
  }

  void worker() {
    constexpr int kSpins = 2000;  // some 20 microseconds: the pause between layers of a model
    unsigned seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && jobs.load(std::memory_order_acquire) == seen; ++spin)
        pause();
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return stop || calls_left > 0; });
      if (stop) return;
      seen = jobs.load(std::memory_order_relaxed);
      work(lock);
    }
  }

  void run(int calls, Parallel::Body job, void* with) {
    std::lock_guard mine(one_run);
    std::unique_lock lock(mutex);
    body = job;
    argument = with;
    calls_left = calls;
    jobs.fetch_add(1, std::memory_order_release);
    lock.unlock();
    if (calls > 2)
      wake.notify_all();
    else if (calls == 2)
      wake.notify_one();
    lock.lock();
    work(lock);
    done.wait(lock, [&] { return running == 0; });
  }

  void shut_down() {
    {
      std::lock_guard lock(mutex);
      stop = true;
      jobs.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
  }
};

ThreadPool::ThreadPool(int threads) {
  const int count = threads == 0 ? available_threads() : threads;
  if (count < 1)
    api::fail("pool-threads", "strobe::ThreadPool",
              {"threads is ", threads, "; give 1 or more, or 0 for one a core"});
  try {
    state_ = std::make_unique<State>();
    state_->threads.reserve(static_cast<std::size_t>(count - 1));
    for (int i = 1; i < count; ++i)
      state_->threads.emplace_back([s = state_.get()] { s->worker(); });
  } catch (const std::exception&) {
    const std::size_t started = state_ ? state_->threads.size() : 0;
    if (state_) state_->shut_down();
    api::fail("pool-refused", "strobe::ThreadPool",
              {"the system refused thread ", started + 2, " of ", count,
               "; ask for fewer, or raise the limit (ulimit -u)"});
  }
}

ThreadPool::~ThreadPool() { state_->shut_down(); }

int ThreadPool::size() const noexcept { return static_cast<int>(state_->threads.size()) + 1; }

Parallel ThreadPool::parallel() noexcept {
  return {.run = [](void* context, int workers, Parallel::Body body,
                    void* argument) { static_cast<State*>(context)->run(workers, body, argument); },
          .context = state_.get()};
}

}  // namespace strobe
