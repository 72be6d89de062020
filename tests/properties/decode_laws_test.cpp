// Laws of decode: where keys lie, how they came and who shares the work changes no bit.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "api/validate.hpp"
#include "harness/random_cache.hpp"
#include "semantics/quantised_row.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Outcome;

class DecodeLaws : public testing::OnBackend {
 protected:
  PlanOptions options(int threads = 2, int splits = 0) const {
    return {.threads = threads, .backend = backend(), .op = Op::decode, .splits = splits};
  }
  testing::Outcome decode(const Problem& problem, TensorMap& in) const {
    return testing::decode(problem, in, options());
  }
  testing::Outcome decode(const std::string& text, std::uint64_t seed) const {
    const Problem problem = Problem::parse(text);
    TensorMap in = harness::drawn_decode_tensors(problem, seed);
    return decode(problem, in);
  }
};

/// Cases of forward, across types, groups, tails of blocks and leaves, masks and scores.
std::vector<std::string> plain_cases() {
  return {"b2 h8/2 q1 k1030 d64",
          "b2 h8/2 q1 k1030 d128 bf16",
          "b2 h8/2 q1 k300 d80/33 f16",
          "b2 h4/1 q1 k1300 d40 f64",
          "h71/1 q2 k129 d64 causal",
          "h6/3 q5 k2500 d64 bf16 causal",
          "b2 h4/2 q17 k140 d32 f16 causal window=60,0 sink_tokens=3",
          "b2 h4/2 q16 k1100 d64 causal layout=bhsd",
          "b4 h4/2 q3 k700 d64 bf16 seqlens causal o=f32",
          "b4 h4/2 q3 k333 d40 softcap=3 alibi intervals blocks=2/16 sink_logits seqlens",
          "b4 h4/2 q3 k333 d40 bf16 bias=1,h,q,k allowed=b,1,q,k blocks=2/16 seqlens"};
}

TEST_P(DecodeLaws, DecodeEqualsForwardOnTheSameKeys) {
  for (const std::string& plain : plain_cases()) {
    const testing::Outcome forward = testing::run(plain, backend(), 3);
    for (const char* cache : {"", " page=1", " page=16", " page=100", " append=1", " append=70",
                              " append=7 page=3", " batch_idx", " batch_idx append=2"})
      EXPECT_TRUE(testing::same_bits(decode(plain + cache, 3), forward)) << plain << cache;
  }
}

TEST_P(DecodeLaws, LeftPaddingIsWhereARowsKeysBegin) {
  for (const char* plain : {"b3 h4/2 q3 k700 d64 causal", "b3 h4/2 q1 k300 d64 bf16",
                            "b3 h4/2 q3 k300 d64 causal window=280,0 sink_tokens=5"}) {
    const Problem problem = Problem::parse(plain);
    const Problem padded = Problem::parse(std::string(plain) + " leftpad page=16");
    TensorMap in = harness::drawn_decode_tensors(padded, 1);
    TensorMap in_forward = harness::random_tensors(problem, 1);
    HostTensor key_begin(DType::i32, {problem.batch, 1, problem.seqlen_q});
    for (std::int64_t b = 0; b < problem.batch; ++b)
      for (std::int64_t row = 0; row < problem.seqlen_q; ++row)
        key_begin.set({b, 0, row}, in.at("leftpad_k").get({b}));
    in_forward.emplace("key_begin", std::move(key_begin));
    Problem intervals = problem;
    intervals.intervals = Intervals::drawn;
    EXPECT_TRUE(
        testing::same_bits(decode(padded, in), testing::run(intervals, in_forward, backend())))
        << plain;
  }
}

