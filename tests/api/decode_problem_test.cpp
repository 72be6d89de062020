// The problem of a decode call: as a string, from tensors, and as kernels see it.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "decode_call.hpp"
#include "strobe/error.hpp"

namespace strobe::test {
namespace {

TEST(ParseCache, ReadsEveryWord) {
  const Problem p = Problem::parse("b2 h8/2 q3 k40 d64 page=16 append rotary=32,interleaved,5e5");
  const Problem expected{.batch = 2,
                         .num_heads = 8,
                         .num_heads_kv = 2,
                         .seqlen_q = 3,
                         .seqlen_k = 40,
                         .head_dim = 64,
                         .head_dim_v = 64,
                         .page_size = 16,
                         .seqlen_new = 3,
                         .rotary = {.dim = 32, .interleaved = true, .base = 500000}};
  EXPECT_EQ(p, expected);
  EXPECT_TRUE(Problem::parse("h1 q1 d8 leftpad").leftpad_k);
  EXPECT_TRUE(Problem::parse("h1 q1 d8 batch_idx").cache_batch_idx);
  EXPECT_EQ(Problem::parse("h1 q1 d8 rotary=8,777").rotary, (Rotary{.dim = 8, .base = 777}));
}

TEST(ParseCache, AppendsAsManyKeysAsQueriesWhereverTheyStand) {
  EXPECT_EQ(Problem::parse("append h1 d8 k9 q4").seqlen_new, 4);
  EXPECT_EQ(Problem::parse("append=9 h1 d8 k9 q4").seqlen_new, 9);
  EXPECT_EQ(Problem::parse_options("append", {.seqlen_q = 6, .seqlen_k = 9}).seqlen_new, 6);
}

TEST(ParseCache, IsWrittenInTheShortestForm) {
  for (const char* const text :
       {"h1 q4 k9 d8 page=16 append rotary=8", "h1 q4 k9 d8 append=3 batch_idx leftpad",
        "h1 q4 d8 rotary=6,interleaved", "h1 q4 d8 rotary=8,500000",
        "h1 q4 d8 rotary=8,interleaved,0.5"})
    EXPECT_EQ(Problem::parse(text).to_string(), text);
  EXPECT_EQ(Problem::parse("h1 q4 k9 d8 append=4 rotary=8,10000 page=0").to_string(),
            "h1 q4 k9 d8 append rotary=8");
  EXPECT_EQ(Problem::parse("h1 q0 k9 d8 append").to_string(), "h1 q0 k9 d8");
}

/// The problem that a call poses, in the words of the grammar.
std::string case_of(const DecodeCall& call) { return call.check().to_string(); }

TEST(CheckDecode, ReadsSizesFromShapesAndLengths) {
  DecodeCall call;
  EXPECT_EQ(case_of(call), "b2 h4/2 q3 k5 d8/3 seqlens");
  EXPECT_EQ(Problem::of(call.tensors, call.options), call.check());
  call.append();
  EXPECT_EQ(case_of(call), "b2 h4/2 q3 k7 d8/3 append=2 seqlens");
  call.shorten();
  call.lengths_new[0] = 0;
  EXPECT_EQ(case_of(call), "b2 h4/2 q3 k5 d8/3 append=1 seqlens");
}

TEST(CheckDecode, FindsOptionsInTensors) {
  DecodeCall call;
  call.page();
  call.pad_left();
  call.tensors.sink_logits = {call.slice(9), {4}};
  call.options.mask.causal = true;
  call.options.rotary = {.dim = 4, .interleaved = true};
  EXPECT_EQ(case_of(call),
            "b2 h4/2 q3 k5 d8/3 causal sink_logits page=4 rotary=4,interleaved leftpad seqlens");
  DecodeCall entries;
  entries.name_entries();
  EXPECT_EQ(case_of(entries), "b2 h4/2 q3 k5 d8/3 batch_idx seqlens");
}

TEST(CheckDecode, TakesEmptyBatchesCachesAndAppends) {
  DecodeCall call;
  call.append();
  call.tensors.k = call.tensors.v = {static_cast<const float*>(nullptr), {2, 0, 2, 8}};
  call.tensors.v.shape[3] = 3;
  EXPECT_EQ(case_of(call), "b2 h4/2 q3 k5 d8/3 seqlens");

  DecodeCall keyless;
  keyless.lengths = {0, 0};
  keyless.tensors.cache.k_cache = {static_cast<float*>(nullptr), {2, 0, 2, 8}};
  keyless.tensors.cache.v_cache = {static_cast<float*>(nullptr), {2, 0, 2, 3}};
  EXPECT_EQ(case_of(keyless), "b2 h4/2 q3 k0 d8/3 seqlens");
  keyless.lengths = {0, 1};
  EXPECT_THROW(keyless.check(), Error);

  DecodeCall none;
  for (TensorView* view : {&none.tensors.o, &none.tensors.lse}) view->shape[0] = 0;
  none.tensors.q.shape[0] = none.tensors.cache.cache_seqlens.shape[0] = 0;
  EXPECT_EQ(case_of(none), "b0 h4/2 q3 k0 d8/3 seqlens");
}

TEST(CheckDecode, LetsAnUnwrittenCacheOverlapItself) {
  DecodeCall call;  // values are the first dimensions of keys, and all sequences read one entry
  call.tensors.cache.k_cache = {call.slice(3), {2, 8, 2, 8}, {0, 16, 8, 1}};
  call.tensors.cache.v_cache = {call.slice(3), {2, 8, 2, 3}, {0, 16, 8, 1}};
  EXPECT_NO_THROW(call.check());
}

TEST(CheckDecode, LetsCachesShareABuffer) {
  DecodeCall call;  // records of a key and its value
  call.append();
  call.tensors.cache.k_cache = {call.slice(9), {2, 8, 2, 8}, {176, 22, 11, 1}};
  call.tensors.cache.v_cache = {call.slice(9) + 8, {2, 8, 2, 3}, {176, 22, 11, 1}};
  EXPECT_NO_THROW(call.check());
}

TEST(CheckDecode, TakesAnySharedPageThatIsNotAppendedTo) {
  DecodeCall call;
  call.append();
  call.page();
  call.table = {4, 0, -1, 4, 2, -1};  // lengths 5 + 2 and 5 + 2, of which page 4 is the first
  call.lengths = {5, 5};
  EXPECT_NO_THROW(call.check_append());
  call.table[4] = 0;
  EXPECT_NO_THROW(call.check());
  EXPECT_THROW(call.check_append(), Error);
}

template <class Act>
bool throws(Act&& act) {
  try {
    act();
  } catch (const Error&) {
    return true;
  }
  return false;
}

/// Exactly the lengths for which every key, old and new, has a slot.
TEST(CheckDecode, TakesEveryLengthThatFits) {
  for (const bool paged : {false, true}) {
    for (std::int32_t old = -2; old < 15; ++old) {
      DecodeCall call;
      call.append();
      call.shorten();
      if (paged) call.page();
      call.table = {0, 1, 2, 3, 4, 5};
      call.lengths[1] = old;
      const std::int64_t slots = paged ? 12 : 8;
      EXPECT_EQ(throws([&] { call.check(); }), old < 0 || old + call.lengths_new[1] > slots) << old;
    }
  }
}

/// What decides whether an entry is looked at is whether a slot of it is in use.
TEST(CheckDecode, ChecksExactlyThePagesThatLengthsReach) {
  for (std::int32_t length = 0; length <= 12; ++length) {
    for (std::size_t entry = 0; entry < 3; ++entry) {
      for (const std::int32_t page : {-1, 6}) {
        DecodeCall call;
        call.page();
        call.table = {0, 1, 2, 3, 4, 5};
        call.lengths[1] = length;
        call.table[3 + entry] = page;
        const bool reached = static_cast<std::int32_t>(4 * entry) < length;
        EXPECT_EQ(throws([&] { call.check(); }), reached) << length << " " << entry;
      }
    }
  }
}

/// Do tables of `held` positions hold what `n.q` rows and new keys turn at? A row before them all
/// may be there if it sees nothing.
bool tables_hold(const Mask& mask, Lengths n, std::int64_t held, bool has_new_keys) {
  if (has_new_keys && n.k > held) return false;
  for (std::int64_t row = 0; row < n.q; ++row) {
    const std::int64_t at = mask.position(row, n);
    if (at >= held || (at < 0 && mask.keys(row, n).count() > 0)) return false;
  }
  return true;
}

/// Tried row by row, with every kind of mask.
TEST(CheckDecode, NeedsATableRowForEveryRowThatTurns) {
  int idle = 0;
  for (const Mask& mask :
       {Mask{}, Mask{.align = Align::top_left}, Mask{.causal = true}, Mask{.left = 1},
        Mask{.right = 1}, Mask{.causal = true, .prefix = 1}, Mask{.causal = true, .chunk = 2},
        Mask{.chunk = 2}, Mask{.right = 0, .sink_tokens = 1}, Mask{.chunk = 3, .sink_tokens = 1}}) {
    for (std::int32_t rows = 0; rows <= 3; ++rows) {
      for (std::int32_t old = 0; old <= 6; ++old) {
        DecodeCall call;
        call.append();
        call.shorten();
        call.rotate();
        call.tensors.rotary_cos.shape[0] = call.tensors.rotary_sin.shape[0] = 4;
        call.options.mask = mask;
        call.lengths[0] = old;
        call.lengths_q = {rows, 0};
        call.lengths_new = {old % 3, 0};
        const Lengths n{rows, old + call.lengths_new[0]};
        const bool held = tables_hold(mask, n, 4, call.lengths_new[0] > 0);
        EXPECT_EQ(throws([&] { call.check(); }), !held) << rows << " rows after " << old;
        idle += held && n.q > n.k ? 1 : 0;
      }
    }
  }
  EXPECT_GT(idle, 10);
}

TEST(CheckDecodePlan, TakesShorterSequencesAndFewerNewKeys) {
  DecodeCall call;
  call.append();
  for (const char* const text :
       {"b2 h4/2 q3 k7 d8/3 append=2 seqlens", "b2 h4/2 q3 k7 d8/3 append=2",
        "b2 h4/2 q9 k99 d8/3 append causal rotary=8"})
    EXPECT_NO_THROW(call.check_against(Problem::parse(text))) << text;
}

/// A call's own problem is one that its tensors can be run on.
TEST(CheckDecodePlan, TakesThePlanOfTheCallItself) {
  Random random(22);
  for (int round = 0; round < 200; ++round) {
    DecodeCall call;
    draw_places(random, call, round % 2 == 0);
    if (round % 3 == 0) call.tensors.bias = {call.slice(9), {1, 4, 3, 12}};
    if (round % 5 == 0) call.options.rotary.dim = 8;
    EXPECT_NO_THROW(call.check_against(call.check()));
  }
}

template <class View>
const float* element(const View& view, Shape index) {
  const float* found = static_cast<const float*>(view.data);
  for (int axis = 0; axis < view.rank(); ++axis) found += index[axis] * view.strides[axis];
  return found;
}

/// Where the definition of the cache says that a slot lies.
Shape slot_index(const DecodeCall& call, std::int64_t b, std::int64_t slot) {
  const KvCache& cache = call.tensors.cache;
  if (!cache.page_table.given())
    return {cache.cache_batch_idx.given() ? call.index[static_cast<std::size_t>(b)] : b, slot, 1,
            0};
  const std::int64_t page_size = cache.k_cache.shape[1];
  return {call.table[static_cast<std::size_t>(3 * b + slot / page_size)], slot % page_size, 1, 0};
}

TEST(DecodeParams, FindEveryKeyOfTheCache) {
  Random random(23);
  for (int round = 0; round < 200; ++round) {
    DecodeCall call;
    draw_places(random, call, round % 2 == 0);
    const Problem problem = call.check();
    const DecodeParams p = api::decode_params(call.tensors, problem);
    const ForwardParams& a = p.attention;
    EXPECT_EQ(p.k_cache, a.k);
    for (std::int64_t b = 0; b < 2; ++b) {
      const Sequence s = sequence(a, b);
      const auto at = static_cast<std::size_t>(b);
      ASSERT_EQ(s.lengths.k, call.lengths[at] + call.lengths_new[at]);
      ASSERT_EQ(p.new_keys(b), call.lengths_new[at]);
      ASSERT_EQ(s.lengths.q, call.lengths_q[at]);
      for (std::int64_t slot = 0; slot < s.lengths.k; ++slot) {
        ASSERT_EQ(static_cast<const float*>(a.k) + key_offset(a, s, a.k_strides, slot, 1),
                  element(call.tensors.cache.k_cache, slot_index(call, b, slot)));
        ASSERT_EQ(static_cast<const float*>(a.v) + key_offset(a, s, a.v_strides, slot, 1),
                  element(call.tensors.cache.v_cache, slot_index(call, b, slot)));
      }
    }
  }
}

TEST(DecodeParams, TakeSizesFromTensorsAndMeaningFromTheProblem) {
  DecodeCall call;
  call.append();
  call.pad_left();
  call.rotate();
  call.tensors.rotary_sin.strides = {5, 1};
  const Problem planned =
      Problem::parse("b2 h4/2 q3 k9 d8/3 causal scale=0.25 append rotary=6,interleaved leftpad");
  const DecodeParams p = api::decode_params(call.tensors, planned);
  EXPECT_EQ(p.attention.seqlen_q, 3);
  EXPECT_EQ(p.attention.seqlen_k, 9);
  EXPECT_EQ(p.attention.seqlen_new, 2);
  EXPECT_EQ(p.attention.seqlens_k, nullptr);
  EXPECT_EQ(p.attention.head_dim_v, 3);
  EXPECT_EQ(p.attention.softmax_scale, 0.25);
  EXPECT_EQ(p.attention.mask, planned.mask);
  EXPECT_EQ(sequence(p.attention, 1).leftpad, 2);
  EXPECT_EQ(p.rotary, planned.rotary);
  EXPECT_EQ(p.rotary_cos_stride, 3);
  EXPECT_EQ(p.rotary_sin_stride, 5);
  EXPECT_EQ(static_cast<const float*>(p.v_new) + p.v_new_strides.offset(1, 1, 1),
            element(call.tensors.v, {1, 1, 1, 0}));
  call.tensors.k = call.tensors.v = {};
  EXPECT_EQ(api::decode_params(call.tensors, planned).new_keys(0), 0);
}

TEST(DecodeReferenceParams, TakeOutputsOfDoubles) {
  DecodeCall call;
  std::vector<double> o(72), lse(24);
  const Problem problem = call.check();
  call.tensors.o = {o.data(), {2, 3, 4, 3}};
  call.tensors.lse = {lse.data(), {2, 4, 3}};
  const DecodeParams p = api::decode_reference_params(call.tensors, problem);
  EXPECT_EQ(p.attention.o_dtype, DType::f64);
  EXPECT_EQ(p.attention.lse_dtype, DType::f64);
  EXPECT_EQ(p.attention.dtype, DType::f32);
}

}  // namespace
}  // namespace strobe::test
