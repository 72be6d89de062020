// A plan is the decision for a problem, made once: kernel, tiles, workspace. It may be run often.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "strobe/export.h"
#include "strobe/problem.hpp"

namespace strobe {

/// Runs work on several threads: `run` must call body(argument) `workers` times, at once, one
/// after the other or anything between, and return when all calls have. There is no barrier
/// inside a body, so any pool, even a plain loop, is correct.
struct Parallel {
  using Body = void (*)(void* argument);
  void (*run)(void* context, int workers, Body body, void* argument) = nullptr;
  void* context = nullptr;
};

/// Where a plan runs.
struct Exec {
  Parallel parallel{};               ///< not given: the calling thread does all
  std::span<std::byte> workspace{};  ///< at least workspace_bytes(), of any alignment
};

/// Persistent workers; the thread that calls run() takes part. A value the caller may keep.
/// One run at a time: a second concurrent one waits its turn.
class STROBE_API ThreadPool {
 public:
  /// `threads` counts the caller: ThreadPool(4) starts three. 0: one for each core this process
  /// may use. Throws Error(out_of_memory) when the system refuses a thread.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept;
  /// For Exec::parallel. Valid as long as the pool.
  Parallel parallel() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What is computed for a problem.
enum class Op : std::int32_t { forward, decode };

/// What a plan is made for, besides its problem.
struct PlanOptions {
  int threads = 1;  ///< how many workers share the work; sets the workspace
  /// "cpu", "cpu:portable", "cpu:avx2", "cpu:avx512", "cpu:avx512bf16": a ceiling of instruction
  /// sets, of whose kernels the best that takes the problem runs; empty: the best there is
  std::string backend{};
  Op op = Op::forward;
  /// decode: parts that the keys of each sequence are cut into, so that many threads share one
  /// sequence; 0: as many as pay; 1: not split; many queries never are. Moves work, never bits.
  int splits = 0;
};

/// Made once, run often, from many threads at once. Keeps no pointer to tensors or workspace.
class STROBE_API Plan {
 public:
  /// Throws Error(unsupported) when no kernel takes the problem (the message says what would),
  /// Error(device) when this machine lacks the backend that was asked for.
  explicit Plan(const Problem& problem, const PlanOptions& options = {});
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  const Problem& problem() const noexcept;
  /// Bytes that run() needs beside inputs and outputs: for forward independent of the lengths;
  /// decode keeps (head_dim_v + 2) numbers for each row and each 1024 keys.
  std::size_t workspace_bytes() const noexcept;
  /// The kernel's name, "cpu:avx512 forward f32".
  const std::string& kernel() const noexcept;

  /// Runs on tensors of this problem; sequences may be shorter than the problem's. Checks the
  /// tensors first, then writes. Allocates nothing. Concurrent runs need workspaces of their own.
  void run(const ForwardTensors& tensors, const Exec& exec) const;
  /// The same for a plan whose op is decode. A template, so that braces alone mean ForwardTensors.
  template <class Tensors>
  requires std::is_same_v<Tensors, DecodeTensors>
  void run(const Tensors& tensors, const Exec& exec) const { run_decode(tensors, exec); }

 private:
  void run_decode(const DecodeTensors& tensors, const Exec& exec) const;

  struct State;
  std::unique_ptr<const State> state_;
};

/// What a plan would do and why, in words: kernel, tiles, tasks, workspace, FLOPs, bytes, the
/// limit, and every other kernel with its reason for refusing.
STROBE_API std::string explain(const Problem& problem, const PlanOptions& options = {});

/// The kernels of this build, one line each, with what this machine can run.
STROBE_API std::string list_kernels();

/// Cores that this process may use (its CPU affinity counts).
STROBE_API int available_threads() noexcept;

}  // namespace strobe
