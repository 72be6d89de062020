// Timing's bookkeeping: how many samples, which are kept, what is between them.
// SPDX-License-Identifier: Apache-2.0
#include "harness/timing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <string>
#include <vector>

namespace strobe::harness {
namespace {

void sleep_a_little() {
  const timespec pause{0, 300'000};
  nanosleep(&pause, nullptr);
}

TEST(Median, IsTheMiddle) {
  EXPECT_EQ(median({3.0, 1.0, 2.0}), 2.0);
  EXPECT_EQ(median({4.0, 1.0, 2.0, 3.0}), 2.5);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(Clocks, NeverRunBackwards) {
  const double wall = wall_seconds();
  const double process = process_cpu_seconds();
  const double thread = thread_cpu_seconds();
  EXPECT_GE(wall_seconds(), wall);
  EXPECT_GE(process_cpu_seconds(), process);
  EXPECT_GE(thread_cpu_seconds(), thread);
}

TEST(TimeRuns, RejectsWhatSleepsAndKeepsItInTheEnd) {
  int runs = 0;
  const Timing timing = time_runs([&] { ++runs, sleep_a_little(); },
                                  {.runs = 3, .seconds = 0.0, .sample = 0.0, .most_rejections = 4});
  EXPECT_EQ(timing.rejected, 4);
  EXPECT_EQ(timing.samples, 3);
  EXPECT_FALSE(timing.undisturbed);
  EXPECT_LT(timing.cpu_over_wall, 0.97);
  EXPECT_EQ(runs, 1 + 4 + 3) << "one to warm up, four rejected, three kept";
}

TEST(TimeRuns, KeepsAllWhereNothingIsAskedOfTheProcessor) {
  int between = 0;
  const Timing timing = time_runs(
      sleep_a_little, {.runs = 4, .seconds = 0.0, .sample = 0.0, .least_cpu_over_wall = 0.0},
      [&] { ++between; });
  EXPECT_EQ(timing.rejected, 0);
  EXPECT_TRUE(timing.undisturbed);
  EXPECT_EQ(timing.samples, 4);
  EXPECT_EQ(between, 4);
}

TEST(TimeRuns, TellsHowManySamplesAreThere) {
  std::vector<double> told;
  const TimingOptions options{.runs = 4,
                              .seconds = 0.0,
                              .sample = 0.0,
                              .least_cpu_over_wall = 0.0,
                              .progress = [&](double share) { told.push_back(share); }};
  time_runs(sleep_a_little, options);
  EXPECT_EQ(told, (std::vector<double>{0.25, 0.5, 0.75, 1.0}));
  told.clear();
  time_pairs(sleep_a_little, sleep_a_little, options);
  EXPECT_EQ(told, (std::vector<double>{0.25, 0.5, 0.75, 1.0}));
}

TEST(TimeRuns, OrdersItsSeconds) {
  const Timing timing = time_runs(
      sleep_a_little, {.runs = 5, .seconds = 0.0, .sample = 0.0, .least_cpu_over_wall = 0.0});
  EXPECT_GT(timing.min, 0.0);
  EXPECT_LE(timing.min, timing.median);
  EXPECT_LE(timing.median, timing.max);
}

TEST(TimeRuns, RepeatsShortRunsUntilASampleIsLongEnough) {
  const Timing timing =
      time_runs([] {}, {.runs = 1, .seconds = 0.0, .sample = 0.001, .most_rejections = 0});
  EXPECT_GT(timing.runs_per_sample, 1);
}

TEST(TimeRuns, StopsAtMostRuns) {
  const Timing timing = time_runs(
      sleep_a_little,
      {.runs = 2, .seconds = 1e9, .most_runs = 6, .sample = 0.0, .least_cpu_over_wall = 0.0});
  EXPECT_EQ(timing.samples, 6);
}

TEST(TimePairs, TakesTurnsAndComparesThem) {
  std::string turns;
  const auto spend = [&](char name, double seconds) {
    turns += name;
    const double end = thread_cpu_seconds() + seconds;
    while (thread_cpu_seconds() < end) {
    }
  };
  int between = 0;
  const PairTiming pairs = time_pairs(
      [&] { spend('a', 0.004); }, [&] { spend('b', 0.002); },
      {.runs = 3, .seconds = 0.0, .sample = 0.0, .least_cpu_over_wall = 0.0}, [&] { ++between; });
  EXPECT_EQ(turns,
            "ab"
            "ababab")
      << "each warmed up once";
  EXPECT_EQ(between, 3);
  EXPECT_EQ(pairs.first.samples, 3);
  EXPECT_EQ(pairs.second.samples, 3);
  EXPECT_NEAR(pairs.cpu_ratio, 2.0, 0.5);
  EXPECT_GT(pairs.ratio, 0.0);
}

TEST(TimePairs, RejectsPairsOfWhichOneSleeps) {
  int first = 0;
  int second = 0;
  const PairTiming pairs =
      time_pairs([&] { ++first; }, [&] { ++second, sleep_a_little(); },
                 {.runs = 2, .seconds = 0.0, .sample = 0.0, .most_rejections = 3});
  EXPECT_EQ(pairs.first.rejected, 3);
  EXPECT_EQ(pairs.second.samples, 2);
  EXPECT_FALSE(pairs.first.undisturbed);
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace strobe::harness
