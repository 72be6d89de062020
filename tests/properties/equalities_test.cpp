// Laws between problems: two ways to ask for the same rows give the same bits.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;

class Equalities : public testing::OnBackend {};

TEST_P(Equalities, AnyNumberOfThreadsGivesTheSameBits) {
  for (const char* text : {"b2 h3 q700 k1500 d64 causal", "b2 h2 q530 d40/56 bf16 window=100,20",
                           "b2 h2 q530 d40/56 f16 causal", "b2 h2 q530 d40/56 f64 causal",
                           "b4 h2 q300 d64 varlen causal"}) {
    const testing::Outcome one = testing::run(text, backend(), 4, 1);
    for (const int threads : {2, 3, 7})
      EXPECT_TRUE(testing::same_bits(one, testing::run(text, backend(), 4, threads)))
          << text << ", " << threads << " threads";
  }
}

TEST_P(Equalities, AnExecutorThatIsAPlainLoopGivesTheSameBits) {
  const Problem problem = Problem::parse("b2 h3 q400 d64 causal");
  TensorMap in = harness::random_tensors(problem, 1);
  const testing::Outcome expected = testing::run(problem, in, backend(), 3);
  testing::Outcome outcome{harness::output_tensors(problem, in)};
  const Plan plan(problem, {.threads = 3, .backend = backend()});
  std::vector<std::byte> workspace(plan.workspace_bytes());
  const Parallel loop{.run = [](void*, int workers, Parallel::Body body, void* argument) {
    for (int i = 0; i < workers + 2; ++i) body(argument);
  }};
  plan.run(harness::forward_tensors(in, outcome.out), {.parallel = loop, .workspace = workspace});
  EXPECT_TRUE(testing::same_bits(outcome, expected));
}

TEST_P(Equalities, ARowThatSeesOneKeyIsItsValue) {
  for (const char* text : {"h3 q5 k1 d16/40 f32", "h3 q40 k1 d16/40 bf16 o=f32 softcap=14.5",
                           "h3 q5 k1 d40/16 f16 o=f32", "h3 q5 k1 d40/16 f64",
                           "h3 q40 k40 d16 bf16 o=f32 window=0,0"}) {
    const Problem problem = Problem::parse(text);
    TensorMap in = harness::random_tensors(problem, 1);
    const testing::Outcome outcome = testing::run(problem, in, backend());
    for (std::int64_t row = 0; row < problem.seqlen_q; ++row)
      for (std::int64_t h = 0; h < problem.num_heads; ++h)
        for (std::int64_t dim = 0; dim < problem.head_dim_v; ++dim)
          ASSERT_EQ(outcome.o_at(0, row, h, dim),
                    in.at("v").get({0, std::min(row, problem.seqlen_k - 1), h, dim}))
              << text << ", row " << row << ", head " << h << ", dim " << dim;
  }
}

TEST_P(Equalities, LayoutsGiveTheSameBits) {
  for (const char* text : {"b2 h3 q150 k260 d64 causal", "b2 h4/2 q150 d40 bf16",
                           "b2 h4/2 q150 d40 f16", "b2 h4/2 q150 d40 f64"}) {
    const testing::Outcome bshd = testing::run(text, backend());
    const testing::Outcome bhsd = testing::run(std::string(text) + " layout=bhsd", backend());
    const Problem p = Problem::parse(text);
    for (std::int64_t b = 0; b < p.batch; ++b)
      for (std::int64_t h = 0; h < p.num_heads; ++h)
        testing::expect_same_rows({bshd, b, h}, {bhsd, b, h}, p.seqlen_q);
  }
}

TEST_P(Equalities, GroupedHeadsEqualRepeatedKeyHeads) {
  for (const char* type : {"f32", "f16", "bf16", "f64"}) {
    const Problem grouped = Problem::parse(std::string("b2 h6/2 q65 k130 d40 causal ") + type);
    Problem repeated = grouped;
    repeated.num_heads_kv = grouped.num_heads;
    TensorMap in = harness::random_tensors(grouped, 1);
    TensorMap in_repeated = harness::random_tensors(repeated, 1);
    for (const char* name : {"k", "v"}) {
      const HostTensor& from = in.at(name);
      in_repeated.at(name) = testing::rearranged(from, in_repeated.at(name).shape(), [](Shape i) {
        return Shape{i[0], i[1], i[2] / 3, i[3]};
      });
    }
    EXPECT_TRUE(testing::same_bits(testing::run(grouped, in, backend()),
                                   testing::run(repeated, in_repeated, backend())));
  }
}

TEST_P(Equalities, HeadsMayBePermuted) {
  const Problem problem = Problem::parse("b1 h4 q130 d32 causal");
  TensorMap in = harness::random_tensors(problem, 2);
  const testing::Outcome straight = testing::run(problem, in, backend());
  for (const char* name : {"q", "k", "v"})
    in.at(name) = testing::rearranged(in.at(name), in.at(name).shape(), [](Shape i) {
      return Shape{i[0], i[1], 3 - i[2], i[3]};
    });
  const testing::Outcome reversed = testing::run(problem, in, backend());
  for (std::int64_t h = 0; h < 4; ++h)
    testing::expect_same_rows({reversed, 0, 3 - h}, {straight, 0, h}, problem.seqlen_q);
}

