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

/// The samples of one job that count.
class Samples {
 public:
  explicit Samples(int runs) : runs_(runs) {}

  void add(const Sample& sample) {
    seconds_.push_back(sample.wall / runs_);
    wall_ += sample.wall;
    cpu_ += sample.cpu;
  }
  double wall() const { return wall_; }
  bool enough(const TimingOptions& options, double total) const {
    return share(options, total) >= 1.0;
  }
  /// Of what enough() waits for; both time and number must be there.
  double share(const TimingOptions& options, double total) const {
    const auto count = static_cast<double>(seconds_.size());
    const double time = options.seconds > 0.0 ? total / options.seconds : 1.0;
    const double both = std::min(count / std::max(1, options.runs), time);
    return std::clamp(std::max(both, count / std::max(1, options.most_runs)), 0.0, 1.0);
  }
  void tell(const TimingOptions& options, double total) const {
    if (options.progress) options.progress(share(options, total));
  }
  Timing timing() const {
    return {.median = median(seconds_),
            .min = *std::min_element(seconds_.begin(), seconds_.end()),
            .max = *std::max_element(seconds_.begin(), seconds_.end()),
            .cpu_over_wall = wall_ > 0.0 ? cpu_ / wall_ : 0.0,
            .samples = static_cast<int>(seconds_.size()),
            .runs_per_sample = runs_};
  }

 private:
  int runs_;
  std::vector<double> seconds_;
  double wall_ = 0.0;
  double cpu_ = 0.0;
};

/// Which samples to throw away, and how many were.
class Referee {
 public:
  explicit Referee(const TimingOptions& options) : options_(options) {}

  bool disturbed(const Sample& sample) const {
    return sample.cpu < options_.least_cpu_over_wall * options_.threads_with_work * sample.wall;
  }
  /// Whether to measure again; after most_rejections everything counts.
  bool rejects(bool disturbed) {
    if (!disturbed) return false;
    if (rejected_ < options_.most_rejections) {
      ++rejected_;
      return true;
    }
    undisturbed_ = false;
    return false;
  }
  void sign(Timing& timing) const {
    timing.rejected = rejected_;
    timing.undisturbed = undisturbed_;
  }

 private:
  const TimingOptions& options_;
  int rejected_ = 0;
  bool undisturbed_ = true;
};

double ratio_of(double first, double second) { return second > 0.0 ? first / second : 0.0; }

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
  const int runs = runs_per_sample(run, options);
  Samples samples(runs);
  Referee referee(options);
  while (!samples.enough(options, samples.wall())) {
    if (between) between();
    const Sample sample = take_sample(run, runs);
    if (!referee.rejects(referee.disturbed(sample))) samples.add(sample);
    samples.tell(options, samples.wall());
  }
  Timing timing = samples.timing();
  referee.sign(timing);
  return timing;
}

PairTiming time_pairs(const std::function<void()>& first, const std::function<void()>& second,
                      const TimingOptions& options, const std::function<void()>& between) {
  const int first_runs = runs_per_sample(first, options);
  const int second_runs = runs_per_sample(second, options);
  const double by_run = static_cast<double>(second_runs) / first_runs;
  Samples firsts(first_runs);
  Samples seconds(second_runs);
  Referee referee(options);
  std::vector<double> ratios;
  std::vector<double> cpu_ratios;
  while (!firsts.enough(options, firsts.wall() + seconds.wall())) {
    if (between) between();
    const Sample one = take_sample(first, first_runs);
    const Sample other = take_sample(second, second_runs);
    if (referee.rejects(referee.disturbed(one) || referee.disturbed(other))) continue;
    firsts.add(one);
    seconds.add(other);
    ratios.push_back(by_run * ratio_of(one.wall, other.wall));
    cpu_ratios.push_back(by_run * ratio_of(one.cpu, other.cpu));
    firsts.tell(options, firsts.wall() + seconds.wall());
  }
  PairTiming timing{.first = firsts.timing(),
                    .second = seconds.timing(),
                    .ratio = median(ratios),
                    .cpu_ratio = median(cpu_ratios)};
  referee.sign(timing.first);
  referee.sign(timing.second);
  return timing;
}

}  // namespace strobe::harness
