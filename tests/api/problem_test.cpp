// Cases as strings: the grammar, its defaults, and parse(to_string(p)) == p.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/problem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "api/case_reader.hpp"
#include "strobe/error.hpp"

namespace strobe {
namespace {

TEST(Parse, ReadsEverySizeAndOption) {
  const Problem p = Problem::parse(
      "b2 h32/8 q333 k1024 d128/64 bf16 causal window=128,0 chunk=512 prefix=16 sink_tokens=4 "
      "align=top_left scale=0.1 o=f32 varlen layout=bhsd determinism=run_to_run");
  const Problem expected{
      .batch = 2,
      .num_heads = 32,
      .num_heads_kv = 8,
      .seqlen_q = 333,
      .seqlen_k = 1024,
      .head_dim = 128,
      .head_dim_v = 64,
      .dtype = DType::bf16,
      .o_dtype = DType::f32,
      .mask = {.causal = true,
               .left = 128,
               .right = 0,
               .align = Align::top_left,
               .chunk = 512,
               .prefix = 16,
               .sink_tokens = 4},
      .score = {.scale = 0.1},
      .storage = Storage::varlen,
      .layout = Layout::bhsd,
      .determinism = Determinism::run_to_run,
  };
  EXPECT_EQ(p, expected);
}

TEST(Parse, FillsInWhatIsLeftOut) {
  const Problem p = Problem::parse("h8 q1024 d64");
  const Problem expected{.num_heads = 8,
                         .num_heads_kv = 8,
                         .seqlen_q = 1024,
                         .seqlen_k = 1024,
                         .head_dim = 64,
                         .head_dim_v = 64};
  EXPECT_EQ(p, expected);
  EXPECT_EQ(p.batch, 1);
  EXPECT_EQ(p.dtype, DType::f32);
  EXPECT_EQ(Problem::parse("h8 q1024 d64 bf16").o_dtype, DType::bf16);
}

TEST(Parse, TakesAnyOrderAndAnyBlanks) {
  const Problem p = Problem::parse("b2 h4/2 q7 k9 d16/8 bf16 causal seqlens");
  EXPECT_EQ(Problem::parse("  causal\tbf16 d16/8  k9 q7\n h4/2 seqlens b2 "), p);
}

TEST(Parse, TakesOptionsThatSayTheDefault) {
  const Problem p = Problem::parse("h1 q2 d3");
  EXPECT_EQ(Problem::parse("b1 h1/1 q2 k2 d3/3 f32 window=-1,-1 chunk=0 prefix=0 sink_tokens=0 "
                           "align=bottom_right o=f32 layout=bshd determinism=batch_invariant"),
            p);
}

TEST(Parse, TakesEmptySequencesAndBatches) {
  const Problem p = Problem::parse("b0 h1 q0 k0 d1");
  EXPECT_EQ(p.batch, 0);
  EXPECT_EQ(p.seqlen_q, 0);
  EXPECT_EQ(Problem::parse("h1 q4 k0 d1").seqlen_k, 0);
}

TEST(ToString, LeavesOutDefaults) {
  EXPECT_EQ(Problem::parse("b1 h8/8 q5 k5 d64/64 f32 o=f32").to_string(), "h8 q5 d64");
  EXPECT_EQ(Problem::parse("d64/32 q5 h8/2 b3 bf16").to_string(), "b3 h8/2 q5 d64/32 bf16");
}

TEST(ToString, WritesOptionsInOneOrder) {
  const char* const text =
      "b2 h32/8 q333 k1024 d128/64 bf16 causal window=128,0 chunk=512 prefix=16 sink_tokens=4 "
      "align=top_left scale=0.1 o=f32 seqlens layout=bhsd determinism=run_to_run";
  EXPECT_EQ(Problem::parse(text).to_string(), text);
}

TEST(ToString, WritesScaleSoThatItReadsBack) {
  Problem p = Problem::parse("h1 q1 d1");
  for (const double scale :
       {0.1, 1.0 / 3.0, -2.5, 0.0, 1e30, std::numeric_limits<double>::denorm_min(), -1e30,
        std::numeric_limits<double>::min()}) {
    p.score.scale = scale;
    EXPECT_EQ(Problem::parse(p.to_string()).score.scale, scale) << p.to_string();
  }
}

using Random = std::mt19937_64;

std::int64_t draw(Random& random, std::int64_t from, std::int64_t to) {
  return std::uniform_int_distribution<std::int64_t>(from, to)(random);
}

std::int64_t sometimes(Random& random, std::int64_t otherwise) {
  return draw(random, 0, 2) == 0 ? otherwise : draw(random, 0, 9999);
}

double any_finite(Random& random) {
  const double number = std::bit_cast<double>(random());
  return std::isfinite(number) ? number : 1.0;
}

void add_cache(Random& random, Problem& p) {
  p.page_size = sometimes(random, 0);
  const std::int64_t added = sometimes(random, p.seqlen_q);
  p.seqlen_new = draw(random, 0, 1) == 0 ? 0 : std::min(added, p.seqlen_k);
  p.rotary.dim = draw(random, 0, 1) == 0 ? 0 : 2 * draw(random, 0, p.head_dim / 2);
  p.rotary.interleaved = draw(random, 0, 1) == 0;
  if (draw(random, 0, 1) == 0)
    p.rotary.base = draw(random, 0, 1) == 0 ? static_cast<double>(draw(random, 1, 1000000))
                                            : std::max(1e-300, std::abs(any_finite(random)));
  p.cache_batch_idx = p.page_size == 0 && draw(random, 0, 1) == 0;
  p.leftpad_k = draw(random, 0, 1) == 0;
}

void add_codes(Random& random, Problem& p) {
  constexpr DType kTypes[] = {DType::e4m3, DType::e5m2, DType::i8, DType::i4};
  p.kv_dtype = kTypes[draw(random, 0, 3)];
  p.kv_scales = static_cast<KvScales>(draw(random, 1, 4));
  p.head_dim += p.kv_dtype == DType::i4 ? p.head_dim % 2 : 0;
  p.head_dim_v += p.kv_dtype == DType::i4 ? p.head_dim_v % 2 : 0;
}

Problem random_problem(Random& random) {
  Problem p;
  p.batch = sometimes(random, 1);
  p.num_heads_kv = draw(random, 1, 8);
  p.num_heads = p.num_heads_kv * draw(random, 1, 3);
  p.seqlen_q = draw(random, 0, 99999);
  p.seqlen_k = sometimes(random, p.seqlen_q);
  p.head_dim = draw(random, 1, 1024);
  p.head_dim_v = draw(random, 0, 1) == 0 ? p.head_dim : draw(random, 1, 1024);
  p.dtype = draw(random, 0, 1) == 0 ? DType::f32 : DType::bf16;
  p.o_dtype = draw(random, 0, 1) == 0 ? DType::f32 : p.dtype;
  p.mask.causal = draw(random, 0, 1) == 0;
  p.mask.left = sometimes(random, -1);
  p.mask.right = sometimes(random, -1);
  p.mask.align = draw(random, 0, 1) == 0 ? Align::bottom_right : Align::top_left;
  p.mask.chunk = sometimes(random, 0);
  p.mask.prefix = sometimes(random, 0);
  p.mask.sink_tokens = sometimes(random, 0);
  if (draw(random, 0, 1) == 0) p.score.scale = std::clamp(any_finite(random), -1e30, 1e30);
  p.storage = static_cast<Storage>(draw(random, 0, 2));
  p.layout = static_cast<Layout>(draw(random, 0, 1));
  p.determinism = static_cast<Determinism>(draw(random, 0, 1));
  add_cache(random, p);
  if (draw(random, 0, 2) == 0) add_codes(random, p);
  return p;
}

TEST(ToString, ParsesBackToTheProblem) {
  Random random(11);
  for (int round = 0; round < 5000; ++round) {
    const Problem p = random_problem(random);
    ASSERT_EQ(Problem::parse(p.to_string()), p) << p.to_string();
  }
}

TEST(ToString, IsTheCanonicalFormOfWhatItParsed) {
  Random random(12);
  for (int round = 0; round < 1000; ++round) {
    const std::string text = random_problem(random).to_string();
    ASSERT_EQ(Problem::parse(text).to_string(), text);
  }
}

TEST(ParseOptions, ReadsBackTheOptions) {
  Random random(13);
  for (int round = 0; round < 1000; ++round) {
    const Problem p = random_problem(random);
    ASSERT_EQ(Problem::parse_options(p.options_to_string(), p), p) << p.options_to_string();
  }
}

TEST(ParseOptions, KeepsSizesTypeAndStorageAlone) {
  const Problem sizes = Problem::parse("b2 h4/2 q7 k9 d16/8 bf16 causal chunk=8 scale=2 varlen");
  EXPECT_EQ(Problem::parse_options("", sizes), Problem::parse("b2 h4/2 q7 k9 d16/8 bf16 varlen"));
  EXPECT_EQ(Problem::parse_options("window=3,0 o=f32", sizes),
            Problem::parse("b2 h4/2 q7 k9 d16/8 bf16 window=3,0 o=f32 varlen"));
}

/// Words cut, doubled and joined at random end in a problem or an Error, never in anything else.
TEST(Parse, AnswersGarbageWithAnError) {
  const std::string letters = "bhqkd0123456789/=,.- +efinaculswmtox_\t\"\xff";
  Random random(14);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = random_problem(random).to_string();
    for (std::int64_t edits = draw(random, 1, 4); edits > 0; --edits) {
      const auto at =
          static_cast<std::size_t>(draw(random, 0, static_cast<std::int64_t>(text.size()) - 1));
      const auto letter =
          static_cast<std::size_t>(draw(random, 0, static_cast<std::int64_t>(letters.size()) - 1));
      text[at] = letters[letter];
    }
    try {
      const Problem p = Problem::parse(text);
      ASSERT_EQ(Problem::parse(p.to_string()), p) << text;
    } catch (const Error& error) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

TEST(OptionWords, HaveFormsThatStartWithTheirNames) {
  for (const api::OptionWord& option : api::option_words()) {
    EXPECT_TRUE(option.form.starts_with(option.name)) << option.name;
    EXPECT_EQ(option.form.find('=') != std::string_view::npos,
              option.value == api::Value::needed ||
                  (option.form != option.name &&
                   (option.read == nullptr || option.value == api::Value::optional)))
        << option.name;
  }
}

}  // namespace
}  // namespace strobe
