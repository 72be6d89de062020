// What only callers in C can get wrong, and that other errors come through with code and message.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "c_call.hpp"
#include "tests/api/provocation.hpp"

namespace strobe::test {
namespace {

struct CProvocation {
  const char* name;  ///< of the test; CamelCase
  strobe_code (*act)();
  const char* text;  ///< the whole message, "[id]" at its end
};
std::ostream& operator<<(std::ostream& out, const CProvocation& p) { return out << p.name; }

class CMessage : public ::testing::TestWithParam<CProvocation> {};

TEST_P(CMessage, SaysWhatIsWrong) {
  const strobe_code code = GetParam().act();
  EXPECT_STREQ(strobe_last_error(), GetParam().text);
  EXPECT_EQ(code, static_cast<strobe_code>(code_of_text(GetParam().text)));
  EXPECT_EQ(strobe_last_error_code(), code);
}

strobe_code forward_with(void (*spoil)(CCall&)) {
  CCall call;
  spoil(call);
  return call.forward();
}

strobe_code plan_with(const char* case_text, void (*spoil)(strobe_plan_options&)) {
  strobe_plan_options options;
  strobe_plan_options_init(&options, sizeof options);
  spoil(options);
  CPlan made;
  return strobe_plan_create_from_case(case_text, &options, &made.plan);
}

/// Runs a causal plan of CCall's problem with other options.
strobe_code run_with(void (*spoil)(CCall&)) {
  CCall call;
  call.options.causal = 1;
  CPlan made;
  if (const strobe_code code = strobe_plan_create(&call.args, nullptr, &made.plan)) return code;
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  call.exec.workspace = workspace.data();
  call.exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  spoil(call);
  return strobe_plan_run(made.plan, &call.args, &call.exec);
}

void throw_error(void*, std::int32_t, strobe_body, void*) {
  throw std::runtime_error("lost a worker");
}
void throw_number(void*, std::int32_t, strobe_body, void*) { throw 7; }

/// Runs a call that is large enough for two workers on an executor.
strobe_code run_on(strobe_parallel executor) {
  CaseCall call("b4 h4 q200 d16");
  harness::TensorMap out = harness::output_tensors(call.problem, call.in);
  const strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
  strobe_plan_options options;
  strobe_plan_options_init(&options, sizeof options);
  options.threads = 2;
  CPlan made;
  if (const strobe_code code = strobe_plan_create(&args, &options, &made.plan)) return code;
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  strobe_exec exec;
  strobe_exec_init(&exec, sizeof exec);
  exec.parallel = executor;
  exec.workspace = workspace.data();
  exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  return strobe_plan_run(made.plan, &args, &exec);
}

const CProvocation kStructs[] = {
    {"NoArgs", [] { return strobe_forward(nullptr, nullptr); },
     "strobe_forward: args is null and must point to a strobe_forward_args [c-null]"},
    {"NoPlan",
     [] {
       CCall call;
       return strobe_plan_run(nullptr, &call.args, nullptr);
     },
     "strobe_plan_run: plan is null and must point to a strobe_plan [c-null]"},
    {"NoCase",
     [] {
       CPlan made;
       return strobe_plan_create_from_case(nullptr, nullptr, &made.plan);
     },
     "strobe_plan_create_from_case: case_text is null and must point to a string [c-null]"},
    {"NoPlaceForThePool", [] { return strobe_pool_create(1, nullptr); },
     "strobe_pool_create: pool is null and must point to a place for the result [c-null]"},
    {"NoInitialiser", [] { return forward_with([](CCall& call) { call.exec = {}; }); },
     "strobe_forward: exec.struct_size is 0; it is from 48 to 65536, and strobe_exec_init sets it "
     "[c-struct-size]"},
    {"SizeThatIsNone",
     [] { return forward_with([](CCall& c) { c.options.struct_size = 1 << 20; }); },
     "strobe_forward: options.struct_size is 1048576; it is from 144 to 65536, and "
     "strobe_options_init sets it [c-struct-size]"},
    {"SizeOfAPointer",
     [] {
       strobe_exec exec;
       return strobe_exec_init(&exec, sizeof &exec);
     },
     "strobe_exec_init: struct_size is 8; give sizeof(strobe_exec), which is 48 in this version "
     "and "
     "from 48 to 65536 in any [c-struct-size]"},
    {"ReservedOptions", [] { return forward_with([](CCall& c) { c.options.reserved = 3; }); },
     "strobe_forward: options.reserved is 3, which asks for what this version does not know; leave "
     "it at 0 or use a newer library [c-unknown]"},
    {"ReservedTensor", [] { return forward_with([](CCall& call) { call.args.q.reserved = -1; }); },
     "strobe_forward: q.reserved is -1, which asks for what this version does not know; leave it "
     "at 0 or use a newer library [c-unknown]"},
};
INSTANTIATE_TEST_SUITE_P(Structs, CMessage, ::testing::ValuesIn(kStructs),
                         [](const auto& info) { return info.param.name; });

const CProvocation kMembers[] = {
    {"FiveAxes", [] { return forward_with([](CCall& call) { call.args.q.rank = 5; }); },
     "strobe_forward: q.rank is 5; a tensor has 1 to 4 axes, and 0 is none [c-rank]"},
    {"RankForgotten",
     [] { return forward_with([](CCall& c) { c.args.bias.data = c.memory.data(); }); },
     "strobe_forward: bias.rank is 0 and bias.data is not null; give a rank of 1 to 4, or null for "
     "no tensor [c-rank]"},
    {"RankOfATensor",
     [] {
       strobe_tensor tensor;
       const std::int64_t none = 0;
       return strobe_tensor_init(&tensor, nullptr, STROBE_DTYPE_F32, -1, &none);
     },
     "strobe_tensor_init: tensor.rank is -1; a tensor has 1 to 4 axes, and 0 is none [c-rank]"},
    {"Flag", [] { return forward_with([](CCall& call) { call.options.causal = 2; }); },
     "strobe_forward: options.causal is 2; it must be 0 or 1 [c-flag]"},
    {"WindowWithoutFlag", [] { return forward_with([](CCall& call) { call.options.left = 128; }); },
     "strobe_forward: options.left is 128, options.right is 0 and options.has_window is 0; set "
     "has_window to 1, or both sides to 0 [c-flag]"},
    {"ScaleWithoutFlag", [] { return forward_with([](CCall& call) { call.options.scale = 0.5; }); },
     "strobe_forward: options.scale is 0.5 and options.has_scale is 0; set has_scale to 1, or "
     "scale "
     "to 0 [c-flag]"},
    {"Dtype", [] { return forward_with([](CCall& call) { call.args.q.dtype = 99; }); },
     "strobe_forward: q.dtype is 99, which is none of its values; they go from 0 to 11 "
     "[enum-value]"},
    {"Determinism", [] { return forward_with([](CCall& call) { call.options.determinism = 2; }); },
     "strobe_forward: options.determinism is 2, which is none of its values; they go from 0 to 1 "
     "[enum-value]"},
    {"TwoExecutors",
     [] {
       return forward_with([](CCall& call) {
         call.exec.pool = reinterpret_cast<strobe_pool*>(&call);  // refused before it is looked at
         call.exec.parallel = [](void*, std::int32_t, strobe_body, void*) {};
       });
     },
     "strobe_forward: exec has both a pool and a parallel; a call runs on one of them, so leave "
     "the "
     "other null [c-executor]"},
    {"WorkspaceWithoutSize",
     [] { return forward_with([](CCall& call) { call.exec.workspace = call.memory.data(); }); },
     "strobe_forward: exec.workspace is not null and exec.workspace_bytes is 0; give memory and "
     "its "
     "size, or null and 0 for none [c-workspace]"},
    {"SizeWithoutWorkspace",
     [] { return forward_with([](CCall& call) { call.exec.workspace_bytes = 100; }); },
     "strobe_forward: exec.workspace is null and exec.workspace_bytes is 100; give memory and its "
     "size, or null and 0 for none [c-workspace]"},
    {"OtherOptionsThanThePlans",
     [] { return run_with([](CCall& call) { call.options.causal = 0; }); },
     "strobe_plan_run: the mask of the options differs from what the plan was made for; give the "
     "plan's options, or null, which takes them [plan-option]"},
    {"OtherLongest", [] { return run_with([](CCall& call) { call.options.max_seqlen_k = 9; }); },
     "strobe_plan_run: max_seqlen_k of the options differs from what the plan was made for; give "
     "the plan's options, or null, which takes them [plan-option]"},
};
INSTANTIATE_TEST_SUITE_P(Members, CMessage, ::testing::ValuesIn(kMembers),
                         [](const auto& info) { return info.param.name; });

const CProvocation kThrough[] = {
    {"CheckOfEveryCaller", [] { return forward_with([](CCall& call) { call.args.q = {}; }); },
     "strobe::forward: q is not given; q, k, v and o are needed [tensor-missing]"},
    {"EnumerationOfCxx", [] { return forward_with([](CCall& call) { call.options.align = 2; }); },
     "strobe::forward: mask.align is 2, which is none of its values; they go from 0 to 1 "
     "[enum-value]"},
    {"StridesBeyondMemory",
     [] {
       return forward_with([](CCall& call) {
         const std::int64_t most = std::numeric_limits<std::int64_t>::max();
         const std::int64_t shape[] = {1, most, most, 4};
         strobe_tensor_init(&call.args.q, call.memory.data(), STROBE_DTYPE_F32, 4, shape);
       });
     },
     "strobe::forward: seqlen_q is 9223372036854775807 in q [1, 9223372036854775807, "
     "9223372036854775807, 4] and 2 in o [1, 2, 1, 4]; they must be equal [shape-mismatch]"},
    {"Case", [] { return plan_with("h3/2 q8 d8", [](strobe_plan_options&) {}); },
     "strobe::Problem::parse: q has 3 heads and k has 2; each key head must serve the same number "
     "of query heads, so the first number must be a multiple of the second [heads-ratio]"},
    {"Threads",
     [] { return plan_with("h1 q8 d8", [](strobe_plan_options& o) { o.threads = -1; }); },
     "strobe::Plan: threads is -1; a plan needs 1 or more [plan-threads]"},
    {"PoolThreads",
     [] {
       CPool of;
       return strobe_pool_create(-2, &of.pool);
     },
     "strobe::ThreadPool: threads is -2; give 1 or more, or 0 for one a core [pool-threads]"},
    {"RunWithoutKeys", [] { return run_with([](CCall& call) { call.args.k = {}; }); },
     "strobe::Plan::run: k is not given; q, k, v and o are needed [tensor-missing]"},
    {"ExecutorThatThrows", [] { return run_on(throw_error); },
     "strobe_plan_run: an executor or the system threw: lost a worker [c-exception]"},
    {"ExecutorThatThrowsANumber", [] { return run_on(throw_number); },
     "strobe_plan_run: an executor threw what is no std::exception [c-exception]"},
};
INSTANTIATE_TEST_SUITE_P(Through, CMessage, ::testing::ValuesIn(kThrough),
                         [](const auto& info) { return info.param.name; });

/// Intervals of 2 queries among 3 keys, in one document.
strobe_code intervals_with(void (*spoil)(strobe_key_intervals&)) {
  std::int32_t key_begin[2], key_end[2];
  const std::int32_t cu_seqlens[] = {0, 3}, prefixes[] = {1};
  strobe_key_intervals intervals;
  strobe_key_intervals_init(&intervals, sizeof intervals);
  intervals.key_begin = key_begin;
  intervals.key_end = key_end;
  intervals.seqlen_q = 2;
  intervals.seqlen_k = 3;
  intervals.num_documents = 1;
  intervals.cu_seqlens = cu_seqlens;
  intervals.prefixes = prefixes;
  spoil(intervals);
  return strobe_fill_key_intervals(&intervals);
}

const CProvocation kHelpers[] = {
    {"NoIntervals", [] { return strobe_fill_key_intervals(nullptr); },
     "strobe_fill_key_intervals: intervals is null and must point to a strobe_key_intervals "
     "[c-null]"},
    {"IntervalsNeverInitialised",
     [] { return intervals_with([](strobe_key_intervals& i) { i.struct_size = 0; }); },
     "strobe_fill_key_intervals: intervals.struct_size is 0; it is from 72 to 65536, and "
     "strobe_key_intervals_init sets it [c-struct-size]"},
    {"QueriesBelowNone",
     [] { return intervals_with([](strobe_key_intervals& i) { i.seqlen_q = -1; }); },
     "strobe_fill_key_intervals: intervals.seqlen_q is -1; it counts what lies in memory, so give "
     "0 or more [c-count]"},
    {"DocumentsBelowNone",
     [] { return intervals_with([](strobe_key_intervals& i) { i.num_documents = -2; }); },
     "strobe_fill_key_intervals: intervals.num_documents is -2; it counts what lies in memory, so "
     "give 0 or more [c-count]"},
    {"NoPlaceForBegins",
     [] { return intervals_with([](strobe_key_intervals& i) { i.key_begin = nullptr; }); },
     "strobe_fill_key_intervals: intervals.key_begin is null and must point to a number for each "
     "query [c-null]"},
    {"NoPlaceForEnds",
     [] { return intervals_with([](strobe_key_intervals& i) { i.key_end = nullptr; }); },
     "strobe_fill_key_intervals: intervals.key_end is null and must point to a number for each "
     "query [c-null]"},
    {"PrefixesWithoutDocuments",
     [] {
       return intervals_with([](strobe_key_intervals& i) {
         i.num_documents = 0;
         i.cu_seqlens = nullptr;
       });
     },
     "strobe_fill_key_intervals: intervals.cu_seqlens is null and must point to a number for each "
     "document and one more [c-null]"},
    {"LengthsBelowNone",
     [] {
       std::int32_t cu_seqlens = 0;
       return strobe_cu_seqlens_of_lengths(nullptr, -1, &cu_seqlens);
     },
     "strobe_cu_seqlens_of_lengths: count is -1; it counts what lies in memory, so give 0 or more "
     "[c-count]"},
    {"NoLengths",
     [] {
       std::int32_t cu_seqlens[3];
       return strobe_cu_seqlens_of_lengths(nullptr, 2, cu_seqlens);
     },
     "strobe_cu_seqlens_of_lengths: lengths is null and must point to a number for each document "
     "[c-null]"},
    {"NoPlaceForLengths", [] { return strobe_cu_seqlens_of_lengths(nullptr, 0, nullptr); },
     "strobe_cu_seqlens_of_lengths: cu_seqlens is null and must point to a number for each "
     "document and one more [c-null]"},
    {"RoomBelowNone",
     [] {
       std::int64_t num_documents = 0;
       return strobe_cu_seqlens_of_ids(nullptr, 0, nullptr, -1, &num_documents);
     },
     "strobe_cu_seqlens_of_ids: room is -1; it counts what lies in memory, so give 0 or more "
     "[c-count]"},
    {"NoPlaceForTheNumber",
     [] {
       std::int32_t cu_seqlens = 0;
       return strobe_cu_seqlens_of_ids(nullptr, 0, &cu_seqlens, 1, nullptr);
     },
     "strobe_cu_seqlens_of_ids: num_documents is null and must point to a place for the result "
     "[c-null]"},
    {"NoRoom",
     [] {
       std::int64_t num_documents = 0;
       return strobe_cu_seqlens_of_ids(nullptr, 0, nullptr, 0, &num_documents);
     },
     "strobe::cu_seqlens_of_ids: cu_seqlens has 0 entries for 0 documents; it takes one more than "
     "there are documents [cu-seqlens-shape]"},
    {"TreeWithoutAllowed",
     [] {
       const std::int32_t parents[] = {-1, 0};
       return strobe_fill_draft_tree(parents, 2, 5, nullptr);
     },
     "strobe_fill_draft_tree: allowed is null and must point to a byte for each token and key "
     "[c-null]"},
    {"TreeOfKeysBelowNone", [] { return strobe_fill_draft_tree(nullptr, 0, -1, nullptr); },
     "strobe_fill_draft_tree: seqlen_k is -1; it counts what lies in memory, so give 0 or more "
     "[c-count]"},
    {"TreeBeyondI64",
     [] {
       const std::int32_t parents[] = {-1, 0};
       std::uint8_t allowed = 0;
       const std::int64_t most = std::numeric_limits<std::int64_t>::max();
       return strobe_fill_draft_tree(parents, 2, most, &allowed);
     },
     "strobe_fill_draft_tree: 2 drafted tokens x 9223372036854775807 keys are more than "
     "9223372036854775807 pairs; make the sizes smaller [size-overflow]"},
};
INSTANTIATE_TEST_SUITE_P(Helpers, CMessage, ::testing::ValuesIn(kHelpers),
                         [](const auto& info) { return info.param.name; });

TEST(CMessages, QuestionsToNothingHaveAnswers) {
  EXPECT_EQ(strobe_plan_workspace_bytes(nullptr), -1);
  EXPECT_EQ(strobe_plan_kernel(nullptr), nullptr);
  EXPECT_EQ(strobe_plan_case(nullptr), nullptr);
  EXPECT_EQ(strobe_pool_size(nullptr), -1);
  EXPECT_STREQ(strobe_last_error(),
               "strobe_pool_size: pool is null and must point to a strobe_pool [c-null]");
  EXPECT_EQ(strobe_last_error_code(), STROBE_INVALID_ARGUMENT);
  strobe_plan_destroy(nullptr);
  strobe_pool_destroy(nullptr);
  strobe_string_destroy(nullptr);
}

TEST(CMessages, WhatCouldNotBeMadeIsNull) {
  strobe_plan* plan = reinterpret_cast<strobe_plan*>(1);
  EXPECT_NE(strobe_plan_create_from_case("nonsense", nullptr, &plan), STROBE_OK);
  EXPECT_EQ(plan, nullptr);
  strobe_pool* pool = reinterpret_cast<strobe_pool*>(1);
  EXPECT_NE(strobe_pool_create(-1, &pool), STROBE_OK);
  EXPECT_EQ(pool, nullptr);
  char* text = reinterpret_cast<char*>(1);
  EXPECT_NE(strobe_explain("nonsense", nullptr, &text), STROBE_OK);
  EXPECT_EQ(text, nullptr);
}

TEST(CMessages, ARefusedCallWritesNothing) {
  CCall call;
  const std::vector<float> before = call.memory;
  call.options.chunk = -1;
  EXPECT_EQ(call.forward(), STROBE_INVALID_ARGUMENT);
  EXPECT_EQ(call.memory, before);
}

}  // namespace
}  // namespace strobe::test
