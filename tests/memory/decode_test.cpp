// Every allocation of decode, of its plans and of merge is made to fail: an Error, nothing written.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <vector>

#include "fail_each.hpp"
#include "tests/api/decode_call.hpp"
#include "tests/api/merge_parts.hpp"

namespace strobe::test {
namespace {

using testing::fail_each;

/// Everything that decode has: pages, new keys, lengths, padding, rotary embedding from tables.
void use_all(DecodeCall& call) {
  call.page();
  call.append();
  call.shorten();
  call.pad_left();
  call.rotate();
}

/// Enough work that decode starts threads of its own: both sequences see one key 100000 times, and
/// the cache, all of stride 0, is no larger for it.
void lengthen(DecodeCall& call) {
  constexpr std::int64_t kKeys = 100000;
  call.lengths[0] = call.lengths[1] = kKeys;
  call.tensors.cache.k_cache = {call.slice(3), DType::f32, {2, kKeys, 2, 8}, {0, 0, 8, 1}};
  call.tensors.cache.v_cache = {call.slice(4), DType::f32, {2, kKeys, 2, 3}, {0, 0, 3, 1}};
}

/// Runs `act` on the call's tensors with each allocation failing in turn: all memory of the call is
/// then as it was before, or as one undisturbed run leaves it. Returns how many ended in an Error.
int fail_each_of(DecodeCall& call, const std::function<void()>& act) {
  for (std::size_t i = 0; i < call.memory.size(); ++i)
    call.memory[i] = static_cast<float>(i % 23) / 16.0F;
  const std::vector<float> before = call.memory;
  act();
  const std::vector<float> after = call.memory;
  EXPECT_NE(after, before) << "nothing was written, so nothing is shown";
  return fail_each(
      [&] {
        act();
        if (call.memory != after) throw std::runtime_error("a wrong result");
      },
      [&] { return call.memory == before; }, [&] { call.memory = before; });
}

TEST(OutOfMemoryDecode, Decode) {
  DecodeCall call;
  use_all(call);
  EXPECT_GT(fail_each_of(call, [&] { decode(call.tensors, call.options); }), 1);
}

TEST(OutOfMemoryDecode, DecodeWithThreads) {
  if (available_threads() < 2) GTEST_SKIP() << "no threads to start";
  DecodeCall call, single;
  lengthen(call);
  const int errors = fail_each_of(call, [&] { decode(call.tensors, call.options); });
  EXPECT_GT(errors, fail_each_of(single, [&] { decode(single.tensors, single.options); }));
}

TEST(OutOfMemoryDecode, DecodeWithWorkspaceAndExecutor) {
  DecodeCall call;
  use_all(call);
  ThreadPool pool(2);
  const PlanOptions options{.threads = available_threads(), .op = Op::decode};
  std::vector<std::byte> workspace(Plan(call.check(), options).workspace_bytes());
  const auto act = [&] {
    decode(call.tensors, call.options, {.parallel = pool.parallel(), .workspace = workspace});
  };
  EXPECT_GT(fail_each_of(call, act), 0);
}

TEST(OutOfMemoryDecode, RunsOfAPlanNeedNone) {
  DecodeCall call;
  use_all(call);
  const Plan plan(call.check(), {.op = Op::decode});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  EXPECT_EQ(fail_each_of(call, [&] { plan.run(call.tensors, {.workspace = workspace}); }), 0);
}

TEST(OutOfMemoryDecode, Plans) {
  DecodeCall call;
  use_all(call);
  const Problem problem = call.check();
  EXPECT_GT(fail_each([&] { Plan(problem, {.threads = 3, .op = Op::decode, .splits = 2}); }), 0);
  EXPECT_GT(fail_each([&] { EXPECT_FALSE(explain(problem, {.op = Op::decode}).empty()); }), 3);
}

TEST(OutOfMemoryDecode, ProblemsNeedNone) {
  DecodeCall call;
  use_all(call);
  EXPECT_EQ(fail_each([&] { EXPECT_EQ(Problem::of(call.tensors, call.options).batch, 2); }), 0);
}

/// `refused` is refused whatever memory there is: with another message where the right one finds
/// none, never with std::bad_alloc.
void expect_errors(const std::function<void()>& refused) {
  int changed = 0;
  for (long nth = 1; nth < 1000; ++nth) {
    const testing::Ending ending = testing::ending_of(refused, nth, testing::Fails::once);
    EXPECT_EQ(ending.leaked, 0);
    EXPECT_EQ(ending.kind, testing::Ending::Kind::error) << "allocation " << nth;
    if (!ending.failed) break;
    changed += ending.code == Code::out_of_memory ? 1 : 0;
  }
  EXPECT_GT(changed, 0);
}

TEST(OutOfMemoryDecode, MessagesThatFindNoMemorySaySo) {
  expect_errors([] { Problem::of(DecodeTensors{}, {}); });
  expect_errors([] { decode({}); });
  expect_errors([] { merge({}); });
  expect_errors([] { copy_pages({}, {}, {}); });
  expect_errors([] { fill_rotary_tables({}, -1, {}, {}); });
  const DecodeCall call;
  const Plan plan(call.check(), {.op = Op::decode});
  expect_errors([&] { plan.run(call.tensors, {}); });
}

TEST(OutOfMemoryDecode, MergesNeedNone) {
  const std::vector<Part<float>> parts{{{}, 1}, {{}, 2}, {{}, 3}};
  const std::vector<Partial> views = views_of(parts);
  const Part<float> expected = merged(parts);
  Part<float> all = Part<float>::filled({}, 0, 0);
  ThreadPool pool(2);
  const auto merge_once = [&] {
    merge({.parts = views, .o = {all.o.data(), all.n.o()}, .lse = {all.lse.data(), all.n.lse()}},
          {.parallel = pool.parallel()});
    if (all.o != expected.o || all.lse != expected.lse) throw std::runtime_error("a wrong result");
  };
  EXPECT_EQ(fail_each(merge_once), 0);
}

}  // namespace
}  // namespace strobe::test
