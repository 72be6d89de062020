// copy_pages: what is copied, in which order, through which strides; and every message.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/kv_cache.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "provocation.hpp"

namespace strobe::test {
namespace {

constexpr std::int64_t kPages = 4, kSlots = 3, kHeads = 2, kDim = 5, kDimV = 2;
constexpr Shape kShapeK{kPages, kSlots, kHeads, kDim}, kShapeV{kPages, kSlots, kHeads, kDimV};

/// Every element of both caches holds its own number, gaps too.
struct Caches {
  std::vector<float> k = numbers(1000), v = numbers(1000);
  TensorView k_cache{k.data(), kShapeK}, v_cache{v.data(), kShapeV};

  Caches() = default;
  Caches(const Caches&) = delete;
  Caches& operator=(const Caches&) = delete;

  static std::vector<float> numbers(std::size_t count) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), 0.0f);
    return values;
  }
  void copy(const std::vector<PageCopy>& copies) const { copy_pages(k_cache, v_cache, copies); }
};

/// What the page held before, at the place where `view` has its slots, heads and dims.
void expect_page(const TensorView& view, std::int64_t page, std::int64_t held_before_by) {
  const auto* const data = static_cast<const float*>(view.data);
  const Shape& n = view.strides;
  for (std::int64_t slot = 0; slot < kSlots; ++slot)
    for (std::int64_t head = 0; head < kHeads; ++head)
      for (std::int64_t d = 0; d < view.shape[3]; ++d) {
        const std::int64_t inside = slot * n[1] + head * n[2] + d;
        ASSERT_EQ(data[page * n[0] + inside], static_cast<float>(held_before_by * n[0] + inside))
            << page << " " << slot << " " << head << " " << d;
      }
}

TEST(CopyPages, CopiesKeysAndValues) {
  Caches caches;
  caches.copy({{.from = 1, .to = 3}});
  for (const TensorView& view : {caches.k_cache, caches.v_cache}) {
    for (const std::int64_t page : {0, 1, 2}) expect_page(view, page, page);
    expect_page(view, 3, 1);
  }
}

TEST(CopyPages, InTheOrderGiven) {
  Caches forth, back;
  forth.copy({{.from = 0, .to = 1}, {.from = 1, .to = 2}});
  expect_page(forth.k_cache, 2, 0);
  back.copy({{.from = 1, .to = 2}, {.from = 0, .to = 1}});
  expect_page(back.k_cache, 2, 1);
  expect_page(back.k_cache, 1, 0);
}

TEST(CopyPages, APageToItselfIsNothing) {
  Caches caches;
  caches.copy({{.from = 2, .to = 2}});
  EXPECT_EQ(caches.k, Caches::numbers(1000));
}

/// Heads before slots, and gaps after pages and heads: what lies in the gaps stays.
TEST(CopyPages, FollowsStridesAndLeavesGaps) {
  Caches caches;
  caches.k_cache = {caches.k.data(), kShapeK, Shape{60, 6, 24, 1}};
  caches.v_cache = {caches.v.data(), kShapeV, Shape{30, 3, 12, 1}};
  caches.copy({{.from = 3, .to = 0}});
  expect_page(caches.k_cache, 0, 3);
  expect_page(caches.v_cache, 0, 3);
  std::size_t changed = 0;
  for (std::size_t i = 0; i < 1000; ++i) changed += caches.k[i] != static_cast<float>(i) ? 1 : 0;
  EXPECT_EQ(changed, kSlots * kHeads * kDim);
}

TEST(CopyPages, TakesEveryTypeOfACache) {
  std::vector<bfloat16> k(8, bfloat16(1.0f)), v(8, bfloat16(2.0f));
  k[7].bits = 0x7fc1;  // a NaN with a payload: bits are copied, not numbers
  copy_pages({k.data(), {2, 1, 1, 4}}, {v.data(), {2, 1, 1, 4}}, std::vector<PageCopy>{{1, 0}});
  EXPECT_EQ(k[3].bits, 0x7fc1);
}

TEST(CopyPages, CachesWithoutElementsAreLegal) {
  const Shape endless{2, std::int64_t{1} << 60, 0, 4};
  EXPECT_NO_THROW(copy_pages({static_cast<float*>(nullptr), endless},
                             {static_cast<float*>(nullptr), endless},
                             std::vector<PageCopy>{{1, 0}}));
}

class CopyPagesMessage : public testing::TestWithParam<Provocation> {};

