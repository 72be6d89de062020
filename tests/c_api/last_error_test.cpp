// The last error: one for each thread, of any length, and there even when memory is not.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "api/c_error.hpp"
#include "c_call.hpp"

namespace {
/// Of this thread: how many allocations still succeed. Negative: all.
thread_local long allocations_left = -1;

void* allocate(std::size_t bytes) noexcept {
  if (allocations_left == 0) return nullptr;
  if (allocations_left > 0) --allocations_left;
  return std::malloc(bytes > 0 ? bytes : 1);
}
}  // namespace

// All forms: a sanitizer has its own for what is left out. Not inlined: gcc would see malloc meet
// delete.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (void* const memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace strobe::test {
namespace {

TEST(CLastError, IsOfItsThread) {
  EXPECT_EQ(strobe_forward(nullptr, nullptr), STROBE_INVALID_ARGUMENT);
  const std::string mine = strobe_last_error();
  std::thread([] {
    EXPECT_STREQ(strobe_last_error(), "");
    EXPECT_EQ(strobe_last_error_code(), STROBE_OK);
    EXPECT_EQ(strobe_pool_create(-5, nullptr), STROBE_INVALID_ARGUMENT);
    EXPECT_STRNE(strobe_last_error(), "");
  }).join();
  EXPECT_EQ(strobe_last_error(), mine);
}

TEST(CLastError, IsLeftBySuccess) {
  CCall call;
  call.options.causal = 5;
  EXPECT_EQ(call.forward(), STROBE_INVALID_ARGUMENT);
  const std::string before = strobe_last_error();
  call.options.causal = 1;
  EXPECT_EQ(call.forward(), STROBE_OK);
  EXPECT_EQ(strobe_last_error(), before);
}

TEST(CLastError, KeepsTheIdOfALongMessage) {
  const std::string text(3000, 'x');
  api::keep_error(STROBE_DEVICE, text + " [some-id]");
  const std::string kept = strobe_last_error();
  EXPECT_EQ(kept.size(), api::kLastErrorBytes - 1);
  EXPECT_TRUE(kept.starts_with("xxxx"));
  EXPECT_TRUE(kept.ends_with("x ... [some-id]")) << kept;
  api::keep_error(STROBE_DEVICE, text);
  EXPECT_EQ(strobe_last_error(), text.substr(0, api::kLastErrorBytes - 1 - 5) + " ... ");
  CPlan made;
  EXPECT_NE(strobe_plan_create_from_case(text.c_str(), nullptr, &made.plan), STROBE_OK);
  EXPECT_TRUE(std::string(strobe_last_error()).ends_with("[case-word]")) << strobe_last_error();
}

/// Lets allocation after allocation fail until a call needs no more: each failure is a code and a
/// message, and the call works once there is memory.
void expect_survives(strobe_code (*act)(), const char* message) {
  bool failed = false;
  for (long left = 0; left < 1000; ++left) {
    allocations_left = left;
    const strobe_code code = act();
    allocations_left = -1;
    if (code == STROBE_OK) {
      EXPECT_TRUE(failed) << "nothing was allocated";
      return;
    }
    EXPECT_EQ(code, STROBE_OUT_OF_MEMORY) << strobe_last_error();
    failed = failed || std::string(strobe_last_error()) == message;
  }
  ADD_FAILURE() << "1000 allocations did not suffice";
}

TEST(CLastError, SurvivesOutOfMemoryInForward) {
  static const CCall kCall;  // has its memory before there is none
  expect_survives([] { return kCall.forward(); },
                  "strobe_forward: an allocation failed; free memory and call again [c-memory]");
}

TEST(CLastError, SurvivesOutOfMemoryInPlans) {
  expect_survives(
      [] {
        CPlan made;
        return strobe_plan_create_from_case("b2 h4/2 q333 d64 bf16 causal window=100,0", nullptr,
                                            &made.plan);
      },
      "strobe_plan_create_from_case: an allocation failed; free memory and call again [c-memory]");
}

TEST(CLastError, SurvivesOutOfMemoryInStrings) {
  expect_survives(
      [] {
        char* text = nullptr;
        const strobe_code code = strobe_explain("h2 q100 d64 causal", nullptr, &text);
        strobe_string_destroy(text);
        return code;
      },
      "strobe_explain: an allocation failed; free memory and call again [c-memory]");
}

TEST(CLastError, SurvivesOutOfMemoryInHelpers) {
  expect_survives(
      [] {
        const std::int32_t ids[] = {1, 2, 3, 4, 5};
        std::int32_t cu_seqlens[6];
        std::int64_t num_documents = 0;
        return strobe_cu_seqlens_of_ids(ids, 5, cu_seqlens, 6, &num_documents);
      },
      "strobe_cu_seqlens_of_ids: an allocation failed; free memory and call again [c-memory]");
}

/// A message that there is no memory for: its place is taken by one that needs none.
TEST(CLastError, SurvivesOutOfMemoryInAnError) {
  allocations_left = 0;
  const strobe_code code = strobe_forward(nullptr, nullptr);
  allocations_left = -1;
  EXPECT_EQ(code, STROBE_OUT_OF_MEMORY);
  EXPECT_STREQ(strobe_last_error(),
               "strobe_forward: an allocation failed; free memory and call again [c-memory]");
}

}  // namespace
}  // namespace strobe::test