TEST_P(DecodeLaws, SplitsAndThreadsMoveWorkAndNoBit) {
  for (const char* text :
       {"h8/2 q1 k5000 d64", "b3 h8/1 q1 k2100 d128 bf16 page=16", "b2 h4 q3 k3000 d40 f16 causal",
        "b5 h4/2 q5 k1500 d64 seqlens causal append leftpad", "b2 h4/2 q1 k3000 d64 f64"}) {
    const Problem problem = Problem::parse(text);
    const auto with = [&](int threads, int splits) {
      TensorMap in = harness::drawn_decode_tensors(problem, 2);
      return testing::decode(problem, in, options(threads, splits));
    };
    const testing::Outcome one = with(1, 1);
    for (const int threads : {1, 2, 3})
      for (const int splits : {0, 1, 2, 3, 100})
        EXPECT_TRUE(testing::same_bits(with(threads, splits), one))
            << text << ", " << threads << " threads, " << splits << " splits";
  }
}

/// The forward problem over the numbers that the codes of `in` stand for, in q's type.
TensorMap numbers_of(const Problem& problem, TensorMap& in, std::uint64_t seed) {
  const Problem plain = harness::without_cache(problem);
  TensorMap numbers = harness::random_tensors(plain, seed);
  Outcome unused{harness::output_tensors(problem, in)};
  const ForwardParams p =
      api::decode_params(harness::decode_tensors(in, unused.out), problem).attention;
  for (std::int64_t b = 0; b < p.batch; ++b)
    for (std::int64_t key = 0; key < p.seqlen_k; ++key)
      for (std::int64_t h = 0; h < p.num_heads_kv; ++h) {
        const Sequence s = sequence(p, b);
        for (std::int64_t d = 0; d < p.head_dim; ++d)
          numbers.at("k").set({b, key, h, d}, key_row(p, s, key, h)[d]);
        for (std::int64_t d = 0; d < p.head_dim_v; ++d)
          numbers.at("v").set({b, key, h, d}, value_row(p, s, key, h)[d]);
      }
  return numbers;
}

/// Whatever the types, few queries and many: the decode kernel and the tile kernel. (Codes beside
/// f16 become f32, which no plain cache of that call holds; and int8 codes with a scale a row meet
/// bf16 queries as integers where there are such products.)
TEST_P(DecodeLaws, CodesAreTheNumbersThatTheyStandFor) {
  for (const char* plain :
       {"b2 h8/2 q1 k1030 d64", "b2 h8/2 q3 k300 d72/34 bf16 causal page=16", "h9 q2 k300 d40/96",
        "b2 h4/2 q17 k300 d128 bf16 append=17 causal page=7", "b2 h8/1 q5 k300 d40/34 f64 append"})
    for (const char* kv : {" kv=e4m3:tensor", " kv=e5m2:head", " kv=int8:token", " kv=int8:group",
                           " kv=int4:token", " kv=int4:group"}) {
      const Problem problem = Problem::parse(std::string(plain) + kv);
      if (backend() == "cpu:avx512bf16" && problem.dtype == DType::bf16 &&
          problem.kv_dtype == DType::i8 && problem.kv_scales != KvScales::group)
        continue;
      TensorMap in = harness::drawn_decode_tensors(problem, 3);
      const Outcome codes = decode(problem, in);
      TensorMap numbers = numbers_of(problem, in, 3);
      EXPECT_TRUE(testing::same_bits(
          codes, testing::run(harness::without_cache(problem), numbers, backend(), 2)))
          << problem.to_string();
    }
}

/// The same pages in other places of the cache.
void renumber_pages(TensorMap& in) {
  const std::int64_t pages = in.at("k_cache").shape()[0];
  const auto moved = [pages](std::int64_t page) { return pages - 1 - page; };
  for (const char* name : {"k_cache", "v_cache"}) {
    const HostTensor from = in.at(name).clone();
    const Shape& n = from.shape();
    for (std::int64_t page = 0; page < pages; ++page)
      for (std::int64_t slot = 0; slot < n[1]; ++slot)
        for (std::int64_t h = 0; h < n[2]; ++h)
          for (std::int64_t d = 0; d < n[3]; ++d)
            in.at(name).set({moved(page), slot, h, d}, from.get({page, slot, h, d}));
  }
  HostTensor& table = in.at("page_table");
  for (std::int64_t i = 0; i < table.elements(); ++i) {
    std::int32_t& page = table.as<std::int32_t>()[i];
    if (page >= 0 && page < pages) page = static_cast<std::int32_t>(moved(page));
  }
}