TEST_P(CopyPagesMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

/// Copies nothing, between caches of which `spoil` has changed one thing.
template <class Spoil>
void copy_with(Spoil spoil) {
  Caches caches;
  spoil(caches);
  caches.copy({});
}

const Provocation kProvocations[] = {
    {"NoKeys", [] { copy_with([](Caches& c) { c.k_cache = {}; }); },
     "strobe::copy_pages: k_cache is not given; k_cache and v_cache are needed [tensor-missing]"},
    {"NoValues", [] { copy_with([](Caches& c) { c.v_cache = {}; }); },
     "strobe::copy_pages: v_cache is not given; k_cache and v_cache are needed [tensor-missing]"},
    {"ThreeAxes", [] { copy_with([](Caches& c) {
                         c.k_cache = {c.k.data(), {4, 3, 10}};
                       }); },
     "strobe::copy_pages: k_cache has shape [4, 3, 10]; it takes 4 axes: pages, page_size, heads, "
     "dim [tensor-rank]"},
    {"NegativePages", [] { copy_with([](Caches& c) {
                             c.v_cache = {c.v.data(), {-4, 3, 2, 2}};
                           }); },
     "strobe::copy_pages: v_cache has shape [-4, 3, 2, 2]; sizes are at least 0 [shape-negative]"},
    {"Integers", [] { copy_with([](Caches& c) { c.k_cache.dtype = DType::i32; }); },
     "strobe::copy_pages: k_cache is i32; a cache is f32, f16, bf16 or f64, or quantised, e4m3, "
     "e5m2, i8 or i4 [copy-type]"},
    {"TwoTypes", [] { copy_with([](Caches& c) { c.v_cache.dtype = DType::f16; }); },
     "strobe::copy_pages: v_cache is f16; it must be f32 [dtype-mismatch]"},
    {"OtherPages", [] { copy_with([](Caches& c) {
                          c.v_cache = {c.v.data(), {5, 3, 2, 2}};
                        }); },
     "strobe::copy_pages: the number of pages is 4 in k_cache [4, 3, 2, 5] and 5 in v_cache [5, 3, "
     "2, 2]; they must be equal [shape-mismatch]"},
    {"OtherSlots", [] { copy_with([](Caches& c) {
                          c.v_cache = {c.v.data(), {4, 2, 2, 2}};
                        }); },
     "strobe::copy_pages: page_size is 3 in k_cache [4, 3, 2, 5] and 2 in v_cache [4, 2, 2, 2]; "
     "they must be equal [shape-mismatch]"},
    {"OtherHeads", [] { copy_with([](Caches& c) {
                          c.v_cache = {c.v.data(), {4, 3, 1, 2}};
                        }); },
     "strobe::copy_pages: num_heads_kv is 2 in k_cache [4, 3, 2, 5] and 1 in v_cache [4, 3, 1, 2]; "
     "they must be equal [shape-mismatch]"},
    {"DimApart", [] { copy_with([](Caches& c) {
                        c.k_cache.strides = {60, 20, 10, 2};
                      }); },
     "strobe::copy_pages: k_cache has strides [60, 20, 10, 2] for shape [4, 3, 2, 5]; its last "
     "axis "
     "must be contiguous (stride 1), the others are free [stride-last]"},
    {"NoMemory", [] { copy_with([](Caches& c) { c.v_cache.data = nullptr; }); },
     "strobe::copy_pages: v_cache has shape [4, 3, 2, 2] and a null pointer; only a tensor without "
     "elements may have one [data-null]"},
    {"OnePageForAll", [] { copy_with([](Caches& c) {
                             c.k_cache.strides = {0, 10, 5, 1};
                           }); },
     "strobe::copy_pages: elements of k_cache share memory: shape [4, 3, 2, 5], strides [0, 10, 5, "
     "1]; each element of an output needs a place of its own [overlap-self]"},
    {"ValuesInKeys", [] { copy_with([](Caches& c) { c.v_cache.data = c.k.data() + 7; }); },
     "strobe::copy_pages: k_cache shares memory with v_cache; no element of an output may be an "
     "input's or another output's, so write k_cache elsewhere [overlap]"},
    {"FromNoPage",
     [] {
       Caches().copy({{0, 1}, {4, 1}});
     },
     "strobe::copy_pages: copies[1] is from page 4 to page 1 of a cache of 4 pages; they are "
     "numbered from 0 on [copy-page]"},
    {"ToNoPage",
     [] {
       Caches().copy({{0, -1}});
     },
     "strobe::copy_pages: copies[0] is from page 0 to page -1 of a cache of 4 pages; they are "
     "numbered from 0 on [copy-page]"},
};
INSTANTIATE_TEST_SUITE_P(All, CopyPagesMessage, testing::ValuesIn(kProvocations), name_of_test);

/// Pages of codes, two a byte, and their scales, which another call copies.
TEST(CopyPages, CopiesCodesAndScales) {
  std::vector<std::uint8_t> k(4 * 3 * 2 * 2), v(4 * 3 * 2 * 1);
  std::vector<float> k_scale(4 * 3 * 2), v_scale(4 * 3 * 2);
  for (std::size_t i = 0; i < k.size(); ++i) k[i] = static_cast<std::uint8_t>(i);
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<std::uint8_t>(100 + i);
  for (std::size_t i = 0; i < k_scale.size(); ++i) k_scale[i] = static_cast<float>(i);
  const PageCopy copy{.from = 1, .to = 3};
  copy_pages({k.data(), DType::i4, {4, 3, 2, 4}}, {v.data(), DType::i4, {4, 3, 2, 2}}, {&copy, 1});
  copy_pages({k_scale.data(), {4, 3, 2, 1}}, {v_scale.data(), {4, 3, 2, 1}}, {&copy, 1});
  for (std::size_t i = 0; i < k.size(); ++i) EXPECT_EQ(k[i], i < 36 ? i : i - 24) << i;
  for (std::size_t i = 0; i < v.size(); ++i) EXPECT_EQ(v[i], 100 + (i < 18 ? i : i - 12)) << i;
  for (std::size_t i = 0; i < k_scale.size(); ++i)
    EXPECT_EQ(k_scale[i], static_cast<float>(i < 18 ? i : i - 12)) << i;
}

TEST(CopyPages, ChecksBeforeItWrites) {
  Caches caches;
  EXPECT_THROW(caches.copy({{0, 1}, {0, 4}}), Error);
  EXPECT_EQ(caches.k, Caches::numbers(1000));
}

}  // namespace
}  // namespace strobe::test