/// Batch invariance: the bits of a row are a function of its own query and keys.
TEST_P(Equalities, ASequenceDoesNotFeelItsNeighbours) {
  for (const char* text : {"b5 h2 q700 d64 causal", "b5 h2 q333 k1200 d40 bf16 window=90,20",
                           "b5 h2 q333 k500 d40 f16", "b5 h2 q333 k500 d40 f64"}) {
    const Problem batch = Problem::parse(text);
    TensorMap in = harness::random_tensors(batch, 6);
    const testing::Outcome all = testing::run(batch, in, backend(), 2);
    Problem single = batch;
    single.batch = 1;
    for (const std::int64_t b : {0, 3}) {
      TensorMap one = harness::random_tensors(single, 6);
      for (const char* name : {"q", "k", "v"})
        one.at(name) = testing::rearranged(in.at(name), one.at(name).shape(), [b](Shape i) {
          return Shape{b, i[1], i[2], i[3]};
        });
      const testing::Outcome alone = testing::run(single, one, backend());
      for (std::int64_t h = 0; h < batch.num_heads; ++h)
        testing::expect_same_rows({all, b, h}, {alone, 0, h}, batch.seqlen_q);
    }
  }
}

/// The last rows of a prompt alone, or the whole prompt: the same bits.
TEST_P(Equalities, APromptMayComeInChunks) {
  for (const char* type : {"f32", "f16", "bf16", "f64"}) {
    const Problem whole = Problem::parse(std::string("b1 h2 q1500 d48 causal ") + type);
    TensorMap in = harness::random_tensors(whole, 9);
    const testing::Outcome all = testing::run(whole, in, backend());
    for (const auto& [first, last] : {std::pair{0, 1}, {0, 700}, {700, 777}, {777, 1500}}) {
      Problem part = whole;
      part.seqlen_q = last - first;
      part.seqlen_k = last;
      TensorMap some = harness::random_tensors(part, 9);
      some.at("q") =
          testing::rearranged(in.at("q"), some.at("q").shape(), [first = first](Shape i) {
            return Shape{i[0], i[1] + first, i[2], i[3]};
          });
      for (const char* name : {"k", "v"})
        some.at(name) = testing::rearranged(in.at(name), some.at(name).shape(),
                                            [](const Shape& i) { return i; });
      const testing::Outcome chunk = testing::run(part, some, backend());
      for (std::int64_t h = 0; h < 2; ++h)
        testing::expect_same_rows({chunk, 0, h}, {all, 0, h, first}, part.seqlen_q);
    }
  }
}

TEST_P(Equalities, PackedEqualsPadded) {
  const Problem packed = Problem::parse("b4 h4/2 q150 k230 d40 causal varlen");
  const Problem padded = Problem::parse("b4 h4/2 q150 k230 d40 causal seqlens");
  TensorMap in_packed = harness::random_tensors(packed, 8);
  TensorMap in_padded = harness::random_tensors(padded, 8);
  const testing::Outcome a = testing::run(packed, in_packed, backend());
  const testing::Outcome b = testing::run(padded, in_padded, backend());
  const auto* cu = in_packed.at("cu_seqlens_q").as<std::int32_t>();
  for (std::int64_t s = 0; s < packed.batch; ++s)
    for (std::int64_t row = cu[s]; row < cu[s + 1]; ++row)
      for (std::int64_t h = 0; h < packed.num_heads; ++h) {
        ASSERT_TRUE(testing::same_value(a.lse().get({h, row}), b.lse_at(s, h, row - cu[s])));
        for (std::int64_t d = 0; d < packed.head_dim_v; ++d)
          ASSERT_TRUE(testing::same_value(a.o().get({row, h, d}), b.o_at(s, row - cu[s], h, d)));
      }
}

TEST_P(Equalities, MasksThatMeanTheSameGiveTheSameBits) {
  const auto same = [&](const char* a, const char* b) {
    EXPECT_TRUE(testing::same_bits(testing::run(a, backend()), testing::run(b, backend())))
        << a << " | " << b;
  };
  same("h1 q300 d32 causal", "h1 q300 d32 window=-1,0");
  same("h1 q300 d32", "h1 q300 d32 window=299,299");
  same("h1 q300 d32 causal window=20,5", "h1 q300 d32 window=20,0");
  same("h1 q300 d32 chunk=300", "h1 q300 d32");
  same("h1 q300 d32 causal prefix=300", "h1 q300 d32");
  same("h1 q300 d32 causal window=30,-1 sink_tokens=300", "h1 q300 d32 causal");
  same("h1 q300 d32 causal align=top_left", "h1 q300 d32 causal");
}

TEST_P(Equalities, TheFirstRowsOfACausalPromptDoNotFeelTheRest) {
  const Problem problem = Problem::parse("b1 h1 q300 d32 causal align=top_left");
  TensorMap in = harness::random_tensors(problem, 1);
  const testing::Outcome before = testing::run(problem, in, backend());
  for (const char* name : {"q", "k", "v"})
    for (std::int64_t row = 100; row < 300; ++row)
      for (std::int64_t d = 0; d < 32; ++d) in.at(name).set({0, row, 0, d}, 1e3);
  const testing::Outcome after = testing::run(problem, in, backend());
  testing::expect_same_rows({after}, {before}, 100);
}

TEST_P(Equalities, ConstantValuesComeOutAsTheyWentIn) {
  const Problem problem = Problem::parse("b1 h2 q200 k1500 d32 causal");
  TensorMap in = harness::random_tensors(problem, 1);
  HostTensor& v = in.at("v");
  for (std::int64_t key = 0; key < 1500; ++key)
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t d = 0; d < 32; ++d) v.set({0, key, h, d}, static_cast<double>(d) - 7.0);
  const testing::Outcome outcome = testing::run(problem, in, backend());
  for (std::int64_t row = 0; row < 200; ++row)
    for (std::int64_t d = 0; d < 32; ++d)
      ASSERT_NEAR(outcome.o_at(0, row, 1, d), static_cast<double>(d) - 7.0, 5e-5);
}

STROBE_ON_BACKENDS(Equalities);

}  // namespace
}  // namespace strobe