TEST_P(DecodeLaws, PagesMayLieAnywhere) {
  for (const char* text : {"b2 h4/2 q1 k1100 d64 page=16", "b2 h4/2 q3 k300 d64 bf16 page=1 causal",
                           "b3 h4/2 q3 k300 d64 page=7 causal append seqlens"}) {
    const Problem problem = Problem::parse(text);
    TensorMap in = harness::drawn_decode_tensors(problem, 1);
    TensorMap elsewhere = harness::drawn_decode_tensors(problem, 1);
    renumber_pages(elsewhere);
    EXPECT_TRUE(testing::same_bits(decode(problem, in), decode(problem, elsewhere))) << text;
  }
}

TEST_P(DecodeLaws, SequencesMaySharePages) {
  const Problem problem = Problem::parse("b3 h4/2 q2 k600 d64 page=16 causal");
  TensorMap in = harness::drawn_decode_tensors(problem, 1);
  HostTensor& table = in.at("page_table");
  for (std::int64_t b = 1; b < problem.batch; ++b)
    for (std::int64_t i = 0; i < table.shape()[1]; ++i) table.set({b, i}, table.get({0, i}));
  HostTensor& q = in.at("q");
  for (std::int64_t b = 1; b < problem.batch; ++b)
    for (std::int64_t row = 0; row < problem.seqlen_q; ++row)
      for (std::int64_t h = 0; h < problem.num_heads; ++h)
        for (std::int64_t d = 0; d < problem.head_dim; ++d)
          q.set({b, row, h, d}, q.get({0, row, h, d}));
  const testing::Outcome all = decode(problem, in);
  for (std::int64_t b = 1; b < problem.batch; ++b)
    for (std::int64_t h = 0; h < problem.num_heads; ++h)
      testing::expect_same_rows({all, b, h}, {all, 0, h}, problem.seqlen_q);
}

/// Entry b of a tensor's first axis alone.
HostTensor entry(const HostTensor& from, std::int64_t b) {
  Shape shape = from.shape();
  shape[0] = 1;
  HostTensor to(from.dtype(), shape);
  const std::int64_t size = to.bytes();
  const HostTensor rows = from.contiguous();
  std::memcpy(to.data(), rows.data() + b * size, static_cast<std::size_t>(size));
  return to;
}

TEST_P(DecodeLaws, ASequenceDoesNotFeelItsNeighbours) {
  for (const char* text : {"b5 h4/2 q1 k1500 d64 page=16 seqlens",
                           "b5 h8/1 q3 k700 d64 bf16 page=9 "
                           "seqlens causal append leftpad"}) {
    const Problem batch = Problem::parse(text);
    const TensorMap drawn = harness::drawn_decode_tensors(batch, 6);
    TensorMap in = harness::drawn_decode_tensors(batch, 6);
    const testing::Outcome all = decode(batch, in);
    Problem single = batch;
    single.batch = 1;
    for (std::int64_t b = 0; b < batch.batch; ++b) {
      TensorMap one;
      for (const auto& [name, tensor] : drawn)
        one.emplace(name, name.ends_with("_cache") ? tensor.clone() : entry(tensor, b));
      const testing::Outcome alone = decode(single, one);
      for (std::int64_t h = 0; h < batch.num_heads; ++h)
        testing::expect_same_rows({all, b, h}, {alone, 0, h}, batch.seqlen_q);
    }
  }
}

/// Sequences b with b % 3 == 1 get the first 2100 keys of sequence 0, those with 2 the first 1100:
/// other parts of leaves, and whole ones.
void share_prefixes(const Problem& problem, TensorMap& in) {
  HostTensor& table = in.at("page_table");
  const HostTensor& lengths = in.at("cache_seqlens");
  for (std::int64_t b = 1; b < problem.batch; ++b) {
    const double keys[] = {0, 2100, 1100};
    const double shared = std::min({keys[b % 3], lengths.get({b}), lengths.get({0})});
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(shared) / problem.page_size; ++i)
      table.set({b, i}, table.get({0, i}));
  }
}

