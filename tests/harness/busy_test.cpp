// Tests of harness/busy.hpp: whose time is counted, and by what.
// SPDX-License-Identifier: Apache-2.0
#include "harness/busy.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "harness/timing.hpp"

namespace strobe::harness {
namespace {

/// Keeps the thread's core for that much CPU time.
void work(double seconds) {
  const double end = thread_cpu_seconds() + seconds;
  while (thread_cpu_seconds() < end) {
  }
}

/// A body on the meter's own Parallel, which a team of one would pass by.
void run_once(BusyMeter& meter, Parallel::Body body) {
  const Parallel parallel = meter.parallel();
  parallel.run(parallel.context, 1, body, nullptr);
}

TEST(Busy, CountsEachThreadByItself) {
  ThreadPool pool(2);
  BusyMeter meter(team_of(pool));
  const double begin = wall_seconds();
  meter.run([&] {
    on_each_worker({meter.parallel(), 2}, [](int worker) { work(worker == 0 ? 0.03 : 0.01); });
  });
  const double wall = wall_seconds() - begin;
  const std::vector<double> shares = meter.shares();
  ASSERT_EQ(shares.size(), 2u);
  // Where one thread took both bodies, it has the sum.
  EXPECT_NEAR((shares[0] + shares[1]) * wall, 0.04, 0.005);
  EXPECT_GE(shares[0] * wall, 0.029);
}

TEST(Busy, DoesNotCountWaiting) {
  BusyMeter meter({});
  meter.run([&] {
    run_once(meter, [](void*) {
      work(0.005);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
  });
  EXPECT_LT(meter.shares().at(0), 0.3);
  EXPECT_GT(meter.shares().at(0), 0.0);
}

TEST(Busy, CountsTheCallingThreadWhereItDoesAll) {
  BusyMeter meter({{}, 2});
  meter.run([] { work(0.005); });
  EXPECT_GT(meter.shares().at(0), 0.0);
  EXPECT_EQ(meter.shares().at(1), 0.0);
}

TEST(Busy, RunsEveryBodyOnceForEachWorker) {
  BusyMeter meter({});
  int calls = 0;
  const Parallel parallel = meter.parallel();
  parallel.run(
      parallel.context, 5, [](void* count) { ++*static_cast<int*>(count); }, &calls);
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace strobe::harness
