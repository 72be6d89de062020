// Timed runs that know whether the machine was theirs: wall time, and CPU time beside it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

namespace strobe::harness {

/// Seconds of a clock that never jumps.
double wall_seconds();
/// CPU seconds of all threads of this process.
double process_cpu_seconds();
/// CPU seconds of the calling thread.
double thread_cpu_seconds();

/// The middle value; the mean of the two middle ones where their number is even; NaN of none.
double median(std::vector<double> values);

struct TimingOptions {
  /// Threads that have work: the least of threads and tasks. CPU time is held against it.
  int threads_with_work = 1;
  int runs = 5;              ///< timed samples that count, at the least
  double seconds = 0.5;      ///< and as many as it takes to fill this time, up to most_runs
  int most_runs = 1000;      ///< no more samples than this
  double warm_up = 0.0;      ///< seconds of untimed runs before the first sample; one run at least
  double sample = 0.002;     ///< a sample repeats a short run until it has lasted this long
  int most_rejections = 20;  ///< rejected samples before all are kept
  double least_cpu_over_wall = 0.97;
  /// Told after each sample what share of those that count is there, from 0 to 1.
  std::function<void(double)> progress{};
};

/// Seconds are those of one run.
struct Timing {
  double median = 0.0;
  double min = 0.0;
  double max = 0.0;
  double cpu_over_wall = 0.0;  ///< over the samples that count; disturbed below .97 x threads
  int samples = 0;
  int runs_per_sample = 1;
  int rejected = 0;
  bool undisturbed = true;  ///< false: the rejections ran out and disturbed samples were kept
};

/// Times run(). A sample whose CPU time falls short of least_cpu_over_wall x threads_with_work x
/// wall time was disturbed by other processes: it is thrown away and taken again, most_rejections
/// times in all; after that every sample counts and `undisturbed` is false. Page faults and kernel
/// work count as CPU time; a run that waits (starved threads, an uneven cut) looks disturbed too.
/// Between two samples, outside the clock, between() runs where given: the read loop, say.
Timing time_runs(const std::function<void()>& run, const TimingOptions& options = {},
                 const std::function<void()>& between = {});

/// Two jobs timed in turn, so that whatever slows the machine slows both.
struct PairTiming {
  Timing first{};
  Timing second{};
  double ratio = 0.0;      ///< wall time of first by second, the median over the pairs
  double cpu_ratio = 0.0;  ///< the same of CPU time: steadier on a machine that others use
};

/// Times first() and second() alternately, a sample of each a turn. A pair of which either sample
/// was disturbed is thrown away as in time_runs(), and `runs`, `seconds` and `most_rejections`
/// count pairs. between() runs before each pair.
PairTiming time_pairs(const std::function<void()>& first, const std::function<void()>& second,
                      const TimingOptions& options = {}, const std::function<void()>& between = {});

}  // namespace strobe::harness
