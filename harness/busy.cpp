// Meters bodies where they run, by the clock of their thread.
// SPDX-License-Identifier: Apache-2.0
#include "harness/busy.hpp"

#include <algorithm>
#include <functional>

#include "harness/timing.hpp"

namespace strobe::harness {

struct BusyMeter::Call {
  BusyMeter& meter;
  Parallel::Body body;
  void* argument;

  static void run(void* call) {
    auto& self = *static_cast<Call*>(call);
    const double begin = thread_cpu_seconds();
    self.body(self.argument);
    self.meter.add(thread_cpu_seconds() - begin);
  }
};

BusyMeter::BusyMeter(const Team& team)
    : team_(team), workers_(static_cast<std::size_t>(std::max(1, team.threads))) {}

Parallel BusyMeter::parallel() {
  return {.run =
              [](void* context, int workers, Parallel::Body body, void* argument) {
                auto& self = *static_cast<BusyMeter*>(context);
                Call call{self, body, argument};
                const Parallel& inner = self.team_.parallel;
                if (inner.run != nullptr)
                  return inner.run(inner.context, workers, Call::run, &call);
                for (int i = 0; i < workers; ++i) Call::run(&call);
              },
          .context = this};
}

void BusyMeter::run(const std::function<void()>& work) {
  const int bodies = bodies_;
  const double begin = wall_seconds();
  const double cpu_begin = thread_cpu_seconds();
  work();
  if (bodies == bodies_) add(thread_cpu_seconds() - cpu_begin);
  wall_ += wall_seconds() - begin;
}

void BusyMeter::add(double seconds) {
  const std::lock_guard lock(mutex_);
  ++bodies_;
  const auto id = std::this_thread::get_id();
  const auto end = workers_.begin() + static_cast<std::ptrdiff_t>(used_);
  auto worker = std::find_if(workers_.begin(), end, [id](const Worker& w) { return w.id == id; });
  if (worker == workers_.end()) return;  // more threads than the team says it has
  if (worker == end) {
    worker->id = id;
    ++used_;
  }
  worker->seconds += seconds;
}

std::vector<double> BusyMeter::shares() const {
  std::vector<double> shares;
  for (const Worker& worker : workers_)
    shares.push_back(wall_ > 0.0 ? worker.seconds / wall_ : 0.0);
  std::sort(shares.begin(), shares.end(), std::greater<>());
  return shares;
}

}  // namespace strobe::harness