TEST_P(DecodeLaws, SequencesThatShareAPrefixGetWhatTheyGetAlone) {
  for (const char* text :
       {"b11 h4/2 q2 k2600 d40 page=16 causal", "b20 h4/1 q1 k2200 d32 bf16 page=4 seqlens",
        "b5 h8/2 q9 k2300 d32 f16 page=100 causal seqlens window=1500,0 softcap=3",
        "b9 h4/2 q3 k2200 d32 page=16 causal leftpad kv=int8 seqlens"}) {
    const Problem batch = Problem::parse(text);
    TensorMap in = harness::drawn_decode_tensors(batch, 6);
    share_prefixes(batch, in);
    const Outcome all = decode(batch, in);
    Problem single = batch;
    single.batch = 1;
    for (std::int64_t b = 0; b < batch.batch; ++b) {
      TensorMap one;
      for (const auto& [name, tensor] : in)
        one.emplace(name, name.ends_with("_cache") || name.ends_with("_scale") ? tensor.clone()
                                                                               : entry(tensor, b));
      const Outcome alone = decode(single, one);
      for (std::int64_t h = 0; h < batch.num_heads; ++h)
        testing::expect_same_rows({all, b, h}, {alone, 0, h}, batch.seqlen_q);
    }
  }
}

/// Writes into every slot that holds no key, which is drawn as NaN.
void fill_unused(TensorMap& in, double garbage) {
  for (const char* name : {"k_cache", "v_cache", "k", "v"}) {
    if (!in.contains(name)) continue;
    HostTensor& tensor = in.at(name);
    const Shape& n = tensor.shape();
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
      const Shape at{i / (n[1] * n[2] * n[3]), i / (n[2] * n[3]) % n[1], i / n[3] % n[2], i % n[3]};
      if (std::isnan(tensor.get(at))) tensor.set(at, garbage);
    }
  }
}

TEST_P(DecodeLaws, UnusedSlotsNeverTouchAResult) {
  for (const char* text :
       {"b4 h4/2 q3 k300 d64 page=16 seqlens causal append leftpad", "b4 h4/2 q1 k1100 d64 seqlens",
        "b4 h4/2 q3 k300 d64 bf16 batch_idx seqlens leftpad append",
        "b4 h4/2 q1 k130 d64 f16 page=3", "b4 h4/2 q2 k300 d40 f64 seqlens append=9 layout=bhsd"}) {
    const Problem problem = Problem::parse(text);
    TensorMap with_nan = harness::drawn_decode_tensors(problem, 4);
    const testing::Outcome want = decode(problem, with_nan);
    for (const double garbage : {0.0, 1e4, std::numeric_limits<double>::infinity()}) {
      TensorMap in = harness::drawn_decode_tensors(problem, 4);
      fill_unused(in, garbage);
      EXPECT_TRUE(testing::same_bits(decode(problem, in), want)) << text << ", " << garbage;
    }
  }
}

TEST_P(DecodeLaws, AnEmptyCacheGivesRowsThatSeeNothing) {
  for (const char* cache : {"", " page=16", " batch_idx"}) {
    const Problem problem = Problem::parse(std::string("b3 h4/2 q2 k100 d64 seqlens") + cache);
    TensorMap in = harness::drawn_decode_tensors(problem, 1);
    in.at("cache_seqlens").fill_bytes(std::byte{0});
    for (const char* name : {"k_cache", "v_cache", "page_table"})
      if (in.contains(name)) in.at(name).fill_bytes(std::byte{0xff});
    const testing::Outcome outcome = decode(problem, in);
    for (std::int64_t b = 0; b < 3; ++b)
      for (std::int64_t h = 0; h < 4; ++h)
        for (std::int64_t row = 0; row < 2; ++row) {
          EXPECT_EQ(outcome.lse_at(b, h, row), -std::numeric_limits<double>::infinity());
          for (std::int64_t d = 0; d < 64; ++d) EXPECT_EQ(outcome.o_at(b, row, h, d), 0.0);
        }
  }
}

