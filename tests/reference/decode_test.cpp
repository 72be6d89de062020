// Decoding in float64: what append writes and where, and that storage changes no bit.
// SPDX-License-Identifier: Apache-2.0
#include "reference/decode.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <vector>

#include "reference/forward.hpp"
#include "tests/reference/decode_case.hpp"

namespace strobe {
namespace {

using testing::DecodeCase;
using testing::DecodeSpec;
using testing::Elements;
using Row = std::vector<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The turn as the paper has it: a + i b times e^(i p base^(-2 pair / dim)).
Row turned_by_formula(const Rotary& rotary, std::int64_t position, Row x) {
  const std::int64_t half = rotary.dim / 2;
  for (std::int64_t pair = 0; pair < half; ++pair) {
    const double angle = static_cast<double>(position) *
                         std::exp(-2.0 * static_cast<double>(pair) /
                                  static_cast<double>(rotary.dim) * std::log(rotary.base));
    double& a = x[static_cast<std::size_t>(rotary.interleaved ? 2 * pair : pair)];
    double& b = x[static_cast<std::size_t>(rotary.interleaved ? 2 * pair + 1 : pair + half)];
    const std::complex<double> z = std::complex(a, b) * std::polar(1.0, angle);
    a = z.real();
    b = z.imag();
  }
  return x;
}

Row row_of(const Elements& from, std::int64_t first, std::int64_t dims) {
  Row x;
  for (std::int64_t d = 0; d < dims; ++d) x.push_back(from.get(first + d));
  return x;
}

void expect_near(const Row& got, const Row& want) {
  for (std::size_t d = 0; d < want.size(); ++d) EXPECT_NEAR(got[d], want[d], 1e-13) << d;
}

std::int64_t elements_that_differ(const Elements& a, const Elements& b) {
  std::int64_t differ = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    const double x = a.get(i), y = b.get(i);
    differ += x == y || (std::isnan(x) && std::isnan(y)) ? 0 : 1;
  }
  return differ;
}

/// Everything at once: ragged lengths, some keys of which are new, some turned dimensions.
DecodeSpec rich(bool interleaved = false) {
  return {.before = {5, 0, 17, 3},
          .seqlen_new = 4,
          .seqlens_q = {2, 1, 2, 0},
          .seqlens_new = {4, 2, 1, 0},
          .rotary = {.dim = 6, .interleaved = interleaved}};
}

class DecodeStyle : public ::testing::TestWithParam<bool> {};

TEST_P(DecodeStyle, AppendWritesKeysTurnedAtTheirSlotsAndNothingElse) {
  DecodeCase c(rich(GetParam()));
  const DecodeCase before = c;
  reference::append(c.params());
  const DecodeSpec& n = c.spec;
  for (std::int64_t b = 0; b < c.batch; ++b)
    for (std::int64_t i = 0; i < c.new_keys(b); ++i)
      for (std::int64_t h = 0; h < n.num_heads_kv; ++h) {
        const std::int64_t slot = n.before[static_cast<std::size_t>(b)] + i;
        const std::int64_t k_from =
            DecodeCase::strides(n.seqlen_new, n.num_heads_kv, n.head_dim).offset(b, i, h);
        const std::int64_t v_from =
            DecodeCase::strides(n.seqlen_new, n.num_heads_kv, n.head_dim_v).offset(b, i, h);
        expect_near(row_of(c.k_cache, c.k_place(b, slot, h), n.head_dim),
                    turned_by_formula(n.rotary, slot, row_of(c.k_new, k_from, n.head_dim)));
        EXPECT_EQ(row_of(c.v_cache, c.v_place(b, slot, h), n.head_dim_v),
                  row_of(c.v_new, v_from, n.head_dim_v));
      }
  const std::int64_t rows = (4 + 2 + 1) * n.num_heads_kv;
  EXPECT_EQ(elements_that_differ(c.k_cache, before.k_cache), rows * n.head_dim);
  EXPECT_EQ(elements_that_differ(c.v_cache, before.v_cache), rows * n.head_dim_v);
}

TEST_P(DecodeStyle, QueriesTurnAtTheirOwnPositions) {
  DecodeCase c(rich(GetParam()));
  const DecodeParams p = c.params();
  const std::vector<std::byte> q = reference::turn_queries(p);
  const ForwardParams a = reference::turned_params(p, q);
  for (std::int64_t b = 0; b < c.batch; ++b) {
    const Lengths lengths = sequence(a, b).lengths;
    for (std::int64_t row = 0; row < lengths.q; ++row)
      for (std::int64_t h = 0; h < c.spec.num_heads; ++h) {
        const std::int64_t position =
            row + c.length(b) - lengths.q;  // the last one on the last key
        Row got;
        for (std::int64_t d = 0; d < c.spec.head_dim; ++d)
          got.push_back(load_element(a.q, a.dtype, a.q_strides.offset(b, row, h) + d));
        expect_near(
            got, turned_by_formula(c.spec.rotary, position,
                                   row_of(c.q, c.q_strides().offset(b, row, h), c.spec.head_dim)));
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, DecodeStyle, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Interleaved" : "Halves"; });

TEST(ReferenceDecode, WithoutRotaryQueriesStayWhereTheyAre) {
  DecodeCase c({});
  const DecodeParams p = c.params();
  EXPECT_TRUE(reference::turn_queries(p).empty());
  EXPECT_EQ(reference::turned_params(p, {}).q, c.q.bytes.data());
}

class DecodeStorage : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(DecodeStorage, PagedEqualsContiguousToTheBit) {
  DecodeSpec spec = rich();
  DecodeCase contiguous(spec);
  spec.page_size = GetParam();
  DecodeCase paged(spec);
  contiguous.run();
  paged.run();
  EXPECT_EQ(paged.o, contiguous.o);
  EXPECT_EQ(paged.lse, contiguous.lse);
}

/// NaN where no key lies, and page table entries that no length reaches, against zeros.
TEST_P(DecodeStorage, UnusedSlotsAndPagesNeverMatter) {
  DecodeSpec spec = rich();
  spec.page_size = GetParam();
  spec.leftpad = {2, 1, 0, 3};
  DecodeCase with_nan(spec);
  spec.unused = 0.0;
  DecodeCase with_zeros(spec);
  for (std::int32_t& page : with_zeros.page_table)
    if (page == std::numeric_limits<std::int32_t>::max()) page = 0;
  with_nan.run();
  with_zeros.run();
  EXPECT_EQ(with_nan.o, with_zeros.o);
  EXPECT_EQ(with_nan.lse, with_zeros.lse);
  for (std::int64_t i = 0; i < with_nan.o.count(); ++i) EXPECT_FALSE(std::isnan(with_nan.o.get(i)));
}

INSTANTIATE_TEST_SUITE_P(PageSizes, DecodeStorage, ::testing::Values(0, 1, 3, 16));

TEST(ReferenceDecode, EntriesByIndexEqualEntriesInOrder) {
  DecodeSpec spec = rich();
  DecodeCase in_order(spec);
  spec.indexed = true;
  DecodeCase by_index(spec);
  in_order.run();
  by_index.run();
  EXPECT_EQ(by_index.o, in_order.o);
  EXPECT_EQ(by_index.lse, in_order.lse);
  EXPECT_NE(by_index.k_cache, in_order.k_cache);
}

/// Sequences that begin alike may share pages.
TEST(ReferenceDecode, SharedPagesEqualCopies) {
  DecodeCase own({.before = {6, 6}, .page_size = 3});
  for (std::int64_t slot = 0; slot < 3; ++slot)
    for (std::int64_t h = 0; h < own.spec.num_heads_kv; ++h) {
      for (std::int64_t d = 0; d < own.spec.head_dim; ++d)
        own.k_cache.set(own.k_place(1, slot, h) + d, own.k_cache.get(own.k_place(0, slot, h) + d));
      for (std::int64_t d = 0; d < own.spec.head_dim_v; ++d)
        own.v_cache.set(own.v_place(1, slot, h) + d, own.v_cache.get(own.v_place(0, slot, h) + d));
    }
  DecodeCase shared = own;
  shared.page_table[static_cast<std::size_t>(shared.max_pages)] = shared.page_table[0];
  EXPECT_EQ(shared.run().o, own.run().o);
}

/// Keys of the history and then the new ones, one sequence after the other, as forward takes them.
struct Concatenated {
  Elements k, v, o, lse;
  std::vector<std::int32_t> lengths{};

  explicit Concatenated(const DecodeCase& c) : k(c.k_history), v(c.v_history), o(c.o), lse(c.lse) {
    const DecodeSpec& n = c.spec;
    const auto put = [&](Elements& to, const Elements& from, std::int64_t b, std::int64_t dim) {
      for (std::int64_t i = 0; i < c.new_keys(b) * n.num_heads_kv * dim; ++i)
        to.set(c.history_strides(dim).offset(b, n.before[static_cast<std::size_t>(b)], 0) + i,
               from.get(b * n.seqlen_new * n.num_heads_kv * dim + i));
    };
    for (std::int64_t b = 0; b < c.batch; ++b) {
      put(k, c.k_new, b, n.head_dim);
      put(v, c.v_new, b, n.head_dim_v);
      lengths.push_back(static_cast<std::int32_t>(c.length(b)));
    }
  }

  void forward(DecodeCase& c) {
    ForwardParams p = c.params().attention;
    p.k = k.bytes.data();
    p.v = v.bytes.data();
    p.o = o.bytes.data();
    p.lse = lse.bytes.data();
    p.k_strides = c.history_strides(c.spec.head_dim);
    p.v_strides = c.history_strides(c.spec.head_dim_v);
    p.cache_seqlens = p.seqlens_new = p.leftpad_k = p.page_table = nullptr;
    p.seqlens_k = lengths.data();
    reference::forward(p);
  }
};

TEST(ReferenceDecode, AppendThenDecodeIsForwardOverAllKeys) {
  DecodeSpec spec = rich();
  spec.rotary = {};
  spec.page_size = 3;
  DecodeCase c(spec);
  Concatenated all(c);
  all.forward(c);
  c.run();
  EXPECT_EQ(c.o, all.o);
  EXPECT_EQ(c.lse, all.lse);
}

TEST(ReferenceDecode, WithRotaryItIsForwardOverTurnedKeysAndQueries) {
  DecodeCase c(rich(true));
  Concatenated all(c);
  const DecodeSpec& n = c.spec;
  const auto turn = [&](Elements& in, std::int64_t first, std::int64_t position) {
    const Row x = turned_by_formula(n.rotary, position, row_of(in, first, n.head_dim));
    for (std::int64_t d = 0; d < n.head_dim; ++d) in.set(first + d, x[static_cast<std::size_t>(d)]);
  };
  DecodeCase turned_queries = c;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t slot = n.before[static_cast<std::size_t>(b)]; slot < c.length(b); ++slot)
      for (std::int64_t h = 0; h < n.num_heads_kv; ++h)
        turn(all.k, c.history_strides(n.head_dim).offset(b, slot, h), slot);
    const std::int64_t rows = n.seqlens_q[static_cast<std::size_t>(b)];
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t h = 0; h < n.num_heads; ++h)
        turn(turned_queries.q, c.q_strides().offset(b, row, h), row + c.length(b) - rows);
  }
  all.forward(turned_queries);
  c.run();
  for (std::int64_t i = 0; i < c.o.count(); ++i) EXPECT_NEAR(c.o.get(i), all.o.get(i), 1e-13) << i;
}

/// A prompt in one call, or the same tokens one call each.
TEST(ReferenceDecode, OneTokenAtATimeEqualsAllAtOnce) {
  DecodeSpec spec{.seqlen_q = 4, .before = {5, 0, 17}, .seqlen_new = 4, .rotary = {.dim = 8}};
  DecodeCase at_once(spec);
  at_once.run();
  DecodeCase steps(spec);
  DecodeCase step = steps;
  step.spec.seqlen_q = step.spec.seqlen_new = 1;
  for (std::int64_t token = 0; token < 4; ++token) {
    DecodeParams p = step.params();
    const auto from = [&](const Elements& all, std::int64_t first) {
      return static_cast<const void*>(all.bytes.data() + first * size_of(all.dtype));
    };
    const Strides q = steps.q_strides();
    p.attention.q = from(steps.q, token * q.row);
    p.attention.q_strides = q;
    p.k_new_strides = DecodeCase::strides(4, spec.num_heads_kv, spec.head_dim);
    p.v_new_strides = DecodeCase::strides(4, spec.num_heads_kv, spec.head_dim_v);
    p.k_new = from(steps.k_new, token * p.k_new_strides.row);
    p.v_new = from(steps.v_new, token * p.v_new_strides.row);
    p.attention.o_strides = at_once.params().attention.o_strides;
    p.attention.o = steps.o.bytes.data() + token * p.attention.o_strides.row * 8;
    p.attention.lse = nullptr;
    reference::decode(p);
    for (std::int32_t& length : step.spec.before) ++length;
  }
  EXPECT_EQ(steps.o, at_once.o);
  EXPECT_EQ(step.k_cache, at_once.k_cache);
}

TEST(ReferenceDecode, TablesEqualAngles) {
  DecodeSpec spec = rich();
  DecodeCase angles(spec);
  spec.tables = true;
  DecodeCase tables(spec);
  EXPECT_EQ(tables.run().o, angles.run().o);
  EXPECT_EQ(tables.k_cache, angles.k_cache);
}

TEST(ReferenceDecode, LeftPaddingIsKeyBegin) {
  DecodeSpec spec = rich();
  spec.leftpad = {2, 1, 16, 3};
  DecodeCase padded(spec);
  padded.run();
  DecodeSpec plain_spec = rich();
  DecodeCase plain(plain_spec);
  DecodeParams p = plain.params();
  p.attention.key_begin = {.data = spec.leftpad.data(), .dtype = DType::i32, .batch = 1};
  reference::decode(p);
  EXPECT_EQ(padded.o, plain.o);
  EXPECT_EQ(padded.lse, plain.lse);
}

TEST(ReferenceDecode, LengthsOfZeroSeeNothing) {
  for (const std::int64_t page_size : {0, 3}) {
    DecodeCase c({.before = {0, 0}, .rotary = {.dim = 4}, .page_size = page_size, .tables = true});
    c.run();
    EXPECT_EQ(c.o, Elements(DType::f64, c.o.count(), 0.0));
    EXPECT_EQ(c.lse, Elements(DType::f64, c.lse.count(), -kInfinity));
  }
}

TEST(ReferenceDecode, RowsPastSeqlensQGetZeroAndMinusInfinity) {
  DecodeCase c({.before = {5}, .seqlens_q = {1}});
  c.run();
  for (std::int64_t h = 0; h < c.spec.num_heads; ++h) {
    EXPECT_TRUE(std::isfinite(c.lse.get(2 * h)));
    EXPECT_EQ(c.lse.get(2 * h + 1), -kInfinity);
  }
  const std::int64_t row = c.spec.num_heads * c.spec.head_dim_v;
  EXPECT_EQ(row_of(c.o, row, row), Row(static_cast<std::size_t>(row), 0.0));
}

TEST(ReferenceDecode, NewKeysAreRoundedOnceToTheirType) {
  DecodeSpec spec{.dtype = DType::bf16, .before = {9}, .seqlen_new = 1, .rotary = {.dim = 8}};
  DecodeCase c(spec);
  c.run();
  const Row want = turned_by_formula(spec.rotary, 9, row_of(c.k_new, 0, 8));
  for (std::int64_t d = 0; d < 8; ++d)
    EXPECT_EQ(c.k_cache.get(c.k_place(0, 9, 0) + d),
              bfloat16(static_cast<float>(want[static_cast<std::size_t>(d)])));
}

}  // namespace
}  // namespace strobe
