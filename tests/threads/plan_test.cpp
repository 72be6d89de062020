// Plans and pools shared by threads; workspaces of any size and alignment.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

TEST(ThreadPool, CallsTheBodyAsOftenAsAsked) {
  ThreadPool pool(3);
  EXPECT_EQ(pool.size(), 3);
  const Parallel parallel = pool.parallel();
  for (const int workers : {1, 2, 3, 17}) {
    std::atomic<int> calls{0};
    parallel.run(
        parallel.context, workers, [](void* count) { ++*static_cast<std::atomic<int>*>(count); },
        &calls);
    EXPECT_EQ(calls, workers);
  }
}

TEST(ThreadPool, ServesSeveralCallersInTurn) {
  ThreadPool pool(2);
  const Parallel parallel = pool.parallel();
  std::atomic<int> calls{0};
  const auto caller = [&] {
    for (int i = 0; i < 200; ++i)
      parallel.run(
          parallel.context, 2, [](void* count) { ++*static_cast<std::atomic<int>*>(count); },
          &calls);
  };
  std::thread other(caller);
  caller();
  other.join();
  EXPECT_EQ(calls, 800);
}

TEST(Plan, RunsAtOnceFromManyThreads) {
  const Problem problem = Problem::parse("b2 h2 q200 k130 d32 causal");
  harness::TensorMap in = harness::random_tensors(problem, 3);
  const testing::Outcome expected = testing::run(problem, in, "cpu");
  const Plan plan(problem, {.threads = 2});
  ThreadPool pool(2);
  constexpr int kCallers = 4;
  std::vector<testing::Outcome> outcomes(kCallers);
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    outcomes[static_cast<std::size_t>(i)].out = harness::output_tensors(problem, in);
    callers.emplace_back([&, i] {
      std::vector<std::byte> workspace(plan.workspace_bytes());
      const ForwardTensors tensors =
          harness::forward_tensors(in, outcomes[static_cast<std::size_t>(i)].out);
      // Half of the callers share the pool, the others have no executor.
      const Parallel parallel = i % 2 == 0 ? pool.parallel() : Parallel{};
      for (int round = 0; round < 5; ++round)
        plan.run(tensors, {.parallel = parallel, .workspace = workspace});
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const testing::Outcome& outcome : outcomes)
    EXPECT_TRUE(testing::same_bits(outcome, expected));
}

TEST(Plan, DifferentPlansRunAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (const char* text : {"h1 q100 d64", "b3 h1 q70 d40 bf16 varlen", "h4/2 q300 d16 causal"})
    callers.emplace_back([text, &wrong] {
      const testing::Outcome first = testing::run(text, "cpu", 5, 2);
      for (int i = 0; i < 3; ++i)
        if (!testing::same_bits(testing::run(text, "cpu", 5, 2), first)) ++wrong;
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Plan, TakesAWorkspaceOfAnyAlignmentAndNotAByteMore) {
  const Problem problem = Problem::parse("b3 h2 q300 k200 d40/24 seqlens");
  harness::TensorMap in = harness::random_tensors(problem, 3);
  const testing::Outcome expected = testing::run(problem, in, "cpu", 2);
  const Plan plan(problem, {.threads = 2});
  constexpr std::size_t kGuard = 4096;
  constexpr std::byte kMark{0xa5};
  for (const std::size_t shift : {0u, 1u, 7u, 63u}) {
    std::vector<std::byte> memory(plan.workspace_bytes() + 2 * kGuard, kMark);
    testing::Outcome outcome{harness::output_tensors(problem, in)};
    plan.run(harness::forward_tensors(in, outcome.out),
             {.workspace = {memory.data() + kGuard + shift, plan.workspace_bytes()}});
    EXPECT_TRUE(testing::same_bits(outcome, expected)) << shift;
    for (std::size_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ(memory[i], kMark) << "before the workspace";
      if (i + shift < kGuard) {
        ASSERT_EQ(memory[memory.size() - 1 - i], kMark) << "after it";
      }
    }
  }
}

TEST(Plan, WorkspaceIsIndependentOfLengthAndSmall) {
  const auto bytes = [](const std::string& text, int threads) {
    return Plan(Problem::parse(text), {.threads = threads}).workspace_bytes();
  };
  EXPECT_EQ(bytes("h8 q4096 d64", 2), bytes("h8 q65536 d64", 2));
  EXPECT_EQ(bytes("b1000 h1 q64 d64", 1) - bytes("b1 h1 q64 d64", 1), 999u * 16u);
  constexpr std::size_t kMiB = 1u << 20;
  for (const char* type : {"f32", "f16", "bf16"})
    for (const std::string dims : {"1", "16", "40", "64", "80", "96", "128", "160", "192", "256"}) {
      const std::size_t limit = (std::stoi(dims) <= 128 ? 5 * kMiB / 4 : 5 * kMiB / 2) + 16;
      for (const std::string& backend : testing::backends())
        EXPECT_LE(Plan(Problem::parse("h8 q8192 d" + dims + " " + type), {.backend = backend})
                      .workspace_bytes(),
                  limit)
            << dims << " " << backend;
    }
}

}  // namespace
}  // namespace strobe
