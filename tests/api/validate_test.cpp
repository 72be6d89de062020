// What the checks let through, and what they make of it.
// SPDX-License-Identifier: Apache-2.0
#include "api/validate.hpp"
#include "plan/heuristics.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "call.hpp"
#include "decode_call.hpp"

namespace {
std::atomic<int> allocations{0};
}

// Not inlined: gcc would see malloc's memory freed where it sees `delete` of `new`'s.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace strobe::test {
namespace {

/// The problem that a call poses, in the words of the grammar.
std::string case_of(const Call& call) { return call.check().to_string(); }

TEST(CheckForward, ReadsSizesFromShapes) {
  Call call;
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3");
  EXPECT_EQ(Problem::of(call.tensors, call.options), call.check());
}

TEST(CheckForward, KeepsOptions) {
  Call call;
  call.options = {.mask = {.causal = true, .left = 3, .sink_tokens = 2},
                  .score = {.scale = 0.5},
                  .determinism = Determinism::run_to_run};
  EXPECT_EQ(case_of(call),
            "b2 h4/2 q6 k5 d8/3 causal window=3,-1 sink_tokens=2 scale=0.5 "
            "determinism=run_to_run");
}

TEST(CheckForward, NeedsNoLse) {
  Call call;
  call.tensors.lse = {};
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3");
}

TEST(CheckForward, ReadsTypesFromTensors) {
  Call call;
  call.tensors.q.dtype = call.tensors.k.dtype = call.tensors.v.dtype = DType::bf16;
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3 bf16 o=f32");
  call.tensors.o.dtype = DType::bf16;
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3 bf16");
}

TEST(CheckForward, TellsLayoutsApartByStrides) {
  Call call;
  call.tensors.q.strides = {192, 8, 48, 1};
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3 layout=bhsd");
}

TEST(CheckForward, TakesLengthsOfPaddedSequences) {
  Call call;
  call.shorten();
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3 seqlens");
  call.tensors.seqlens_q = {};
  EXPECT_EQ(case_of(call), "b2 h4/2 q6 k5 d8/3 seqlens");
}

TEST(CheckForward, ReadsTheLongestFromCuSeqlens) {
  Call call;
  call.pack();
  EXPECT_EQ(case_of(call), "b3 h4/2 q4 k3 d8/3 varlen");
}

TEST(CheckForward, TakesGapsAroundPackedSequences) {
  Call call;
  call.pack();
  call.cu_q = {1, 2, 2, 5};
  EXPECT_EQ(case_of(call), "b3 h4/2 q3 d8/3 varlen");
}

TEST(CheckForward, LetsSeqlensShortenPackedSequences) {
  Call call;
  call.pack();
  call.lengths_q = {2, 0, 1};
  call.tensors.seqlens_q = {call.lengths_q.data(), {3}};
  EXPECT_EQ(case_of(call), "b3 h4/2 q2 k3 d8/3 varlen");
  call.options.max_seqlen_q = 2;
  EXPECT_EQ(case_of(call), "b3 h4/2 q2 k3 d8/3 varlen");
}

TEST(CheckForward, TakesLongestLengthsAsTold) {
  Call call;
  call.pack();
  call.options.max_seqlen_q = 100;
  call.options.max_seqlen_k = 3;
  EXPECT_EQ(case_of(call), "b3 h4/2 q100 k3 d8/3 varlen");
}

TEST(CheckForward, TakesEmptyBatchesAndSequences) {
  Call call;
  call.tensors.q.shape[0] = call.tensors.k.shape[0] = call.tensors.v.shape[0] = 0;
  call.tensors.o.shape[0] = call.tensors.lse.shape[0] = 0;
  call.tensors.o.data = call.tensors.lse.data = nullptr;
  EXPECT_EQ(case_of(call), "b0 h4/2 q6 k5 d8/3");

  Call keyless;
  keyless.tensors.k = {static_cast<const float*>(nullptr), {2, 0, 2, 8}};
  keyless.tensors.v = {static_cast<const float*>(nullptr), {2, 0, 2, 3}};
  EXPECT_EQ(case_of(keyless), "b2 h4/2 q6 k0 d8/3");

  Call packed;
  packed.pack();
  packed.tensors.cu_seqlens_q.shape[0] = packed.tensors.cu_seqlens_k.shape[0] = 1;
  EXPECT_EQ(case_of(packed), "b0 h4/2 q0 d8/3 varlen");
}

TEST(CheckForward, IgnoresStridesThatNoIndexUses) {
  Call call;
  call.tensors.q = {call.slice(0), {1, 6, 1, 8}, {-77, 8, -1, 1}};
  call.tensors.k = {call.slice(1), {1, 5, 1, 8}, {INT64_MAX, 8, INT64_MIN, 1}};
  call.tensors.v = {call.slice(2), {1, 5, 1, 1}, {0, 1, 0, 9}};
  call.tensors.o = {call.slice(3), {1, 6, 1, 1}, {0, 1, 0, -5}};
  call.tensors.lse = {};
  EXPECT_EQ(call.check().head_dim_v, 1);
  const ForwardParams p = api::forward_params(call.tensors, call.check());
  EXPECT_EQ(p.k_strides.batch, 0);
  EXPECT_EQ(p.k_strides.row, 8);
  EXPECT_EQ(p.k_strides.head, 0);
}

TEST(CheckForward, LetsInputsOverlapAndRepeat) {
  Call call;
  call.tensors.k.data = call.tensors.q.data;
  call.tensors.v = {call.slice(0) + 1, {2, 5, 2, 3}, {0, 0, 0, 1}};
  EXPECT_NO_THROW(call.check());
}

TEST(CheckForward, LetsOutputsLieBetweenInputs) {
  // records of q, k, v, o and lse for each row: [batch, seqlen, 4 * 8 + 4 * 8 + 4 * 3 + 4 * 3 + 4]
  Call call;
  const std::int64_t record = 32 + 32 + 12 + 12 + 4;
  float* const buffer = call.memory.data();
  call.tensors.q = {buffer, {2, 5, 4, 8}, {5 * record, record, 8, 1}};
  call.tensors.k = {buffer + 32, {2, 5, 4, 8}, {5 * record, record, 8, 1}};
  call.tensors.v = {buffer + 64, {2, 5, 4, 3}, {5 * record, record, 3, 1}};
  call.tensors.o = {buffer + 76, {2, 5, 4, 3}, {5 * record, record, 3, 1}};
  call.tensors.lse = {buffer + 88, {2, 4, 5}, {5 * record, 1, record}};
  EXPECT_EQ(case_of(call), "b2 h4 q5 d8/3");
  call.tensors.o.data = buffer + 75;
  EXPECT_THROW(call.check(), Error);
}

TEST(CheckForward, AllocatesNothing) {
  Call padded;
  padded.shorten();
  Call packed;
  packed.pack();
  const Problem planned = packed.check();
  const int before = allocations;
  static_cast<void>(padded.check());
  static_cast<void>(packed.check());
  packed.check_against(planned);
  static_cast<void>(api::forward_params(packed.tensors, planned));
  EXPECT_EQ(allocations, before);
  ::operator delete(::operator new(4));  // the counter does count
  EXPECT_GT(allocations, before);
}

TEST(CheckDecode, AllocatesNothing) {
  DecodeCall call;
  call.append();
  call.page();
  call.options.mask.align = Align::top_left;
  call.rotate();
  const Problem planned = call.check();
  std::vector<std::int64_t> room(static_cast<std::size_t>(plan::append_slots(planned)));
  EXPECT_FALSE(room.empty());
  const int before = allocations;
  static_cast<void>(call.check());
  call.check_against(planned);
  api::check_append_slots(call.tensors, planned, room, "strobe::decode");
  static_cast<void>(api::decode_params(call.tensors, planned));
  EXPECT_EQ(allocations, before);
}

TEST(CheckPlanned, TakesShorterSequences) {
  const Call call;
  EXPECT_NO_THROW(call.check_against(Problem::parse("b2 h4/2 q6 k5 d8/3")));
  EXPECT_NO_THROW(call.check_against(Problem::parse("b2 h4/2 q100 k500 d8/3 causal scale=3")));
}

TEST(CheckPlanned, TakesShorterPackedSequences) {
  Call call;
  call.pack();
  EXPECT_NO_THROW(call.check_against(Problem::parse("b3 h4/2 q4 k3 d8/3 varlen")));
  EXPECT_NO_THROW(call.check_against(Problem::parse("b3 h4/2 q64 k64 d8/3 varlen")));
}

TEST(CheckPlanned, TakesLengthsOrNone) {
  Call call;
  EXPECT_NO_THROW(call.check_against(Problem::parse("b2 h4/2 q6 k5 d8/3 seqlens")));
  call.shorten();
  EXPECT_NO_THROW(call.check_against(Problem::parse("b2 h4/2 q6 k5 d8/3")));
}

template <class View>
const float* element(const View& view, Shape index) {
  const float* found = static_cast<const float*>(view.data);
  for (int axis = 0; axis < view.rank(); ++axis) found += index[axis] * view.strides[axis];
  return found;
}

const float* at(const void* data, const Strides& strides, std::int64_t b, std::int64_t r,
                std::int64_t h) {
  return static_cast<const float*>(data) + strides.offset(b, r, h);
}

TEST(ForwardParams, PointsAtTheElementsOfPaddedTensors) {
  Call call;
  call.shorten();
  call.tensors.q.strides = {192, 8, 48, 1};
  const Problem problem = call.check();
  const ForwardParams p = api::forward_params(call.tensors, problem);
  EXPECT_EQ(at(p.q, p.q_strides, 1, 5, 3), element(call.tensors.q, {1, 5, 3, 0}));
  EXPECT_EQ(at(p.k, p.k_strides, 1, 4, 1), element(call.tensors.k, {1, 4, 1, 0}));
  EXPECT_EQ(at(p.v, p.v_strides, 1, 4, 1), element(call.tensors.v, {1, 4, 1, 0}));
  EXPECT_EQ(at(p.o, p.o_strides, 1, 5, 3), element(call.tensors.o, {1, 5, 3, 0}));
  EXPECT_EQ(at(p.lse, p.lse_strides, 1, 5, 3), element(call.tensors.lse, {1, 3, 5}));
  EXPECT_EQ(p.batch, 2);
  EXPECT_EQ(p.num_heads, 4);
  EXPECT_EQ(p.num_heads_kv, 2);
  EXPECT_EQ(p.seqlen_q, 6);
  EXPECT_EQ(p.seqlen_k, 5);
  EXPECT_EQ(p.head_dim, 8);
  EXPECT_EQ(p.head_dim_v, 3);
  EXPECT_EQ(p.seqlens_q, call.lengths_q.data());
  EXPECT_EQ(p.seqlens_k, call.lengths_k.data());
  EXPECT_EQ(p.cu_seqlens_q, nullptr);
  EXPECT_DOUBLE_EQ(p.softmax_scale, 1 / std::sqrt(8.0));
}

TEST(ForwardParams, PointsAtTheElementsOfPackedTensors) {
  Call call;
  call.pack();
  const ForwardParams p = api::forward_params(call.tensors, call.check());
  EXPECT_EQ(at(p.q, p.q_strides, 0, 5, 3), element(call.tensors.q, {5, 3, 0}));
  EXPECT_EQ(at(p.v, p.v_strides, 0, 4, 1), element(call.tensors.v, {4, 1, 0}));
  EXPECT_EQ(at(p.o, p.o_strides, 0, 5, 3), element(call.tensors.o, {5, 3, 0}));
  EXPECT_EQ(at(p.lse, p.lse_strides, 0, 5, 3), element(call.tensors.lse, {3, 5}));
  EXPECT_EQ(p.batch, 3);
  EXPECT_EQ(p.cu_seqlens_q, call.cu_q.data());
  EXPECT_EQ(p.cu_seqlens_k, call.cu_k.data());
}

TEST(ForwardParams, TakesSizesFromTensorsAndMeaningFromTheProblem) {
  Call call;
  call.tensors.lse = {};
  const Problem planned = Problem::parse("b2 h4/2 q100 k500 d8/3 causal window=7,0 scale=0.25");
  const ForwardParams p = api::forward_params(call.tensors, planned);
  EXPECT_EQ(p.seqlen_q, 6);
  EXPECT_EQ(p.seqlen_k, 5);
  EXPECT_EQ(p.mask, planned.mask);
  EXPECT_EQ(p.softmax_scale, 0.25);
  EXPECT_EQ(p.lse, nullptr);
}

TEST(ReferenceParams, TakesOutputsOfDoubles) {
  Call call;
  std::vector<double> o(144);
  std::vector<double> lse(48);
  const Problem problem = call.check();
  call.tensors.o = {o.data(), {2, 6, 4, 3}};
  call.tensors.lse = {lse.data(), {2, 4, 6}};
  const ForwardParams p = api::reference_params(call.tensors, problem);
  EXPECT_EQ(p.o_dtype, DType::f64);
  EXPECT_EQ(p.lse_dtype, DType::f64);
  EXPECT_EQ(p.dtype, DType::f32);
}

}  // namespace
}  // namespace strobe::test
