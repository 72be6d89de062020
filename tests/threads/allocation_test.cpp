// Plan::run allocates nothing, counted in malloc itself.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <vector>

#include "harness/random_cache.hpp"
#include "tests/support/run.hpp"

// Sanitizers bring their own malloc, which cannot be counted this way; and the build for aarch64 is
// linked statically, where malloc cannot be replaced.
#if defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define STROBE_SANITIZED 1
#  endif
#endif
#if defined(__GLIBC__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(STROBE_SANITIZED)
#  define STROBE_COUNTS_MALLOC 1
#endif

#if defined(STROBE_COUNTS_MALLOC)
namespace {
std::atomic<long> allocations{0};
}
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  ++allocations;
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
}

namespace strobe {
namespace {

class Allocation : public ::testing::TestWithParam<const char*> {};

TEST_P(Allocation, NoneInsideRun) {
  const Problem problem = Problem::parse(GetParam());
  harness::TensorMap in = harness::random_tensors(problem, 0);
  harness::TensorMap out = harness::output_tensors(problem, in);
  const ForwardTensors tensors = harness::forward_tensors(in, out);
  ThreadPool pool(2);
  const Plan plan(problem, {.threads = 2});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  const Exec exec{.parallel = pool.parallel(), .workspace = workspace};
  plan.run(tensors, exec);
  const long before = allocations;
  for (int i = 0; i < 3; ++i) plan.run(tensors, exec);
  EXPECT_EQ(allocations - before, 0);
}

class DecodeAllocation : public ::testing::TestWithParam<const char*> {};

TEST_P(DecodeAllocation, NoneInsideRun) {
  const Problem problem = Problem::parse(GetParam());
  harness::TensorMap in = harness::drawn_decode_tensors(problem, 0);
  harness::TensorMap out = harness::output_tensors(problem, in);
  const DecodeTensors tensors = harness::decode_tensors(in, out);
  ThreadPool pool(2);
  const Plan plan(problem, {.threads = 2, .op = Op::decode, .splits = 3});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  const Exec exec{.parallel = pool.parallel(), .workspace = workspace};
  plan.run(tensors, exec);
  const long before = allocations;
  for (int i = 0; i < 3; ++i) plan.run(tensors, exec);
  EXPECT_EQ(allocations - before, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DecodeAllocation,
    ::testing::Values("b2 h8/2 q1 k4000 d64 bf16", "h4 q300 k900 d40 causal",
                      "b5 h4/2 q3 k700 d64 causal seqlens page=16 append=2 rotary=64 leftpad",
                      "b3 h2 q1 k100 d8 batch_idx append=1 rotary=8", "h1 q0 k9 d8 page=4"),
    [](const auto& info) { return testing::test_name(info.param); });

TEST(Allocation, TheCounterCounts) {
  const long before = allocations;
  std::vector<int> something(1000);
  EXPECT_GT(allocations - before, 0) << something.size();
}

INSTANTIATE_TEST_SUITE_P(Cases, Allocation,
                         ::testing::Values("b2 h4/2 q600 d64 causal", "b5 h1 q300 d64 bf16 varlen",
                                           "b5 h1 q100 k700 d80 seqlens", "h1 q0 d8"),
                         [](const auto& info) { return testing::test_name(info.param); });

}  // namespace
}  // namespace strobe
#endif
