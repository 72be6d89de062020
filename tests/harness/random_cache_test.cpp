// Tests of harness/random_cache.hpp: whatever the cache, it holds forward's keys and nothing else.
// SPDX-License-Identifier: Apache-2.0
#include "harness/random_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "harness/random_tensors.hpp"
#include "scratch.hpp"

namespace strobe::harness {
namespace {

Problem base() {
  Problem p;
  p.batch = 4;
  p.num_heads = 6;
  p.num_heads_kv = 3;
  p.seqlen_q = 2;
  p.seqlen_k = 50;
  p.head_dim = 5;
  p.head_dim_v = 7;
  return p;
}

Problem changed(void (*change)(Problem&)) {
  Problem p = base();
  change(p);
  return p;
}

/// Every way that keys may lie, alone and together.
std::vector<Problem> problems() {
  return {base(),
          changed([](Problem& p) { p.layout = Layout::bhsd; }),
          changed([](Problem& p) { p.page_size = 1; }),
          changed([](Problem& p) { p.page_size = 16; }),
          changed([](Problem& p) { p.page_size = 1000; }),
          changed([](Problem& p) { p.seqlen_new = 1; }),
          changed([](Problem& p) { p.seqlen_new = p.seqlen_k; }),
          changed([](Problem& p) { p.cache_batch_idx = true; }),
          changed([](Problem& p) { p.leftpad_k = true; }),
          changed([](Problem& p) { p.storage = Storage::seqlens; }),
          changed([](Problem& p) { p.seqlen_k = 0; }),
          changed([](Problem& p) {
            p.cache_batch_idx = p.leftpad_k = true;
            p.storage = Storage::seqlens;
            p.seqlen_new = 9;
            p.dtype = DType::bf16;
          }),
          changed([](Problem& p) {
            p.page_size = 7;
            p.leftpad_k = true;
            p.storage = Storage::seqlens;
            p.layout = Layout::bhsd;
            p.seqlen_new = 20;
            p.dtype = DType::f64;
          })};
}

std::int64_t number(const TensorMap& in, const char* name, std::int64_t b, std::int64_t otherwise) {
  const auto found = in.find(name);
  return found == in.end() ? otherwise : found->second.as<std::int32_t>()[b];
}

/// The slots of one sequence, read as docs/semantics.md says.
struct Slots {
  Slots(const Problem& p, const TensorMap& in, std::int64_t b)
      : before(number(in, "cache_seqlens", b, -1)),
        added(number(in, "seqlens_new", b, p.seqlen_new)),
        leftpad(number(in, "leftpad_k", b, 0)) {}
  std::int64_t before;
  std::int64_t added;
  std::int64_t leftpad;
};

/// Element of key `slot` of sequence b, in the cache or, behind it, among the new ones.
double element(const TensorMap& in, const std::string& name, const Slots& slots, Shape at) {
  const std::int64_t b = at[0];
  if (at[1] >= slots.before) {
    at[1] -= slots.before;
    return in.at(name).get(at);
  }
  if (in.contains("page_table")) {
    const std::int64_t page_size = in.at("k_cache").shape()[1];
    at[0] = static_cast<std::int64_t>(in.at("page_table").get({b, at[1] / page_size}));
    at[1] %= page_size;
  }
  at[0] = number(in, "cache_batch_idx", b, at[0]);
  return in.at(name + "_cache").get(at);
}

std::int64_t not_nan(const TensorMap& in, const std::string& name) {
  const auto found = in.find(name);
  if (found == in.end()) return 0;
  const HostTensor copy = found->second.contiguous();
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < copy.elements(); ++i) {
    const Shape& n = copy.shape();
    const Shape at{i / (n[1] * n[2] * n[3]), i / (n[2] * n[3]) % n[1], i / n[3] % n[2], i % n[3]};
    count += !std::isnan(copy.get(at));
  }
  return count;
}

class Caches : public ::testing::TestWithParam<Problem> {};

TEST_P(Caches, HoldTheKeysAndValuesOfForward) {
  const Problem& p = GetParam();
  for (const Values values : {Values::normal, Values::rising}) {
    const TensorMap forward = drawn_tensors(without_cache(p), {3, values});
    const TensorMap in = drawn_decode_tensors(p, {3, values});
    for (std::int64_t b = 0; b < p.batch; ++b) {
      const Slots slots(p, in, b);
      for (const char* name : {"k", "v"}) {
        const HostTensor& want = forward.at(name);
        for (std::int64_t slot = slots.leftpad; slot < slots.before + slots.added; ++slot)
          for (std::int64_t h = 0; h < p.num_heads_kv; ++h)
            for (std::int64_t d = 0; d < want.shape()[3]; ++d)
              ASSERT_EQ(element(in, name, slots, {b, slot, h, d}), want.get({b, slot, h, d}))
                  << name << " of sequence " << b << ", slot " << slot;
      }
    }
  }
}

TEST_P(Caches, HoldNothingElse) {
  const Problem& p = GetParam();
  const TensorMap in = drawn_decode_tensors(p, 1);
  std::int64_t kept = 0, added = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const Slots slots(p, in, b);
    kept += slots.before - slots.leftpad;
    added += slots.added;
  }
  EXPECT_EQ(not_nan(in, "k_cache"), kept * p.num_heads_kv * p.head_dim);
  EXPECT_EQ(not_nan(in, "v_cache"), kept * p.num_heads_kv * p.head_dim_v);
  EXPECT_EQ(not_nan(in, "k"), added * p.num_heads_kv * p.head_dim);
  EXPECT_EQ(not_nan(in, "v"), added * p.num_heads_kv * p.head_dim_v);
}

