// How busy each thread of a team is: its CPU time inside the work, by wall time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "harness/team.hpp"

namespace strobe::harness {

/// Stands between whoever runs a body on several threads and the Parallel that does it. Not for
/// several runs at once.
class BusyMeter {
 public:
  explicit BusyMeter(const Team& team);

  /// The team's Parallel, metered; valid as long as the meter.
  Parallel parallel();
  /// Runs the work that may use parallel(), and counts its wall time. Where it uses none, the
  /// calling thread has done it all.
  void run(const std::function<void()>& work);
  /// CPU time of each thread inside bodies by the wall time of all runs, greatest first; 0 for
  /// threads that ran none. Waiting for others is no part of a body.
  std::vector<double> shares() const;

 private:
  struct Worker {
    std::thread::id id{};
    double seconds = 0.0;
  };
  struct Call;

  void add(double seconds);

  Team team_;
  std::mutex mutex_{};
  std::vector<Worker> workers_{};
  std::size_t used_ = 0;
  double wall_ = 0.0;
  int bodies_ = 0;  ///< that ran
};

}  // namespace strobe::harness
