// A progress bar on stderr for whatever takes longer than two seconds.
// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace strobe::tool {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(2);
constexpr auto kInterval = std::chrono::milliseconds(250);
constexpr int kBarWidth = 30;
constexpr std::size_t kTextWidth = 40;

}  // namespace

Progress::Progress(int steps) : steps_(std::max(steps, 1)) {
  if (isatty(STDERR_FILENO) == 1) watcher_ = std::thread([this] { watch(); });
}

Progress::~Progress() {
  if (!watcher_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  wake_.notify_all();
  watcher_.join();
}

void Progress::begin(const std::string& what) {
  const std::lock_guard lock(mutex_);
  what_ = what.substr(0, kTextWidth);
  hidden_ = false;
}

void Progress::part(double done) {
  const std::lock_guard lock(mutex_);
  part_ = std::clamp(done, 0.0, 1.0);
}

void Progress::step() {
  const std::lock_guard lock(mutex_);
  part_ = 0;
  done_ = std::min(done_ + 1, steps_);
}

void Progress::clear() {
  const std::lock_guard lock(mutex_);
  hidden_ = true;
  wipe();
}

void Progress::watch() {
  const auto start = Clock::now();
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kInterval, [this] { return finished_; })) {
    if (!hidden_ && Clock::now() - start >= kPatience) draw();
  }
  wipe();
}

void Progress::draw() {
  const double done = std::min((done_ + part_) / steps_, 1.0);
  const int filled = static_cast<int>(kBarWidth * done);
  fmt::print(stderr, "\r\x1b[K[{:#<{}}{:.<{}}] {:3.0f} %  {}", "", filled, "", kBarWidth - filled,
             100 * done, what_);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::wipe() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace strobe::tool
