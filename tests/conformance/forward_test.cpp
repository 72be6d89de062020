// Forward on every backend against float64, one case string a test.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <tuple>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

using Case = std::tuple<std::string, std::string>;  // case, backend

class Forward : public ::testing::TestWithParam<Case> {};

TEST_P(Forward, IsAsExactAsStandardAttention) {
  const auto& [text, backend] = GetParam();
  const harness::CheckResult result =
      harness::check_forward(Problem::parse(text), /*seed=*/1, backend, /*threads=*/2);
  EXPECT_TRUE(result.passed()) << result.to_string();
}

std::vector<std::string> cases() {
  return {
      // sizes around every edge: vectors, tiles, chunks, blocks, tasks
      "h1 q1 d1",
      "h1 q1 k17 d16",
      "h1 q2 k3 d5",
      "h1 q15 d16",
      "h1 q16 d33",
      "h1 q17 d64/3",
      "h1 q63 d64",
      "h1 q64 d64",
      "h1 q65 d64",
      "h1 q127 d40",
      "h1 q128 d80",
      "h1 q129 d96",
      "h1 q511 d64",
      "h1 q513 d64",
      "h1 q1 k1025 d128",
      "h1 q77 k1023 d64",
      "h1 q130 k1024 d128",
      "h1 q3 k2050 d32",
      "h1 q600 k77 d40",
      "h3 q200 d192",
      "h1 q70 d256",
      "h1 q40 k90 d256/64",
      "h1 q40 k90 d17/255",
      "h1 q33 d320",
      "h1 q20 k33 d576/512",
      // types
      "h1 q64 d64 bf16",
      "h1 q65 k130 d64 bf16",
      "h1 q33 k77 d63 bf16",
      "h1 q33 k77 d1 bf16",
      "h1 q130 d128 bf16",
      "h1 q130 d80/33 bf16",
      "h1 q130 d96 bf16 o=f32",
      "h1 q1 k300 d128 bf16",
      "h1 q513 d64 bf16 causal",
      "h1 q40 d300 bf16",
      "h1 q64 d64 f16",
      "h1 q65 k130 d63/33 f16",
      "h1 q33 k77 d1 f16",
      "h1 q130 d128 f16 o=f32",
      "h1 q513 d80 f16 causal",
      "b4 h4/2 q150 d64 f16 varlen window=20,0",
      "b5 h2 q90 k400 d40 f16 seqlens causal layout=bhsd",
      "h1 q1 d1 f64",
      "h1 q13 k17 d3/5 f64",
      "h2 q65 k1100 d64 f64",
      "h1 q130 k300 d128 f64 o=f32",
      "h4/2 q513 d80/33 f64 causal layout=bhsd",
      "h1 q300 k400 d200 f64 window=37,3 sink_tokens=5 prefix=9",
      "b4 h2 q150 d64 f64 varlen window=20,0",
      "b5 h2 q90 k400 d40 f64 seqlens causal layout=bhsd",
      "b2 h1 q7 k0 d8 f64",
      // no keys, no queries, no sequences
      "h1 q5 k0 d8",
      "h1 q0 k5 d8",
      "h1 q0 k0 d8",
      "b0 h1 q5 d8",
      "b2 h1 q7 k0 d8 bf16",
      // heads
      "b2 h8/2 q65 k130 d64",
      "b3 h4/1 q33 d32 bf16",
      "h6/3 q100 d20 causal",
      "b2 h5 q70 d24",
      // causal, both alignments, more and fewer queries than keys
      "h1 q300 d64 causal",
      "h1 q300 k100 d64 causal",
      "h1 q100 k300 d64 causal",
      "h1 q300 k100 d64 causal align=top_left",
      "h1 q100 k300 d64 causal align=top_left",
      "b2 h2 q1030 d64 causal",
      "h1 q200 k1100 d128 bf16 causal",
      // windows
      "h1 q300 d64 window=0,0",
      "h1 q300 d64 window=17,3",
      "h1 q700 d64 window=128,0 causal",
      "h1 q300 k900 d64 window=-1,5",
      "h1 q300 k900 d64 window=256,-1",
      "h1 q700 d40 bf16 window=31,64",
      "h1 q300 k200 d64 window=40,40 align=top_left",
      "h1 q200 d64 window=5,9223372036854775807",
      // chunk, prefix, sinks, alone and together
      "h1 q300 d64 chunk=64",
      "h1 q300 k333 d64 chunk=50 causal",
      "h1 q300 d64 prefix=100 causal",
      "h1 q300 k400 d64 prefix=37 window=20,3",
      "h1 q500 d64 window=64,0 sink_tokens=4",
      "h1 q1200 d64 window=100,0 sink_tokens=40 causal",
      "h1 q500 k700 d64 bf16 chunk=200 window=30,10 sink_tokens=7 prefix=90 causal",
      "h1 q300 k100 d64 chunk=70 sink_tokens=5 window=9,9 align=top_left causal",
      // scale
      "h1 q100 d64 scale=0",
      "h1 q100 d64 scale=-0.25",
      "h1 q100 d64 scale=3",
      "h1 q100 d64 bf16 scale=0",
      "h1 q100 d64 bf16 scale=-0.3",
      "h1 q100 d64 bf16 scale=1e-30",
      // storage
      "b3 h2 q150 d64 layout=bhsd",
      "b3 h2 q150 d64 bf16 layout=bhsd causal",
      "b4 h2 q150 d32 varlen",
      "b4 h4/2 q150 k260 d64 varlen causal",
      "b4 h2 q150 d64 bf16 varlen layout=bhsd window=20,0",
      "b4 h2 q150 k90 d64 seqlens",
      "b4 h2 q150 d64 seqlens causal layout=bhsd",
      "b5 h2 q90 k400 d64 bf16 seqlens causal o=f32",
      "b9 h1 q700 d16 varlen causal",
  };
}

