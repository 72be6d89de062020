// Structs grow: older and newer callers, and that no released member moves.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "api/c_structs.hpp"
#include "c_call.hpp"

namespace strobe::test {
namespace {

/// A struct of some argument as three versions of the library have it.
struct First {
  std::int64_t struct_size;
  std::int64_t a;
};
struct Second {
  std::int64_t struct_size;
  std::int64_t a;
  std::int64_t b;
};
struct Third {
  std::int64_t struct_size;
  std::int64_t a;
  std::int64_t b;
  double c;
};
/// What the second version of the library says.
constexpr api::StructKind kKind{"args", "strobe_some_args", sizeof(First), sizeof(Second)};

Second read(const void* given) {
  Second known{-1, -1, -1};
  api::read_struct(given, &known, kKind, "strobe_some");
  return known;
}

TEST(CStructs, TakeTheSameVersion) {
  const Second given{sizeof given, 3, 4};
  EXPECT_EQ(read(&given).a, 3);
  EXPECT_EQ(read(&given).b, 4);
}

TEST(CStructs, WhatAnOlderCallerLacksIsOff) {
  const First given{sizeof given, 3};
  EXPECT_EQ(read(&given).a, 3);
  EXPECT_EQ(read(&given).b, 0);
}

TEST(CStructs, TakeANewerCallerThatAsksForNothingNew) {
  const Third given{sizeof given, 3, 4, 0};
  EXPECT_EQ(read(&given).a, 3);
  EXPECT_EQ(read(&given).b, 4);
}

TEST(CStructs, RefuseANewerCallerThatAsksForSomethingNew) {
  const Third given{sizeof given, 3, 4, 0.5};
  try {
    read(&given);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
    EXPECT_STREQ(error.what(),
                 "strobe_some: byte 30 of args is not 0 and this version knows 24 of them; leave "
                 "what is newer at 0 or use a newer library [c-unknown]");
  }
}

TEST(CStructs, AreZeroInAllTheirBytesWhenInitialised) {
  Third given{-1, -1, -1, -1};
  api::init_struct(&given, sizeof given, kKind, "strobe_some_args_init");
  const Third expected{sizeof given, 0, 0, 0};
  EXPECT_EQ(std::memcmp(&given, &expected, sizeof given), 0);
}

/// The same through a real function, whose tail is in memory of the test.
TEST(CStructs, AreReadToTheirEndAndNoFurther) {
  struct Newer {
    strobe_exec exec;
    std::int64_t beyond;
    std::int64_t outside;
  } newer;
  CCall call;
  constexpr std::int64_t kSize = offsetof(Newer, outside);
  newer.outside = 5;
  ASSERT_EQ(strobe_exec_init(&newer.exec, kSize), STROBE_OK);
  EXPECT_EQ(newer.outside, 5);
  EXPECT_EQ(strobe_forward(&call.args, &newer.exec), STROBE_OK) << strobe_last_error();
  newer.beyond = 1;
  EXPECT_EQ(strobe_forward(&call.args, &newer.exec), STROBE_UNSUPPORTED);
}

TEST(CStructs, MeanPlainAttentionWhenZero) {
  CCall call;
  strobe_options zero{};
  zero.struct_size = sizeof zero;
  call.args.options = &zero;
  CPlan made;
  ASSERT_EQ(strobe_plan_create(&call.args, nullptr, &made.plan), STROBE_OK) << strobe_last_error();
  EXPECT_STREQ(strobe_plan_case(made.plan), "h1 q2 k3 d4");
  call.args.options = nullptr;
  CPlan other;
  ASSERT_EQ(strobe_plan_create(&call.args, nullptr, &other.plan), STROBE_OK);
  EXPECT_STREQ(strobe_plan_case(other.plan), "h1 q2 k3 d4");
}

TEST(CStructs, TensorsAreRowMajorUnlessTold) {
  strobe_tensor tensor;
  const std::int64_t shape[] = {2, 3, 4};
  float data = 0;
  ASSERT_EQ(strobe_tensor_init(&tensor, &data, STROBE_DTYPE_F32, 3, shape), STROBE_OK);
  EXPECT_EQ(tensor.data, &data);
  EXPECT_EQ(tensor.rank, 3);
  const std::int64_t expected_shape[] = {2, 3, 4, 0}, expected_strides[] = {12, 4, 1, 0};
  EXPECT_EQ(std::memcmp(tensor.shape, expected_shape, sizeof expected_shape), 0);
  EXPECT_EQ(std::memcmp(tensor.strides, expected_strides, sizeof expected_strides), 0);
  EXPECT_EQ(tensor.reserved, 0);
}

// What version 0.1 put where, on machines with 64-bit pointers. A line here may be added, never
// changed: programs were compiled against it.
#define STROBE_AT(type, member, offset) \
  static_assert(offsetof(type, member) == (offset), "a released member has moved")
static_assert(sizeof(void*) != 8 || sizeof(strobe_tensor) == 88, "strobe_tensor does not grow");
STROBE_AT(strobe_tensor, dtype, 8);
STROBE_AT(strobe_tensor, rank, 12);
STROBE_AT(strobe_tensor, shape, 16);
STROBE_AT(strobe_tensor, strides, 48);
STROBE_AT(strobe_tensor, reserved, 80);
STROBE_AT(strobe_options, causal, 8);
STROBE_AT(strobe_options, align, 12);
STROBE_AT(strobe_options, has_window, 16);
STROBE_AT(strobe_options, has_scale, 20);
STROBE_AT(strobe_options, left, 24);
STROBE_AT(strobe_options, right, 32);
STROBE_AT(strobe_options, chunk, 40);
STROBE_AT(strobe_options, prefix, 48);
STROBE_AT(strobe_options, sink_tokens, 56);
STROBE_AT(strobe_options, block_q, 64);
STROBE_AT(strobe_options, block_k, 72);
STROBE_AT(strobe_options, scale, 80);
STROBE_AT(strobe_options, softcap, 88);
STROBE_AT(strobe_options, dropout_probability, 96);
STROBE_AT(strobe_options, dropout_seed, 104);
STROBE_AT(strobe_options, dropout_offset, 112);
STROBE_AT(strobe_options, max_seqlen_q, 120);
STROBE_AT(strobe_options, max_seqlen_k, 128);
STROBE_AT(strobe_options, determinism, 136);
STROBE_AT(strobe_options, reserved, 140);
STROBE_AT(strobe_options, rotary_dim, 144);
STROBE_AT(strobe_options, rotary_base, 152);
STROBE_AT(strobe_options, rotary_interleaved, 160);
STROBE_AT(strobe_options, reserved_rotary, 164);
STROBE_AT(strobe_forward_args, options, 8);
STROBE_AT(strobe_forward_args, q, 16);
STROBE_AT(strobe_forward_args, k, 16 + 88);
STROBE_AT(strobe_forward_args, v, 16 + 2 * 88);
STROBE_AT(strobe_forward_args, o, 16 + 3 * 88);
STROBE_AT(strobe_forward_args, lse, 16 + 4 * 88);
STROBE_AT(strobe_forward_args, cu_seqlens_q, 16 + 5 * 88);
STROBE_AT(strobe_forward_args, cu_seqlens_k, 16 + 6 * 88);
STROBE_AT(strobe_forward_args, seqlens_q, 16 + 7 * 88);
STROBE_AT(strobe_forward_args, seqlens_k, 16 + 8 * 88);
STROBE_AT(strobe_forward_args, key_begin, 16 + 9 * 88);
STROBE_AT(strobe_forward_args, key_end, 16 + 10 * 88);
STROBE_AT(strobe_forward_args, allowed, 16 + 11 * 88);
STROBE_AT(strobe_forward_args, blocks, 16 + 12 * 88);
STROBE_AT(strobe_forward_args, bias, 16 + 13 * 88);
STROBE_AT(strobe_forward_args, alibi_slopes, 16 + 14 * 88);
STROBE_AT(strobe_forward_args, sink_logits, 16 + 15 * 88);
STROBE_AT(strobe_forward_args, dropout_state, 16 + 16 * 88);
STROBE_AT(strobe_decode_args, options, 8);
STROBE_AT(strobe_decode_args, q, 16);
STROBE_AT(strobe_decode_args, k, 16 + 88);
STROBE_AT(strobe_decode_args, v, 16 + 2 * 88);
STROBE_AT(strobe_decode_args, o, 16 + 3 * 88);
STROBE_AT(strobe_decode_args, lse, 16 + 4 * 88);
STROBE_AT(strobe_decode_args, k_cache, 16 + 5 * 88);
STROBE_AT(strobe_decode_args, v_cache, 16 + 6 * 88);
STROBE_AT(strobe_decode_args, page_table, 16 + 7 * 88);
STROBE_AT(strobe_decode_args, cache_seqlens, 16 + 8 * 88);
STROBE_AT(strobe_decode_args, cache_batch_idx, 16 + 9 * 88);
STROBE_AT(strobe_decode_args, leftpad_k, 16 + 10 * 88);
STROBE_AT(strobe_decode_args, seqlens_q, 16 + 11 * 88);
STROBE_AT(strobe_decode_args, seqlens_new, 16 + 12 * 88);
STROBE_AT(strobe_decode_args, rotary_cos, 16 + 13 * 88);
STROBE_AT(strobe_decode_args, rotary_sin, 16 + 14 * 88);
STROBE_AT(strobe_decode_args, key_begin, 16 + 15 * 88);
STROBE_AT(strobe_decode_args, key_end, 16 + 16 * 88);
STROBE_AT(strobe_decode_args, allowed, 16 + 17 * 88);
STROBE_AT(strobe_decode_args, blocks, 16 + 18 * 88);
STROBE_AT(strobe_decode_args, bias, 16 + 19 * 88);
STROBE_AT(strobe_decode_args, alibi_slopes, 16 + 20 * 88);
STROBE_AT(strobe_decode_args, sink_logits, 16 + 21 * 88);
STROBE_AT(strobe_decode_args, k_scale, 16 + 22 * 88);
STROBE_AT(strobe_decode_args, v_scale, 16 + 23 * 88);
STROBE_AT(strobe_exec, pool, 8);
STROBE_AT(strobe_exec, parallel, 16);
STROBE_AT(strobe_exec, context, 24);
STROBE_AT(strobe_exec, workspace, 32);
STROBE_AT(strobe_exec, workspace_bytes, 40);
STROBE_AT(strobe_plan_options, backend, 8);
STROBE_AT(strobe_plan_options, threads, 16);
STROBE_AT(strobe_plan_options, reserved, 20);
STROBE_AT(strobe_plan_options, op, 24);
STROBE_AT(strobe_plan_options, splits, 28);
STROBE_AT(strobe_partial, lse, 88);
STROBE_AT(strobe_merge_args, parts, 8);
STROBE_AT(strobe_merge_args, num_parts, 16);
STROBE_AT(strobe_merge_args, o, 24);
STROBE_AT(strobe_merge_args, lse, 24 + 88);
STROBE_AT(strobe_merge_args, sink_logits, 24 + 2 * 88);
STROBE_AT(strobe_page_copy, to, 4);
STROBE_AT(strobe_rotary_tables, cos, 8);
STROBE_AT(strobe_rotary_tables, sin, 16);
STROBE_AT(strobe_rotary_tables, positions, 24);
STROBE_AT(strobe_rotary_tables, dim, 32);
STROBE_AT(strobe_rotary_tables, base, 40);
STROBE_AT(strobe_rotary_tables, factor, 48);
STROBE_AT(strobe_rotary_tables, low_freq_factor, 56);
STROBE_AT(strobe_rotary_tables, high_freq_factor, 64);
STROBE_AT(strobe_rotary_tables, original_positions, 72);
STROBE_AT(strobe_rotary_tables, scaling, 80);
STROBE_AT(strobe_rotary_tables, reserved, 84);
STROBE_AT(strobe_key_intervals, options, 8);
STROBE_AT(strobe_key_intervals, key_begin, 16);
STROBE_AT(strobe_key_intervals, key_end, 24);
STROBE_AT(strobe_key_intervals, seqlen_q, 32);
STROBE_AT(strobe_key_intervals, seqlen_k, 40);
STROBE_AT(strobe_key_intervals, num_documents, 48);
STROBE_AT(strobe_key_intervals, cu_seqlens, 56);
STROBE_AT(strobe_key_intervals, prefixes, 64);

}  // namespace
}  // namespace strobe::test
