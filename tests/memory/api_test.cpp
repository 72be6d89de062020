// Every allocation of the library's calls is made to fail once, and all from each one on.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "fail_each.hpp"
#include "strobe/strobe.hpp"

namespace strobe {
namespace {

using testing::fail_each;

constexpr const char* kLongCase =
    "b2 h4/2 q33 k65 d24/40 bf16 causal window=128,-1 chunk=512 prefix=16 sink_tokens=4 "
    "align=top_left scale=0.125 softcap=30 alibi bias=1,h,q,k:f32 allowed=b,1,q,k intervals "
    "blocks=64/32 sink_logits dropout=0.1,42,7 varlen layout=bhsd";

TEST(FailingMemory, FailsWhatItIsToldTo) {
  const auto two = [] {
    const std::vector<int> one(10), other(20);
    EXPECT_NE(one.data(), other.data());
  };
  for (const long nth : {1, 2})
    EXPECT_EQ(testing::ending_of(two, nth, testing::Fails::once).kind,
              testing::Ending::Kind::bad_alloc);
  EXPECT_FALSE(testing::ending_of(two, 3, testing::Fails::once).failed);
}

TEST(FailingMemory, SeesALeak) {
  int* kept = nullptr;
  EXPECT_EQ(testing::ending_of([&] { kept = new int(1); }, 99, testing::Fails::once).leaked, 1);
  delete kept;
}

TEST(OutOfMemory, Cases) {
  const Problem problem = Problem::parse(kLongCase);
  EXPECT_GT(fail_each([] { Problem::parse(kLongCase); }), 3);
  EXPECT_GT(fail_each([&] { EXPECT_FALSE(problem.to_string().empty()); }), 3);
  EXPECT_GT(fail_each([&] { EXPECT_FALSE(problem.options_to_string().empty()); }), 3);
  EXPECT_GT(fail_each([&] { Problem::parse_options("causal window=128,0 softcap=3", problem); }),
            0);
}

TEST(OutOfMemory, Plans) {
  const Problem problem = Problem::parse("b2 h4/2 q333 d64 causal");
  EXPECT_GT(fail_each([&] { Plan(problem, {.threads = 3}); }), 0);
  EXPECT_GT(fail_each([&] { EXPECT_FALSE(explain(problem).empty()); }), 3);
  EXPECT_GT(fail_each([] { EXPECT_FALSE(list_kernels().empty()); }), 3);
}

TEST(OutOfMemory, MessagesSayWhatItWasFor) {
  const Problem problem = Problem::parse("h1 q8 d8");
  EXPECT_STREQ(testing::ending_of([&] { Plan{problem}; }, 1, testing::Fails::once).message.data(),
               "strobe::Plan: no memory is left for a plan (a few KiB); free some, or ask for "
               "less, then try again [memory]");
}

TEST(OutOfMemory, ThreadPools) {
  EXPECT_GT(fail_each([] { ThreadPool(3); }), 2);
}

/// An error whose message finds no memory becomes one that says so. (What the C++ library allocates
/// to throw it comes from its reserve.)
TEST(OutOfMemory, Messages) {
  int changed = 0;
  for (long nth = 1; nth < 100; ++nth) {
    const testing::Ending ending =
        testing::ending_of([] { Problem::of(ForwardTensors{}, {}); }, nth, testing::Fails::once);
    EXPECT_EQ(ending.leaked, 0);
    EXPECT_EQ(ending.kind, testing::Ending::Kind::error);
    if (!ending.failed) break;
    changed += ending.code == Code::out_of_memory ? 1 : 0;
  }
  EXPECT_GT(changed, 1);
}

/// One head of `rows` rows that attend to themselves, with outputs that are 7 until written.
struct Call {
  explicit Call(std::int64_t rows) : in(static_cast<std::size_t>(rows) * 64, 0.5F) {
    const Shape shape{1, rows, 1, 64};
    o.resize(in.size());
    tensors = {.q = {in.data(), shape},
               .k = {in.data(), shape},
               .v = {in.data(), shape},
               .o = {o.data(), shape}};
    clear();
  }
  void clear() { std::fill(o.begin(), o.end(), 7.0F); }
  bool untouched() const {
    return std::all_of(o.begin(), o.end(), [](float x) { return x == 7.0F; });
  }
  bool right() const {
    return std::all_of(o.begin(), o.end(), [](float x) { return x > 0.499F && x < 0.501F; });
  }

  std::vector<float> in;
  std::vector<float> o{};
  ForwardTensors tensors{};
};

TEST(OutOfMemory, Forward) {
  Call call(40);
  const auto forward_once = [&] {
    call.clear();
    forward(call.tensors);
    if (!call.right()) throw std::runtime_error("a wrong result");
  };
  EXPECT_GT(fail_each(forward_once, [&] { return call.untouched(); }), 1);
}

/// Enough work that forward() starts threads of its own.
TEST(OutOfMemory, ForwardWithThreads) {
  Call call(460);
  const auto forward_once = [&] {
    call.clear();
    forward(call.tensors);
    if (!call.right()) throw std::runtime_error("a wrong result");
  };
  EXPECT_GT(fail_each(forward_once, [&] { return call.untouched(); }), 1);
}

TEST(OutOfMemory, ForwardWithWorkspaceAndExecutor) {
  Call call(40);
  ThreadPool pool(2);
  std::vector<std::byte> workspace(
      Plan(Problem::of(call.tensors, {}), {.threads = available_threads()}).workspace_bytes());
  const auto forward_once = [&] {
    call.clear();
    forward(call.tensors, {}, {.parallel = pool.parallel(), .workspace = workspace});
    if (!call.right()) throw std::runtime_error("a wrong result");
  };
  EXPECT_GT(fail_each(forward_once, [&] { return call.untouched(); }), 0);
}

TEST(OutOfMemory, TheWorkspaceNamesTheThreadsThatFit) {
  Call call(40);
  const Parallel loop{.run = [](void*, int workers, Parallel::Body body, void* argument) {
    for (int i = 0; i < workers; ++i) body(argument);
  }};
  if (available_threads() < 2) GTEST_SKIP() << "one thread, and none fewer to name";
  for (long nth = 1; nth < 50; ++nth) {
    const testing::Ending ending = testing::ending_of(
        [&] { forward(call.tensors, {}, {.parallel = loop}); }, nth, testing::Fails::once);
    const std::string text = ending.message.data();
    if (text.find(" bytes of workspace for ") == std::string::npos) continue;
    EXPECT_TRUE(text.starts_with("strobe::forward: cannot allocate ")) << text;
    EXPECT_NE(text.find(" threads; the largest block to be had, "), std::string::npos) << text;
    EXPECT_NE(text.find(" bytes, is enough for "), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with(": make a Plan for as many [workspace-memory]")) << text;
    return;
  }
  FAIL() << "no allocation was that of the workspace";
}

}  // namespace
}  // namespace strobe