/// Scores and masks from memory, alone and together, on both sides of tile edges.
std::vector<std::string> option_cases() {
  return {
      "h2 q100 d64 softcap=5",
      "h2 q100 d64 f64 softcap=5",
      "h2 q100 k300 d40 f64 softcap=0.001 alibi sink_logits causal",
      "h2 q65 k129 d24 f64 bias=b,1,q,1:f32 allowed=1,h,q,k dropout=0.3",
      "b2 h4/2 q100 k300 d64 f64 blocks=7/13 intervals bias=1,h,q,k varlen",
      "h1 q70 k300 d32 bf16 softcap=0.5",
      "h3 q200 d64 alibi",
      "h2 q130 k700 d40 bf16 causal alibi",
      "h2 q300 d64 bias",
      "h2 q65 k129 d24 bias=1,h,1,k",
      "h2 q65 k129 d24 bf16 bias=b,1,q,1",
      "h2 q65 k129 d24 bf16 bias=1,1,1,1:f32",
      "b2 h2 q150 k170 d64 allowed",
      "h1 q63 k1030 d64 bf16 allowed=1,1,1,k",
      "b2 h2 q150 k170 d64 intervals",
      "h2 q300 d64 bf16 intervals=full causal",
      "h2 q260 k390 d64 blocks=64",
      "h2 q100 k300 d64 bf16 blocks=7/13",
      "h1 q200 k2500 d16 blocks=1/1000",
      "h4 q100 d64 sink_logits",
      "b2 h4/2 q70 k90 d64 bf16 sink_logits causal align=top_left",
      "h2 q100 d64 dropout=0.3",
      "b2 h2 q70 k1100 d32 bf16 dropout=0.97,18446744073709551615,134217727",
      "b2 h4/2 q200 k333 d40 causal softcap=3 alibi bias=1,h,q,k allowed=b,1,q,k intervals "
      "blocks=32/16 sink_logits dropout=0.1 varlen",
      "b2 h4/2 q200 k333 d40 bf16 window=50,0 sink_tokens=3 softcap=3 alibi bias=1,h,q,k:f32 "
      "allowed=b,1,q,k blocks=32/16 sink_logits dropout=0.1 seqlens",
  };
}

INSTANTIATE_TEST_SUITE_P(Cases, Forward,
                         ::testing::Combine(::testing::ValuesIn(cases()),
                                            ::testing::ValuesIn(testing::backends())),
                         [](const auto& info) {
                           return testing::test_name(std::get<0>(info.param) + " " +
                                                     std::get<1>(info.param));
                         });
INSTANTIATE_TEST_SUITE_P(Options, Forward,
                         ::testing::Combine(::testing::ValuesIn(option_cases()),
                                            ::testing::ValuesIn(testing::backends())),
                         [](const auto& info) {
                           return testing::test_name(std::get<0>(info.param) + " " +
                                                     std::get<1>(info.param));
                         });

}  // namespace
}  // namespace strobe
