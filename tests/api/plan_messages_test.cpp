// Every message of plans, workspaces, backends and thread pools.
// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "call.hpp"
#include "decode_call.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class PlanMessage : public testing::TestWithParam<Provocation> {};

TEST_P(PlanMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

const char* const kCase = "b2 h4/2 q6 k5 d8/3";

void plan_with(int threads, const char* backend = "") {
  Plan(Problem::parse(kCase), {.threads = threads, .backend = backend});
}

void run_forwards_plan_on_decode_tensors() {
  const DecodeCall call;
  Plan(Problem::parse(kCase)).run(call.tensors, {});
}

void run_decodes_plan_on_forward_tensors() {
  const Call call;
  Plan(DecodeCall().check(), {.op = Op::decode}).run(call.tensors, {});
}

const Provocation kProvocations[] = {
    {"ForwardsPlanOnDecodeTensors", run_forwards_plan_on_decode_tensors,
     "strobe::Plan::run: the plan was made for forward and is run on DecodeTensors; make a plan "
     "with PlanOptions::op for what it is run on [plan-op]"},
    {"DecodesPlanOnForwardTensors", run_decodes_plan_on_forward_tensors,
     "strobe::Plan::run: the plan was made for decode and is run on ForwardTensors; make a plan "
     "with PlanOptions::op for what it is run on [plan-op]"},
    {"NoThreads", [] { plan_with(0); },
     "strobe::Plan: threads is 0; a plan needs 1 or more [plan-threads]"},
    {"NoThreadsToExplain", [] { explain(Problem::parse(kCase), {.threads = -1}); },
     "strobe::explain: threads is -1; a plan needs 1 or more [plan-threads]"},
    {"BackendOfNoKind", [] { plan_with(1, "tpu"); },
     "strobe::Plan: there is no backend \"tpu\"; have: cpu, cpu:portable, cpu:avx2, "
     "cpu:avx512, cpu:avx512bf16 [backend-unknown]"},
    {"BackendOfLater", [] { plan_with(1, "cuda:0"); },
     "strobe::Plan: this build has no backend cuda:0 yet; have: cpu, cpu:portable, "
     "cpu:avx2, cpu:avx512, cpu:avx512bf16 [backend-later]"},
    {"ProblemIsChecked", [] { Plan{Problem{.num_heads = 3, .num_heads_kv = 2}}; },
     "strobe::Plan: q has 3 heads and k has 2; each key head must serve the same number of "
     "query heads, so the first number must be a multiple of the second [heads-ratio]"},
    {"PoolOfFewerThanNoThreads", [] { ThreadPool(-2); },
     "strobe::ThreadPool: threads is -2; give 1 or more, or 0 for one a core [pool-threads]"},
};

INSTANTIATE_TEST_SUITE_P(All, PlanMessage, testing::ValuesIn(kProvocations), name_of_test);

/// For messages with numbers that differ from machine to machine.
std::string expect_around_number(void (*act)(), const std::string& before,
                                 const std::string& after) {
  try {
    act();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_TRUE(text.starts_with(before)) << text;
    EXPECT_TRUE(text.ends_with(after)) << text;
    EXPECT_EQ(error.code(), code_of_text(after));
    return text;
  }
  return "";
}

TEST(PlanMessages, WorkspaceTooSmall) {
  const Call call;
  const Plan plan(Problem::parse(kCase), {.threads = 1, .backend = "cpu:portable"});
  std::vector<std::byte> workspace(plan.workspace_bytes() - 1);
  try {
    plan.run(call.tensors, {.workspace = workspace});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), "strobe::Plan::run: the workspace has " +
                                std::to_string(workspace.size()) + " bytes and this plan needs " +
                                std::to_string(plan.workspace_bytes()) +
                                "; ask Plan::workspace_bytes() [workspace-small]");
    EXPECT_EQ(error.code(), Code::invalid_argument);
  }
}

// Sanitizers stop the program where memory ends; an emulator of another machine has its own limits.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
constexpr bool kLimitsWork = false;
#elif defined(__has_feature)
constexpr bool kLimitsWork = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kLimitsWork = true;
#endif

/// 2^44 sequences without a row: no data, and 2^48 bytes of places in the workspace.
void ask_for_more_memory_than_there_is() {
  float nothing = 0;
  const Shape shape{std::int64_t{1} << 44, 0, 1, 1};
  forward({.q = {&nothing, shape},
           .k = {&nothing, shape},
           .v = {&nothing, shape},
           .o = {&nothing, shape}});
}

TEST(PlanMessages, WorkspaceThatNoMachineHas) {
  if (!kLimitsWork) GTEST_SKIP() << "a sanitizer would stop the program";
  const std::string text =
      expect_around_number(ask_for_more_memory_than_there_is, "strobe::forward: cannot allocate ",
                           ": make the batch smaller [workspace-memory]");
  EXPECT_NE(text.find(" bytes of workspace; the largest block to be had has "), std::string::npos);
  EXPECT_NE(text.find(", and one thread needs "), std::string::npos);
}

/// In a child process with 1 GiB of addresses, where 1000 stacks have no room.
[[noreturn]] void start_a_thousand_threads() {
  const rlimit limit{1 << 30, 1 << 30};
  setrlimit(RLIMIT_AS, &limit);
  try {
    const ThreadPool pool(1000);
  } catch (const Error& error) {
    const std::string text = error.what();
    std::fprintf(stderr, "%s\n", text.c_str());
    const bool expected =
        text.starts_with("strobe::ThreadPool: the system refused thread ") &&
        text.ends_with(" of 1000; ask for fewer, or raise the limit (ulimit -u) [pool-refused]");
    std::exit(expected && error.code() == Code::out_of_memory ? 0 : 1);
  }
  std::exit(2);
}

TEST(PlanMessagesDeathTest, ThreadsThatTheSystemRefuses) {
  if (!kLimitsWork) GTEST_SKIP() << "a sanitizer or an emulator does not keep to the limit";
  EXPECT_EXIT(start_a_thousand_threads(), testing::ExitedWithCode(0), "");
}

TEST(PlanMessages, BackendThatThisMachineLacks) {
  for (const char* const backend : {"cpu:avx2", "cpu:avx512", "cpu:avx512bf16"}) {
    try {
      plan_with(1, backend);
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), std::string("strobe::Plan: this machine cannot run ") + backend +
                                  "; use backend \"cpu\" for the best it can [backend-machine]");
      EXPECT_EQ(error.code(), Code::device);
      return;
    }
  }
  GTEST_SKIP() << "this machine has every instruction set";
}

}  // namespace
}  // namespace strobe::test