/// Tables of no turn at all: cos 1, sin 0.
TEST_P(DecodeLaws, AnAngleOfZeroTurnsNothing) {
  for (const char* plain : {"b2 h4/2 q3 k300 d64 causal append", "b2 h4/2 q3 k300 d64 bf16 append",
                            "b2 h4/2 q1 k300 d64 f64"}) {
    for (const char* rotary : {" rotary=64", " rotary=10,interleaved"}) {
      const Problem problem = Problem::parse(std::string(plain) + rotary);
      TensorMap in = harness::drawn_decode_tensors(problem, 1);
      HostTensor cos(DType::f32, {problem.seqlen_k, problem.rotary.dim / 2});
      std::fill_n(cos.as<float>(), cos.elements(), 1.0f);
      in.emplace("rotary_sin", HostTensor(DType::f32, cos.shape()));
      in.emplace("rotary_cos", std::move(cos));
      EXPECT_TRUE(testing::same_bits(decode(problem, in), decode(plain, 1))) << plain << rotary;
    }
  }
}

/// A sequence without a key stays in its batch, with tables that have no row for its queries: it
/// gets what rows that see nothing get, and the others what they get beside a busy one.
TEST_P(DecodeLaws, IdleSequencesMayStayInABatchThatTurnsByTables) {
  const Problem problem =
      Problem::parse("b3 h4/2 q2 k70 d64 causal append page=16 rotary=64 seqlens");
  TensorMap in = harness::drawn_decode_tensors(problem, 1);
  for (const char* name : {"rotary_cos", "rotary_sin"})
    in.emplace(name, HostTensor(DType::f32, {70, 32}));
  fill_rotary_tables({.rotary = problem.rotary}, 70, {in.at("rotary_cos").as<float>(), 70 * 32},
                     {in.at("rotary_sin").as<float>(), 70 * 32});
  const testing::Outcome busy = decode(problem, in);
  for (const char* name : {"cache_seqlens", "seqlens_new"}) in.at(name).set({1}, 0);
  in.at("seqlens_q").set({1}, 2);
  const testing::Outcome idle = decode(problem, in);
  for (std::int64_t h = 0; h < 4; ++h) {
    for (const std::int64_t b : {0, 2}) testing::expect_same_rows({idle, b, h}, {busy, b, h}, 2);
    for (std::int64_t row = 0; row < 2; ++row) {
      EXPECT_EQ(idle.lse_at(1, h, row), -std::numeric_limits<double>::infinity());
      for (std::int64_t d = 0; d < 64; ++d) EXPECT_EQ(idle.o_at(1, row, h, d), 0.0);
    }
  }
}

/// Scores depend on the distance of query and key alone, so the same turn of both changes little.
TEST_P(DecodeLaws, RotaryEmbeddingKnowsDistancesAlone) {
  const Problem problem = Problem::parse("h4/2 q8 k8 d64 causal append rotary=64");
  const Problem later = Problem::parse("h4/2 q8 k108 d64 causal append leftpad rotary=64");
  TensorMap in = harness::drawn_decode_tensors(problem, 1);
  TensorMap in_later = harness::drawn_decode_tensors(later, 1);
  in_later.at("leftpad_k").set({0}, 100);
  for (const char* name : {"k", "v"}) in_later.at(name) = in.at(name).clone();
  const testing::Outcome now = decode(problem, in), then = decode(later, in_later);
  for (std::int64_t h = 0; h < 4; ++h)
    for (std::int64_t row = 0; row < 8; ++row)
      EXPECT_NEAR(now.lse_at(0, h, row), then.lse_at(0, h, row), 1e-4) << h << ", " << row;
}

STROBE_ON_BACKENDS(DecodeLaws);

}  // namespace
}  // namespace strobe
