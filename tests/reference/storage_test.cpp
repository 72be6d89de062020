// The reference reads and writes where strides, types and lengths say, and nowhere else.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "reference/forward.hpp"
#include "strobe/tensor.hpp"
#include "tests/reference/attention_case.hpp"

namespace strobe {
namespace {

using testing::AttentionCase;
using testing::Sizes;
using Row = std::vector<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr Sizes kSizes{.batch = 2,
                       .num_heads = 4,
                       .num_heads_kv = 2,
                       .seqlen_q = 5,
                       .seqlen_k = 7,
                       .head_dim = 3,
                       .head_dim_v = 2};
constexpr Mask kMask{.causal = true, .left = 3, .sink_tokens = 1};

/// Moves every row of `data` from one set of strides to another; the rest is NaN.
Row restrided(const Row& data, Strides from, Strides to, std::array<std::int64_t, 4> shape,
              std::int64_t size) {
  Row moved = AttentionCase::nans(size);
  for (std::int64_t b = 0; b < shape[0]; ++b)
    for (std::int64_t r = 0; r < shape[1]; ++r)
      for (std::int64_t h = 0; h < shape[2]; ++h)
        for (std::int64_t d = 0; d < shape[3]; ++d)
          moved[to.offset(b, r, h) + d] = data[from.offset(b, r, h) + d];
  return moved;
}

TEST(ReferenceStorage, GroupedHeadsEqualRepeatedKeyHeads) {
  AttentionCase grouped(kSizes, kMask);
  Sizes sizes = kSizes;
  sizes.num_heads_kv = sizes.num_heads;
  AttentionCase repeated(sizes, kMask);
  for (std::int64_t row = 0; row < 2 * 7; ++row)
    for (std::int64_t h = 0; h < 4; ++h) {
      for (std::int64_t d = 0; d < 3; ++d)
        repeated.k[(row * 4 + h) * 3 + d] = grouped.k[(row * 2 + h / 2) * 3 + d];
      for (std::int64_t d = 0; d < 2; ++d)
        repeated.v[(row * 4 + h) * 2 + d] = grouped.v[(row * 2 + h / 2) * 2 + d];
    }
  EXPECT_EQ(grouped.run().o, repeated.run().o);
  EXPECT_EQ(grouped.lse, repeated.lse);
}

TEST(ReferenceStorage, StridesChangeNothing) {
  AttentionCase plain(kSizes, kMask);
  AttentionCase bhsd = plain;
  const Strides q{.batch = 500, .row = 4, .head = 40};  // head before row, with gaps
  const Strides kv{.batch = 300, .row = 11, .head = 90};
  bhsd.q = restrided(plain.q, plain.params.q_strides, q, {2, 5, 4, 3}, 1000);
  bhsd.k = restrided(plain.k, plain.params.k_strides, kv, {2, 7, 2, 3}, 600);
  bhsd.v = restrided(plain.v, plain.params.v_strides, kv, {2, 7, 2, 2}, 600);
  bhsd.o = AttentionCase::nans(1000);
  bhsd.params.q_strides = bhsd.params.o_strides = q;
  bhsd.params.k_strides = bhsd.params.v_strides = kv;
  plain.run();
  bhsd.run();
  EXPECT_EQ(restrided(bhsd.o, q, plain.params.o_strides, {2, 5, 4, 2}, 80), plain.o);
  EXPECT_EQ(bhsd.lse, plain.lse);
}

TEST(ReferenceStorage, WritesOnlyItsOwnElements) {
  AttentionCase c(kSizes, kMask);
  const Strides o{.batch = 500, .row = 4, .head = 40};
  c.o = AttentionCase::nans(1000);
  c.params.o_strides = o;
  c.run();
  std::int64_t written = 0;
  for (const double value : c.o) written += std::isnan(value) ? 0 : 1;
  EXPECT_EQ(written, 2 * 5 * 4 * 2);
}

// A stride of 0: one key head read as many.
TEST(ReferenceStorage, BroadcastHeadsAreViews) {
  Sizes sizes = kSizes;
  sizes.num_heads_kv = 1;
  AttentionCase one(sizes, kMask);
  AttentionCase broadcast = one;
  broadcast.params.num_heads_kv = 4;
  broadcast.params.k_strides.head = broadcast.params.v_strides.head = 0;
  EXPECT_EQ(broadcast.run().o, one.run().o);
}

TEST(ReferenceStorage, ReadsEveryTypeExactly) {
  AttentionCase exact({.seqlen_q = 3, .seqlen_k = 5, .head_dim = 4, .head_dim_v = 4});
  std::array<std::vector<bfloat16>, 3> narrow;
  std::array<std::vector<float>, 3> single;
  const std::array<Row*, 3> wide{&exact.q, &exact.k, &exact.v};
  for (std::size_t n = 0; n < 3; ++n)
    for (double& value : *wide[n]) {
      narrow[n].push_back(bfloat16(static_cast<float>(value)));
      single[n].push_back(narrow[n].back());
      value = single[n].back();
    }
  const Row wider = exact.run().o;  // f64 is computed in more than float64
  ForwardParams p = exact.with_memory();
  p.dtype = DType::bf16;
  p.q = narrow[0].data(), p.k = narrow[1].data(), p.v = narrow[2].data();
  std::fill(exact.o.begin(), exact.o.end(), std::nan(""));
  reference::forward(p);
  const Row want = exact.o;
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(want[i], wider[i], 4e-16 * (1.0 + std::abs(wider[i])));
  p.dtype = DType::f32;
  p.q = single[0].data(), p.k = single[1].data(), p.v = single[2].data();
  std::fill(exact.o.begin(), exact.o.end(), std::nan(""));
  reference::forward(p);
  EXPECT_EQ(exact.o, want);
}

TEST(ReferenceStorage, RoundsOnlyTheResult) {
  AttentionCase c({.seqlen_q = 3, .seqlen_k = 5, .head_dim = 4, .head_dim_v = 4});
  c.run();
  std::vector<bfloat16> o(12);
  std::vector<float> lse(3);
  ForwardParams p = c.with_memory();
  p.o = o.data(), p.o_dtype = DType::bf16;
  p.lse = lse.data(), p.lse_dtype = DType::f32;
  reference::forward(p);
  for (std::size_t n = 0; n < 12; ++n)
    EXPECT_EQ(o[n].bits, bfloat16(static_cast<float>(c.o[n])).bits) << n;
  for (std::size_t n = 0; n < 3; ++n) EXPECT_EQ(lse[n], static_cast<float>(c.lse[n])) << n;
}

TEST(ReferenceStorage, PackedEqualsSeparateCalls) {
  const std::array<std::int32_t, 5> cu_q{0, 3, 3, 8, 10};
  const std::array<std::int32_t, 5> cu_k{0, 5, 7, 7, 12};
  AttentionCase packed({.num_heads = 2, .seqlen_q = 10, .seqlen_k = 12, .head_dim = 3}, kMask);
  packed.params.batch = 4;
  packed.params.cu_seqlens_q = cu_q.data();
  packed.params.cu_seqlens_k = cu_k.data();
  packed.run();
  for (std::size_t b = 0; b < 4; ++b) {
    AttentionCase alone({.num_heads = 2,
                         .seqlen_q = cu_q[b + 1] - cu_q[b],
                         .seqlen_k = cu_k[b + 1] - cu_k[b],
                         .head_dim = 3},
                        kMask);
    std::copy_n(packed.q.begin() + cu_q[b] * 6, alone.q.size(), alone.q.begin());
    std::copy_n(packed.k.begin() + cu_k[b] * 3, alone.k.size(), alone.k.begin());
    std::copy_n(packed.v.begin() + cu_k[b], alone.v.size(), alone.v.begin());
    alone.run();
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t row = 0; row < alone.params.seqlen_q; ++row) {
        EXPECT_EQ(packed.o_row(0, h, cu_q[b] + row), alone.o_row(0, h, row)) << "sequence " << b;
        EXPECT_EQ(packed.lse_of(0, h, cu_q[b] + row), alone.lse_of(0, h, row)) << "sequence " << b;
      }
  }
}

TEST(ReferenceStorage, GapsBetweenPackedSequencesAreNeitherReadNorWritten) {
  const std::array<std::int32_t, 3> cu{0, 4, 8};
  const std::array<std::int32_t, 2> lengths{2, 4};
  AttentionCase c({.seqlen_q = 9, .seqlen_k = 9});
  for (const std::size_t gap : {2u, 3u, 8u}) c.q[gap] = c.k[gap] = c.v[gap] = std::nan("");
  c.params.batch = 2;
  c.params.cu_seqlens_q = c.params.cu_seqlens_k = cu.data();
  c.params.seqlens_q = c.params.seqlens_k = lengths.data();
  c.run();
  for (const std::size_t row : {0u, 1u, 4u, 5u, 6u, 7u})
    EXPECT_TRUE(std::isfinite(c.o[row])) << row;
  for (const std::size_t gap : {2u, 3u, 8u}) EXPECT_TRUE(std::isnan(c.o[gap])) << gap;
  for (const std::size_t gap : {2u, 3u, 8u}) EXPECT_TRUE(std::isnan(c.lse[gap])) << gap;
}

TEST(ReferenceStorage, PaddedRowsGetZeroAndMinusInfinity) {
  const std::array<std::int32_t, 2> lengths_q{3, 0};
  const std::array<std::int32_t, 2> lengths_k{4, 7};
  AttentionCase c({.batch = 2, .seqlen_q = 5, .seqlen_k = 7}, {.causal = true});
  c.params.seqlens_q = lengths_q.data();
  c.params.seqlens_k = lengths_k.data();
  c.run();
  EXPECT_EQ(Row(c.o.begin() + 3, c.o.end()), Row(7, 0.0));
  EXPECT_EQ(Row(c.lse.begin() + 3, c.lse.end()), Row(7, -kInfinity));

  AttentionCase alone({.seqlen_q = 3, .seqlen_k = 4}, {.causal = true});
  std::copy_n(c.q.begin(), 3, alone.q.begin());
  std::copy_n(c.k.begin(), 4, alone.k.begin());
  std::copy_n(c.v.begin(), 4, alone.v.begin());
  EXPECT_EQ(alone.run().o, Row(c.o.begin(), c.o.begin() + 3)) << "positions count from the lengths";
}

}  // namespace
}  // namespace strobe
