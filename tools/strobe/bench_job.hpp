// A case of the benchmark with all that running it again and again takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "harness/hard_values.hpp"
#include "options.hpp"
#include "runner.hpp"
#include "semantics/forward_params.hpp"
#include "strobe/problem.hpp"

namespace strobe::tool {

using Buffers = std::vector<std::span<const std::byte>>;

class BenchJob {
 public:
  BenchJob(const Problem& problem, const Where& where) : runner_(problem, where) {}
  virtual ~BenchJob() = default;
  BenchJob(const BenchJob&) = delete;
  BenchJob& operator=(const BenchJob&) = delete;

  virtual void run() = 0;
  /// What the read loop reads beside the next run.
  virtual Buffers buffers() = 0;
  /// What the call attends to; where it appends, after the first run.
  virtual ForwardParams params() const = 0;
  /// Bytes that a run moves beside q, k, v, o and lse.
  virtual double more_bytes() const { return 0; }
  /// Threads that have a task at all: fewer than asked for in the smallest cases.
  virtual int threads_with_work() const = 0;
  /// Each thread's share of the time of all runs, greatest first; empty: not measured.
  virtual std::vector<double> busy() const { return {}; }
  /// Caches in rotation; 0: there is none.
  virtual std::int64_t caches() const { return 0; }

  const Runner& runner() const { return runner_; }

 protected:
  Runner& own_runner() { return runner_; }

 private:
  Runner runner_;
};

/// Caches in rotation hold more than this many bytes together, so that no machine's caches do.
inline constexpr std::int64_t kColdBytes = std::int64_t{512} << 20;

/// How many caches of so many bytes a cold measurement takes: two at the least, but one where it
/// has four times as many bytes, and no more than 65536, which matters to caches below 8 KiB.
std::int64_t cold_caches(std::int64_t cache_bytes);

/// Draws the tensors and plans, for the operation that `where` names. With `hot`, decode has one
/// cache only.
std::unique_ptr<BenchJob> make_bench_job(const Problem& problem, const harness::Draw& draw,
                                         const Where& where, bool hot);

}  // namespace strobe::tool
