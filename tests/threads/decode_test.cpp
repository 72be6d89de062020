// Decode plans shared by threads, at once and under any executor: the bits of one thread.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "executors.hpp"
#include "harness/random_cache.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

/// Keys in several leaves, whose parts many threads share; the second appends, turns and merges
/// parts of pages; the third goes to the tile kernel.
constexpr const char* kSteps[] = {
    "h8/2 q1 k4000 d64 bf16",
    "b3 h4/2 q2 k2500 d40 causal seqlens page=16 append=2 rotary=40 leftpad",
    "b2 h2 q150 k300 d32 causal append=3",
};

/// One decoding step, and what one thread makes of it. A step may be taken again and again: new
/// keys go to the same slots.
struct Step {
  Problem problem;
  harness::TensorMap in;
  testing::Outcome out{};

  explicit Step(const std::string& text)
      : problem(Problem::parse(text)),
        in(harness::drawn_decode_tensors(problem, 11)),
        out{harness::output_tensors(problem, in)} {}

  /// Runs into outputs that are unwritten before.
  void run(const Plan& plan, const Exec& exec) {
    out.out = harness::output_tensors(problem, in);
    plan.run(harness::decode_tensors(in, out.out), exec);
  }
  bool same_as(const Step& other) const {
    const auto same = [&](const char* name) {
      return testing::same_bits(in.at(name), other.in.at(name));
    };
    return testing::same_bits(out, other.out) && same("k_cache") && same("v_cache");
  }
};

Step taken_alone(const std::string& text) {
  Step step(text);
  const Plan plan(step.problem, {.op = Op::decode, .splits = 1});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  step.run(plan, {.workspace = workspace});
  return step;
}

class DecodeExecutors : public ::testing::TestWithParam<testing::Executor> {};

TEST_P(DecodeExecutors, GiveTheSameBits) {
  const Parallel parallel{.run = GetParam().run};
  for (const char* const text : kSteps) {
    const Step expected = taken_alone(text);
    for (const int threads : {1, 2, 5})
      for (const int splits : {0, 1, 3}) {
        Step step(text);
        const Plan plan(step.problem, {.threads = threads, .op = Op::decode, .splits = splits});
        std::vector<std::byte> workspace(plan.workspace_bytes());
        step.run(plan, {.parallel = parallel, .workspace = workspace});
        EXPECT_TRUE(step.same_as(expected)) << text << ", " << threads << " threads, " << splits;
      }
  }
}

TEST_P(DecodeExecutors, GiveTheSameBitsInDecode) {
  const Step expected = taken_alone(kSteps[0]);
  Step step(kSteps[0]);
  decode(harness::decode_tensors(step.in, step.out.out), {}, {.parallel = {.run = GetParam().run}});
  EXPECT_TRUE(step.same_as(expected));
}

INSTANTIATE_TEST_SUITE_P(Kinds, DecodeExecutors, ::testing::ValuesIn(testing::kExecutors),
                         [](const auto& info) { return std::string(info.param.name); });

/// The plan is shared, and every other caller shares a pool; caches are each caller's own, as the
/// call writes them.
void run_from_many_threads(const std::string& text) {
  const Step expected = taken_alone(text);
  const Plan plan(expected.problem, {.threads = 3, .op = Op::decode, .splits = 2});
  ThreadPool pool(3);
  std::vector<Step> steps;
  for (int i = 0; i < 4; ++i) steps.emplace_back(text);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < steps.size(); ++i)
    callers.emplace_back([&, i] {
      std::vector<std::byte> workspace(plan.workspace_bytes());
      const Parallel parallel = i % 2 == 0 ? pool.parallel() : Parallel{};
      for (int round = 0; round < 3; ++round)
        steps[i].run(plan, {.parallel = parallel, .workspace = workspace});
    });
  for (std::thread& caller : callers) caller.join();
  for (const Step& step : steps) EXPECT_TRUE(step.same_as(expected)) << text;
}

TEST(DecodePlans, RunAtOnceFromManyThreads) {
  for (const char* const text : kSteps) run_from_many_threads(text);
}

/// Servers let several calls read one cache: without new keys nothing writes it.
TEST(DecodePlans, ReadOneCacheAtOnce) {
  const Step expected = taken_alone(kSteps[0]);
  Step shared(kSteps[0]);
  const Plan plan(shared.problem, {.threads = 2, .op = Op::decode});
  std::vector<testing::Outcome> outcomes(3);
  std::vector<std::thread> callers;
  for (testing::Outcome& outcome : outcomes) {
    outcome.out = harness::output_tensors(shared.problem, shared.in);
    const DecodeTensors tensors = harness::decode_tensors(shared.in, outcome.out);
    callers.emplace_back([&plan, tensors] {
      std::vector<std::byte> workspace(plan.workspace_bytes());
      plan.run(tensors, {.workspace = workspace});
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const testing::Outcome& outcome : outcomes)
    EXPECT_TRUE(testing::same_bits(outcome, expected.out));
}

TEST(DecodePlans, DifferentOnesRunAtOnce) {
  std::vector<Step> expected, steps;
  for (const char* const text : kSteps) {
    expected.push_back(taken_alone(text));
    steps.emplace_back(text);
  }
  ThreadPool pool(2);
  std::vector<std::thread> callers;
  for (Step& step : steps)
    callers.emplace_back([&] {
      const Plan plan(step.problem, {.threads = 2, .op = Op::decode});
      std::vector<std::byte> workspace(plan.workspace_bytes());
      for (int round = 0; round < 3; ++round)
        step.run(plan, {.parallel = pool.parallel(), .workspace = workspace});
    });
  for (std::thread& caller : callers) caller.join();
  for (std::size_t i = 0; i < steps.size(); ++i)
    EXPECT_TRUE(steps[i].same_as(expected[i])) << kSteps[i];
}

/// What lies in a workspace before a run, NaN of every type, is not read, and none is beside it.
TEST(DecodePlans, TakeAWorkspaceOfAnyAlignmentAndNotAByteMore) {
  constexpr std::size_t kGuard = 4096;
  constexpr std::byte kMark{0xff};
  for (const char* const text : kSteps) {
    const Step expected = taken_alone(text);
    Step step(text);
    const Plan plan(step.problem, {.threads = 2, .op = Op::decode, .splits = 2});
    for (const std::size_t shift : {0U, 1U, 7U, 63U}) {
      std::vector<std::byte> memory(plan.workspace_bytes() + 2 * kGuard, kMark);
      step.run(plan, {.workspace = {memory.data() + kGuard + shift, plan.workspace_bytes()}});
      EXPECT_TRUE(step.same_as(expected)) << text << ", " << shift;
      const auto marked = [&](std::size_t first, std::size_t count) {
        return std::count(memory.begin() + static_cast<std::ptrdiff_t>(first),
                          memory.begin() + static_cast<std::ptrdiff_t>(first + count),
                          kMark) == static_cast<std::ptrdiff_t>(count);
      };
      EXPECT_TRUE(marked(0, kGuard + shift)) << text;
      EXPECT_TRUE(marked(kGuard + shift + plan.workspace_bytes(), kGuard - shift)) << text;
    }
  }
}

}  // namespace
}  // namespace strobe
