// What docs/threads.md promises of executors, workspaces, exceptions, signals and fork.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "executors.hpp"
#include "tests/support/run.hpp"

#if defined(__unix__)
#  include <sys/time.h>
#  include <sys/wait.h>
#  include <unistd.h>
#endif

// ThreadSanitizer refuses new threads in the child of a process that had some.
#if defined(__SANITIZE_THREAD__)
#  define STROBE_TSAN 1
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer)
#    define STROBE_TSAN 1
#  endif
#endif

namespace strobe {
namespace {

/// A problem with several tasks, its inputs, and what one thread makes of them.
struct Job {
  Problem problem;
  harness::TensorMap in;
  testing::Outcome expected;

  explicit Job(const std::string& text)
      : problem(Problem::parse(text)),
        in(harness::random_tensors(problem, 11)),
        expected(testing::run(problem, in, "cpu")) {}

  /// One run of `plan` into new outputs; are they the expected bits?
  bool right(const Plan& plan, const Exec& exec) {
    testing::Outcome outcome{harness::output_tensors(problem, in)};
    plan.run(harness::forward_tensors(in, outcome.out), exec);
    return testing::same_bits(outcome, expected);
  }
  /// The same through forward().
  bool right(const Exec& exec) {
    testing::Outcome outcome{harness::output_tensors(problem, in)};
    forward(harness::forward_tensors(in, outcome.out),
            {.mask = problem.mask, .score = problem.score}, exec);
    return testing::same_bits(outcome, expected);
  }
};

constexpr const char* kCase = "b3 h2 q300 k260 d40 causal";

class Executors : public ::testing::TestWithParam<testing::Executor> {};

TEST_P(Executors, GiveTheSameBits) {
  Job job(kCase);
  const Parallel parallel{.run = GetParam().run};
  for (const int threads : {1, 2, 5}) {
    const Plan plan(job.problem, {.threads = threads});
    std::vector<std::byte> workspace(plan.workspace_bytes());
    EXPECT_TRUE(job.right(plan, {.parallel = parallel, .workspace = workspace})) << threads;
  }
  EXPECT_TRUE(job.right({.parallel = parallel})) << "forward()";
}

INSTANTIATE_TEST_SUITE_P(Kinds, Executors, ::testing::ValuesIn(testing::kExecutors),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Executors, PoolsNeedNotHaveThePlansSize) {
  Job job(kCase);
  for (const int pool_threads : {1, 2, 4})
    for (const int plan_threads : {1, 3}) {
      ThreadPool pool(pool_threads);
      const Plan plan(job.problem, {.threads = plan_threads});
      std::vector<std::byte> workspace(plan.workspace_bytes());
      EXPECT_TRUE(job.right(plan, {.parallel = pool.parallel(), .workspace = workspace}))
          << pool_threads << " " << plan_threads;
    }
  EXPECT_EQ(ThreadPool().size(), available_threads());
}

/// Calls cut over a pool of the caller's, each run on the thread that makes it.
TEST(Executors, CallsMayBeMadeInsideAnExecutorsBodies) {
  Job job(kCase);
  const Plan plan(job.problem);
  struct Shared {
    Job& job;
    const Plan& plan;
    std::atomic<int> right{0};
  } shared{job, plan};
  const auto body = [](void* argument) {
    auto& s = *static_cast<Shared*>(argument);
    std::vector<std::byte> workspace(s.plan.workspace_bytes());
    if (s.job.right(s.plan, {.workspace = workspace})) ++s.right;
  };
  ThreadPool pool(2);
  const Parallel parallel = pool.parallel();
  parallel.run(parallel.context, 6, body, &shared);
  EXPECT_EQ(shared.right, 6);
}

/// An executor that gives up before it has begun: its exception, not one of ours, and no harm done.
TEST(Executors, TheirExceptionsComeOut) {
  Job job(kCase);
  const Plan plan(job.problem, {.threads = 2});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  const Parallel refusing{
      .run = [](void*, int, Parallel::Body, void*) { throw std::runtime_error("no threads"); }};
  EXPECT_THROW(job.right(plan, {.parallel = refusing, .workspace = workspace}), std::runtime_error);
  EXPECT_TRUE(job.right(plan, {.workspace = workspace}));
}

TEST(Workspace, MayHoldAnythingAndServesPlansInTurn) {
  Job first(kCase), second("h4/2 q130 k500 d64/24 window=40,3");
  const Plan plan(first.problem, {.threads = 2}), other(second.problem, {.threads = 1});
  std::vector<std::byte> memory(std::max(plan.workspace_bytes(), other.workspace_bytes()));
  std::ranges::fill(memory, std::byte{0xff});  // NaN in every type
  ThreadPool pool(2);
  const Exec exec{.parallel = pool.parallel(), .workspace = memory};
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(first.right(plan, exec));
    EXPECT_TRUE(second.right(other, exec));
  }
}

TEST(Workspace, OfForwardIsTheCallersIfGiven) {
  Job job(kCase);
  const int threads = available_threads();
  const Plan plan(job.problem, {.threads = threads});
  std::vector<std::byte> memory(plan.workspace_bytes() + 1);
  ThreadPool pool(2);
  EXPECT_TRUE(job.right({.parallel = pool.parallel(), .workspace = std::span(memory).subspan(1)}));
  const Exec small{.parallel = pool.parallel(), .workspace = std::span(memory).first(8)};
  EXPECT_THROW(job.right(small), Error);
}

TEST(Lifetime, PlansMoveAndKeepNoTensor) {
  Plan plan(Problem::parse("h1 q1 d1"));
  {
    const Problem gone = Problem::parse(kCase);
    Plan made(gone, {.threads = 2});
    plan = std::move(made);
  }
  std::vector<std::byte> workspace(plan.workspace_bytes());
  for (int round = 0; round < 2; ++round) {
    Job job(kCase);
    EXPECT_TRUE(job.right(plan, {.workspace = workspace}));
  }
}

TEST(Lifetime, InputsAreOnlyRead) {
  Job job("b3 h2 q300 k260 d40 causal varlen");
  const harness::TensorMap before = harness::random_tensors(job.problem, 11);
  for (const auto& [name, tensor] : before)
    EXPECT_TRUE(testing::same_bits(tensor, job.in.at(name)));
}

#if defined(__unix__)
std::atomic<int> alarms{0};

TEST(Signals, MayArriveDuringARun) {
  Job job("h4 q700 d64 causal");
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { ++alarms; };
  sigemptyset(&action.sa_mask);
  ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
  const itimerval each_millisecond{{0, 1000}, {0, 1000}};
  const itimerval never{};
  ThreadPool pool(2);
  const Plan plan(job.problem, {.threads = 2});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  ASSERT_EQ(setitimer(ITIMER_REAL, &each_millisecond, nullptr), 0);
  for (int round = 0; round < 1000 && (round < 20 || alarms < 10); ++round)
    EXPECT_TRUE(job.right(plan, {.parallel = pool.parallel(), .workspace = workspace}));
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  EXPECT_GE(alarms, 10);
}
#endif

#if defined(__unix__) && !defined(STROBE_TSAN)
/// What a child finds right, counted, as its exit status: _exit, so that the parent's pool, whose
/// threads the child does not have, is not destroyed there.
int count_in_child(Job& job, const Plan& plan) {
  const pid_t child = fork();
  if (child == 0) {
    int right = 0;
    try {
      std::vector<std::byte> workspace(plan.workspace_bytes());
      right += job.right({});
      right += job.right(plan, {.workspace = workspace});
      ThreadPool own(2);
      right += job.right(plan, {.parallel = own.parallel(), .workspace = workspace});
    } catch (...) {
      right = 99;
    }
    _exit(right);
  }
  int status = 0;
  EXPECT_GT(child, 0);
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Fork, ChildRunsOnAfterTheParentUsedAPool) {
  Job job("h4 q400 d64 causal");  // enough work that forward() starts threads
  ThreadPool pool(3);
  const Plan plan(job.problem, {.threads = 3});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  const Exec exec{.parallel = pool.parallel(), .workspace = workspace};
  EXPECT_TRUE(job.right(plan, exec));
  EXPECT_EQ(count_in_child(job, plan), 3);
  EXPECT_TRUE(job.right(plan, exec)) << "the parent's pool after the fork";
}
#endif

}  // namespace
}  // namespace strobe
