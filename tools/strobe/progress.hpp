// A progress bar on stderr for whatever takes longer than two seconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace strobe::tool {

/// Draws only when stderr is a terminal, and only once two seconds have passed; the destructor
/// wipes the line. A thread of its own keeps the clock running while a step takes long.
class Progress {
 public:
  /// `steps` of about equal length, at least 1.
  explicit Progress(int steps);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Says what the current step does.
  void begin(const std::string& what);
  /// Says how much of the current step is done, from 0 to 1.
  void part(double done);
  /// Ends the current step.
  void step();
  /// Wipes the bar, so that lines can go to the terminal; begin() brings it back.
  void clear();

 private:
  void watch();
  void draw();
  void wipe();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string what_;
  int steps_;
  int done_ = 0;
  double part_ = 0;
  bool drawn_ = false;
  bool hidden_ = true;
  bool finished_ = false;
  std::thread watcher_;
};

}  // namespace strobe::tool
