// Every allocation of the C interface's calls is made to fail: a code, a message, no leak.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "failing_memory.hpp"
#include "strobe/strobe.h"
#include "tests/api/decode_call.hpp"
#include "tests/api/merge_parts.hpp"
#include "tests/c_api/c_call.hpp"

namespace strobe {
namespace {

using testing::Fails;

/// Fails allocation 1, 2, ... of `call`, once and for good, until none is left to fail. Returns how
/// many ended in STROBE_OUT_OF_MEMORY; any other code but STROBE_OK is a failure.
int fail_each(const std::function<strobe_code()>& call) {
  EXPECT_EQ(call(), STROBE_OK) << strobe_last_error();
  int failures = 0;
  for (long nth = 1; nth < 1000; ++nth)
    for (const Fails fails : {Fails::from_then_on, Fails::once}) {
      strobe_code code = STROBE_OK;
      bool failed = false;
      const long before = testing::live_allocations();
      {
        const testing::FailingMemory memory(nth, fails);
        code = call();
        failed = testing::FailingMemory::happened();
      }
      EXPECT_EQ(testing::live_allocations(), before) << "allocation " << nth;
      if (!failed) return failures;
      if (code == STROBE_OK) continue;
      ++failures;
      EXPECT_EQ(code, STROBE_OUT_OF_MEMORY) << strobe_last_error();
      EXPECT_GT(std::string(strobe_last_error()).size(), 20U);
    }
  ADD_FAILURE() << "a call with 1000 allocations";
  return failures;
}

TEST(OutOfMemoryInC, Forward) {
  std::vector<float> in(40 * 8, 0.5F), o(in.size(), 7.0F);
  const std::array<std::int64_t, 4> shape{1, 40, 1, 8};
  strobe_forward_args args{};
  ASSERT_EQ(strobe_forward_args_init(&args, sizeof args), STROBE_OK);
  for (strobe_tensor* tensor : {&args.q, &args.k, &args.v})
    strobe_tensor_init(tensor, in.data(), STROBE_DTYPE_F32, 4, shape.data());
  strobe_tensor_init(&args.o, o.data(), STROBE_DTYPE_F32, 4, shape.data());
  EXPECT_GT(fail_each([&] {
              std::fill(o.begin(), o.end(), 7.0F);
              const strobe_code code = strobe_forward(&args, nullptr);
              const float expected = code == STROBE_OK ? 0.5F : 7.0F;
              const bool right = std::all_of(o.begin(), o.end(), [&](float x) {
                return x > expected - 1e-3F && x < expected + 1e-3F;
              });
              return right ? code : STROBE_DEVICE;
            }),
            1);
}

/// A call that appends to a cache in pages, in both languages. Fails each allocation of `act`,
/// which may have written if it says STROBE_OK, and must have then.
class DecodeInC : public ::testing::Test {
 protected:
  DecodeInC() {
    call_.append();
    call_.page();
    call_.rotate();
    std::iota(call_.memory.begin(), call_.memory.end(), -1e3F);
    args_ = test::c_args(call_.tensors);
    options_ = test::c_options(call_.options);
    args_.options = &options_;
  }
  int fail_each_that_writes(const std::function<strobe_code()>& act) {
    const std::vector<float> before = call_.memory;
    return fail_each([&] {
      std::ranges::copy(before, call_.memory.begin());
      const strobe_code code = act();
      return (call_.memory != before) == (code == STROBE_OK) ? code : STROBE_DEVICE;
    });
  }

  test::DecodeCall call_{};
  strobe_decode_args args_{};
  strobe_options options_{};
};

TEST_F(DecodeInC, Decode) {
  EXPECT_GT(fail_each_that_writes([&] { return strobe_decode(&args_, nullptr); }), 1);
}

TEST_F(DecodeInC, Plans) {
  EXPECT_GT(fail_each([&] {
              test::CPlan made;
              return strobe_plan_create_decode(&args_, nullptr, &made.plan);
            }),
            2);
  test::CPlan made;
  ASSERT_EQ(strobe_plan_create_decode(&args_, nullptr, &made.plan), STROBE_OK);
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  strobe_exec exec;
  strobe_exec_init(&exec, sizeof exec);
  exec.workspace = workspace.data();
  exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  EXPECT_EQ(fail_each_that_writes([&] { return strobe_plan_run_decode(made.plan, &args_, &exec); }),
            0);
}

TEST_F(DecodeInC, CopiesOfPages) {
  const strobe_page_copy copies[] = {{0, 1}, {2, 3}};
  EXPECT_GT(fail_each_that_writes(
                [&] { return strobe_copy_pages(&args_.k_cache, &args_.v_cache, copies, 2); }),
            0);
}

TEST(OutOfMemoryInC, Merge) {
  const std::vector<test::Part<float>> parts{{{}, 1}, {{}, 2}};
  test::Part<float> all = test::Part<float>::filled({}, 7, 7);
  std::vector<strobe_partial> c_parts;
  for (const Partial& part : test::views_of(parts))
    c_parts.push_back({test::c_tensor(part.o), test::c_tensor(part.lse)});
  strobe_merge_args args;
  strobe_merge_args_init(&args, sizeof args);
  args.parts = c_parts.data();
  args.num_parts = static_cast<std::int64_t>(c_parts.size());
  args.o = test::c_tensor(TensorView(all.o.data(), all.n.o()));
  EXPECT_GT(fail_each([&] {
              std::ranges::fill(all.o, 7.0F);
              const strobe_code code = strobe_merge(&args, nullptr);
              const bool wrote = std::ranges::count(all.o, 7.0F) == 0;
              return wrote == (code == STROBE_OK) ? code : STROBE_DEVICE;
            }),
            0);
}

TEST(OutOfMemoryInC, PlansPoolsAndTexts) {
  EXPECT_GT(fail_each([] {
              strobe_plan* plan = nullptr;
              const strobe_code code = strobe_plan_create_from_case("h1 q8 d8", nullptr, &plan);
              strobe_plan_destroy(plan);
              return code;
            }),
            2);
  EXPECT_GT(fail_each([] {
              strobe_pool* pool = nullptr;
              const strobe_code code = strobe_pool_create(2, &pool);
              strobe_pool_destroy(pool);
              return code;
            }),
            2);
  EXPECT_GT(fail_each([] {
              char* text = nullptr;
              const strobe_code code = strobe_explain("h1 q8 d8", nullptr, &text);
              strobe_string_destroy(text);
              return code;
            }),
            2);
}

TEST(OutOfMemoryInC, DocumentsOfIds) {
  const std::array<std::int32_t, 5> ids{1, 2, 3, 4, 5};
  const std::array<std::int32_t, 6> untouched{7, 7, 7, 7, 7, 7};
  EXPECT_GT(fail_each([&] {
              std::array<std::int32_t, 6> cu_seqlens = untouched;
              std::int64_t num_documents = 9;
              const strobe_code code =
                  strobe_cu_seqlens_of_ids(ids.data(), 5, cu_seqlens.data(), 6, &num_documents);
              const bool wrote = cu_seqlens != untouched || num_documents != 9;
              return wrote == (code == STROBE_OK) ? code : STROBE_DEVICE;
            }),
            1);
}

}  // namespace
}  // namespace strobe