TEST_P(Caches, HaveTheLengthsOfForward) {
  const Problem& p = GetParam();
  const TensorMap forward = random_tensors(without_cache(p), 5);
  const TensorMap in = drawn_decode_tensors(p, 5);
  EXPECT_FALSE(in.contains("seqlens_k"));
  EXPECT_EQ(in.contains("seqlens_q"), forward.contains("seqlens_q"));
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const Slots slots(p, in, b);
    EXPECT_EQ(slots.before + slots.added, number(forward, "seqlens_k", b, p.seqlen_k));
    EXPECT_GE(slots.added, 0);
    EXPECT_GE(slots.before, slots.leftpad);
    EXPECT_GE(slots.leftpad, 0);
  }
  EXPECT_EQ(Slots(p, in, 0).added, p.seqlen_new) << "the first is full";
}

TEST_P(Caches, ShareNoSlotAndNameNoPageBeyondALength) {
  const Problem& p = GetParam();
  const TensorMap in = drawn_decode_tensors(p, 2);
  const std::int64_t places = in.at("k_cache").shape()[0];
  std::set<std::int64_t> used;
  const auto use = [&](std::int64_t place) {
    EXPECT_TRUE(place >= 0 && place < places) << place;
    EXPECT_TRUE(used.insert(place).second) << place << " is used twice";
  };
  for (std::int64_t b = 0; b < p.batch; ++b) {
    if (p.cache_batch_idx) use(number(in, "cache_batch_idx", b, -1));
    if (p.page_size == 0) continue;
    const Slots slots(p, in, b);
    for (std::int64_t i = 0; i < in.at("page_table").shape()[1]; ++i) {
      const auto page = static_cast<std::int64_t>(in.at("page_table").get({b, i}));
      if (i * p.page_size < slots.before + slots.added) {
        use(page);
      } else {
        EXPECT_TRUE(page < 0 || page >= places) << page;
      }
    }
  }
  const bool spare = p.page_size > 0 || p.cache_batch_idx;
  EXPECT_TRUE(!spare || places > static_cast<std::int64_t>(used.size()));
}

INSTANTIATE_TEST_SUITE_P(Problems, Caches, ::testing::ValuesIn(problems()));

TEST(DecodeTensorsDrawn, HaveTheShapesOfTheProblem) {
  Problem p = base();
  p.seqlen_new = 3;
  const TensorMap in = drawn_decode_tensors(p, 1);
  EXPECT_EQ(in.at("q").shape(), (Shape{4, 2, 6, 5}));
  EXPECT_EQ(in.at("k").shape(), (Shape{4, 3, 3, 5}));
  EXPECT_EQ(in.at("v").shape(), (Shape{4, 3, 3, 7}));
  EXPECT_EQ(in.at("k_cache").shape(), (Shape{4, 50, 3, 5}));
  EXPECT_EQ(in.at("v_cache").shape(), (Shape{4, 50, 3, 7}));
  EXPECT_EQ(in.size(), 6u);
  p.layout = Layout::bhsd;
  EXPECT_EQ(drawn_decode_tensors(p, 1).at("k_cache").strides(), (Shape{750, 5, 250, 1}));
  p.page_size = 16;
  const TensorMap paged = drawn_decode_tensors(p, 1);
  EXPECT_EQ(paged.at("k_cache").shape(), (Shape{4 * 4 + 3, 16, 3, 5}));
  EXPECT_EQ(paged.at("page_table").shape(), (Shape{4, 5}));
}

TEST(DecodeTensorsDrawn, HaveTheOptionsOfForward) {
  Problem p = base();
  p.bias = {true, true, true, true, true};
  p.bias_dtype = DType::f32;
  p.allowed = p.bias;
  p.alibi = p.sink_logits = true;
  p.intervals = Intervals::drawn;
  p.page_size = 16;
  const TensorMap forward = random_tensors(without_cache(p), 1);
  const TensorMap in = drawn_decode_tensors(p, 1);
  for (const char* name :
       {"q", "bias", "allowed", "alibi_slopes", "sink_logits", "key_begin", "key_end"}) {
    ASSERT_EQ(in.at(name).bytes(), forward.at(name).bytes());
    EXPECT_EQ(std::memcmp(in.at(name).data(), forward.at(name).data(),
                          static_cast<std::size_t>(in.at(name).bytes())),
              0)
        << name;
  }
}

TEST(DecodeTensorsDrawn, LayPagesWithoutOrder) {
  Problem p = base();
  p.page_size = 1;
  const HostTensor table = drawn_decode_tensors(p, 1).at("page_table").clone();
  int followed = 0;  // by the page behind it
  for (std::int64_t i = 0; i + 1 < p.seqlen_k; ++i)
    followed += table.get({0, i + 1}) == table.get({0, i}) + 1;
  EXPECT_LT(followed, 10);
}

TEST(DecodeTensorsDrawn, RefuseMorePagesThanAnI32Names) {
  Problem p = base();
  p.page_size = 1;
  p.seqlen_k = std::int64_t{1} << 30;
  EXPECT_EQ(message_of([&] { (void)in_cache(p, 1, {}); }),
            "strobe::in_cache: 4294967299 pages are more than entries of type i32 can name; take "
            "larger pages, fewer or shorter sequences [random-length]");
}

}  // namespace
}  // namespace strobe::harness
