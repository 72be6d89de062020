// Timed runs that know whether the machine was theirs.
// SPDX-License-Identifier: Apache-2.0
#include "harness/timing.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ctime>
#include <limits>

namespace strobe::harness {
namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Sample {
  double wall = 0.0;
  double cpu = 0.0;
};

Sample take_sample(const std::function<void()>& run, int runs) {
  const double cpu = process_cpu_seconds();
  const double wall = wall_seconds();
  for (int i = 0; i < runs; ++i) run();
  return {wall_seconds() - wall, process_cpu_seconds() - cpu};
}

/// Warms up and returns how many runs make a sample long enough.
int runs_per_sample(const std::function<void()>& run, const TimingOptions& options) {
  const double begin = wall_seconds();
  run();
  // The first run pays for page faults and cold caches: short ones are looked at again.
  double one = wall_seconds() - begin;
  while (wall_seconds() - begin < options.warm_up || (one < options.sample && one > 0.0)) {
    const double seconds = take_sample(run, 1).wall;
    const bool settled = seconds > 0.8 * one;
    one = std::min(one, seconds);
    if (settled && wall_seconds() - begin >= options.warm_up) break;
  }
  if (one >= options.sample) return 1;
  return static_cast<int>(std::min(1e6, std::ceil(options.sample / std::max(one, 1e-9))));
}

bool enough(const std::vector<double>& seconds, double total, const TimingOptions& options) {
  const auto samples = static_cast<int>(seconds.size());
  return samples >= options.most_runs || (samples >= options.runs && total >= options.seconds);
}

}  // namespace

double wall_seconds() { return seconds_of(CLOCK_MONOTONIC); }
double process_cpu_seconds() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }
double thread_cpu_seconds() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return 0.5 * (values[middle - 1] + values[middle]);
}

Timing time_runs(const std::function<void()>& run, const TimingOptions& options,
                 const std::function<void()>& between) {
  Timing timing;
  timing.runs_per_sample = runs_per_sample(run, options);
  std::vector<double> seconds;
  double wall = 0.0;
  double cpu = 0.0;
  while (!enough(seconds, wall, options)) {
    if (between) between();
    const Sample sample = take_sample(run, timing.runs_per_sample);
    const double wanted = options.least_cpu_over_wall * options.threads_with_work * sample.wall;
    if (sample.cpu < wanted) {
      if (timing.rejected < options.most_rejections) {
        ++timing.rejected;
        continue;
      }
      timing.undisturbed = false;
    }
    seconds.push_back(sample.wall / timing.runs_per_sample);
    wall += sample.wall;
    cpu += sample.cpu;
  }
  timing.samples = static_cast<int>(seconds.size());
  timing.median = median(seconds);
  timing.min = *std::min_element(seconds.begin(), seconds.end());
  timing.max = *std::max_element(seconds.begin(), seconds.end());
  timing.cpu_over_wall = wall > 0.0 ? cpu / wall : 0.0;
  return timing;
}

}  // namespace strobe::harness
