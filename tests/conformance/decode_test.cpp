// Decode on every backend against float64, one case string a test.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <tuple>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

using Case = std::tuple<std::string, std::string>;  // case, backend

class Decode : public ::testing::TestWithParam<Case> {};

TEST_P(Decode, IsAsExactAsStandardAttention) {
  const auto& [text, backend] = GetParam();
  const harness::CheckResult result = harness::check_decode(
      Problem::parse(text), /*draw=*/1, {.threads = 2, .backend = backend, .op = Op::decode});
  EXPECT_TRUE(result.passed()) << result.to_string();
}

/// Sizes around every edge: vectors, blocks, leaves, heads of a group, queries of a group, dims.
std::vector<std::string> sizes() {
  return {
      // keys
      "h8/2 q1 k1 d64",
      "h8/2 q1 k15 d64",
      "h8/2 q1 k16 d64",
      "h8/2 q1 k17 d64",
      "h8/2 q1 k127 d64",
      "h8/2 q1 k128 d64",
      "h8/2 q1 k129 d64",
      "h8/2 q1 k1023 d64",
      "h8/2 q1 k1024 d64",
      "h8/2 q1 k1025 d64",
      "h8/2 q1 k2050 d64",
      "h8/2 q1 k3000 d64",
      // heads
      "h1 q1 k300 d64",
      "b2 h8 q1 k300 d64",
      "b2 h8/2 q1 k300 d64",
      "b2 h8/1 q1 k300 d64",
      "b2 h12/4 q1 k300 d64",
      "h71/1 q1 k300 d64",
      "h71/1 q3 k300 d64 causal",
      // queries
      "h8/2 q2 k300 d64 causal",
      "h8/2 q3 k300 d64 causal",
      "h8/2 q5 k1100 d64 causal",
      "h8/2 q8 k300 d64 causal",
      "h8/2 q16 k300 d64 causal",
      "h8/2 q17 k300 d64 causal",
      "h8/2 q17 k300 d64",
      "h4/2 q70 k1100 d64 causal",
      "h2 q300 k40 d64 causal",
      // dims
      "h8/2 q1 k300 d1",
      "h8/2 q1 k300 d3",
      "h8/2 q1 k300 d80",
      "h8/2 q1 k300 d128",
      "h8/2 q1 k300 d256",
      "h8/2 q1 k300 d192/128",
      "h8/1 q1 k300 d576/512",
      "h8/2 q1 k300 d17/255",
      "h8/2 q2 k300 d320 causal",
      // nothing to see, nobody to see it
      "b2 h4/2 q2 k0 d8",
      "h4/2 q0 k40 d8",
      "b0 h4/2 q1 k40 d8",
      "h4/2 q5 k3 d8 causal",
  };
}

std::vector<std::string> types() {
  return {
      "b2 h8/2 q1 k1025 d128 bf16",
      "b2 h8/2 q1 k1025 d128 f16",
      "b2 h8/2 q1 k1025 d128 f64",
      "h8/1 q1 k130 d63/33 bf16",
      "h8/1 q1 k130 d63/33 f16",
      "h8/1 q1 k130 d63/33 f64",
      "h8/2 q1 k130 d1 bf16",
      "h8/2 q1 k130 d3 f16",
      "h8/2 q1 k300 d128 bf16 o=f32",
      "h8/2 q1 k300 d128 f16 o=f32",
      "h8/2 q1 k300 d128 f64 o=f32",
      "h8/1 q1 k300 d576/512 bf16",
      "h8/1 q1 k300 d192/128 f16",
      "h8/2 q3 k3000 d64 bf16 causal",
      "h8/2 q16 k300 d80 bf16 causal layout=bhsd",
      "h12/4 q17 k2050 d64 f16 causal",
      "h71/1 q1 k300 d64 bf16",
      "h8 q1 k1023 d64 f64 layout=bhsd",
  };
}

/// Where keys lie, and how they get there.
std::vector<std::string> caches() {
  return {
      "b3 h8/2 q1 k300 d64 layout=bhsd",
      "b3 h8/2 q1 k300 d64 page=1",
      "b3 h8/2 q1 k300 d64 page=3",
      "b3 h8/2 q1 k1300 d64 page=16",
      "b3 h8/2 q1 k1300 d64 page=100",
      "b3 h8/2 q1 k1300 d64 page=128",
      "b3 h8/2 q1 k1300 d64 page=1000",
      "b3 h8/2 q2 k300 d64 bf16 page=16 layout=bhsd causal",
      "b3 h8/2 q5 k300 d80 f16 page=3 causal",
      "b3 h4 q1 k300 d40 f64 page=100",
      "b3 h8/2 q1 k300 d64 append",
      "b3 h8/2 q1 k1 d64 append",
      "b3 h8/2 q5 k300 d64 causal append",
      "b3 h8/2 q2 k300 d64 causal append=7",
      "b3 h8/2 q7 k300 d64 causal append=2",
      "b3 h8/2 q40 k40 d64 causal append=40 page=16",
      "b3 h8/2 q3 k300 d64 bf16 causal append page=16 layout=bhsd",
      "b3 h8/2 q3 k300 d64 f16 causal append page=3",
      "b3 h8/2 q3 k300 d64 f64 causal append=5",
      "b3 h8/2 q1 k300 d64 rotary=64",
      "b3 h8/2 q1 k300 d64 append rotary=64",
      "b3 h8/2 q4 k300 d64 append causal rotary=32",
      "b3 h8/2 q4 k300 d64 append causal rotary=64,interleaved",
      "b3 h8/2 q4 k300 d128/40 bf16 append causal rotary=128,500000 page=16",
      "b3 h8/2 q4 k300 d80 f16 append causal rotary=2,interleaved,100",
      "b3 h8/2 q4 k300 d64 f64 append causal rotary=64 layout=bhsd",
      "b3 h8/2 q4 k300 d64 append causal align=top_left rotary=64",
      "b3 h8/2 q1 k300 d64 leftpad",
      "b3 h8/2 q3 k300 d64 bf16 leftpad causal append rotary=64",
      "b3 h8/2 q3 k300 d64 leftpad causal window=30,0 sink_tokens=3 page=16",
      "b3 h8/2 q1 k300 d64 batch_idx",
      "b3 h8/2 q3 k300 d64 bf16 batch_idx append causal layout=bhsd",
      "b3 h8/2 q3 k300 d64 batch_idx leftpad append rotary=64 seqlens causal",
      "b5 h8/2 q1 k1300 d64 seqlens",
      "b5 h8/2 q3 k1300 d64 bf16 seqlens causal page=16",
      "b9 h8/2 q3 k30 d64 seqlens causal append page=3",
      "b9 h8/2 q17 k30 d64 f16 seqlens causal append=9 leftpad page=1 rotary=64",
      "b9 h8/2 q1 k3 d64 seqlens append page=16",
  };
}

/// Caches of codes: every type of code under every granularity of scales, and around them.
std::vector<std::string> codes() {
  std::vector<std::string> cases = {
      "b3 h8/2 q1 k1300 d128 bf16 kv=int8 o=f32",
      "b3 h8/2 q1 k300 d1 kv=int8",
      "b3 h8/2 q1 k300 d2/6 bf16 kv=int4",
      "b3 h8/1 q1 k300 d576/512 bf16 kv=e4m3 page=16",
      "b3 h8/2 q3 k300 d33/95 f16 causal kv=int8:group layout=bhsd",
      "b3 h8/2 q40 k1300 d80 bf16 causal append=40 kv=int8 page=16 layout=bhsd",
      "b3 h8/2 q40 k300 d72 f16 causal append=40 kv=int4 batch_idx",
      "b9 h8/2 q3 k30 d64 seqlens causal append=2 leftpad page=3 rotary=32 kv=e4m3:token",
      "b2 h8/2 q17 k300 d64 f64 causal kv=int8 page=100 softcap=3 alibi blocks=2/16 sink_logits",
      "b2 h71/1 q1 k300 d64 bf16 kv=e5m2 allowed bias"};
  for (const char* type : {" kv=e4m3", " kv=e5m2", " kv=int8", " kv=int4"})
    for (const char* scales : {":tensor", ":head", ":token", ":group"})
      for (const char* of : {"h8/2 q1 k300 d72/40", "h8/2 q20 k300 d72/40 bf16 append=3 causal"})
        cases.push_back(std::string(of) + type + scales);
  return cases;
}

/// Masks and scores, alone and together.
std::vector<std::string> options() {
  const std::string all =
      " softcap=3 alibi bias=1,h,q,k allowed=b,1,q,k intervals blocks=2/16 sink_logits seqlens";
  return {
      "h8/2 q1 k300 d64 causal",
      "h8/2 q4 k300 d64 causal align=top_left",
      "h8/2 q1 k1300 d64 window=100,0",
      "h8/2 q4 k1300 d64 bf16 causal window=700,-1 sink_tokens=4",
      "h8/2 q4 k1300 d64 window=9,3",
      "h8/2 q4 k1300 d64 chunk=500",
      "h8/2 q4 k300 d64 causal prefix=298",
      "h8/2 q1 k300 d64 scale=0.3",
      "h8/2 q1 k300 d64 bf16 scale=-0.3",
      "h8/2 q1 k300 d64 scale=0",
      "h8/2 q1 k300 d64 softcap=5",
      "h8/2 q3 k300 d64 bf16 softcap=0.5 causal",
      "h8/2 q1 k300 d64 alibi",
      "h8/2 q3 k1300 d64 bf16 alibi causal page=16",
      "b2 h8/2 q3 k300 d64 bias",
      "b2 h8/2 q3 k300 d64 bias=1,h,1,k page=16",
      "b2 h8/2 q3 k300 d64 bf16 bias=b,1,q,1",
      "b2 h8/2 q3 k300 d64 bf16 bias=1,1,1,1:f32",
      "b2 h8/2 q3 k300 d64 f64 bias=b,h,q,k:f32",
      "b2 h8/2 q3 k300 d64 allowed",
      "b2 h8/2 q3 k1300 d64 bf16 allowed=1,1,1,k append",
      "b2 h8/2 q3 k300 d64 intervals",
      "b2 h8/2 q3 k300 d64 f16 intervals=full causal",
      "b2 h8/2 q3 k300 d64 blocks=2/64",
      "b2 h8/2 q5 k1300 d64 bf16 blocks=2/13 page=16",
      "h8/2 q1 k2500 d16 blocks=1/1000",
      "b2 h8/2 q1 k300 d64 sink_logits",
      "b2 h8/2 q3 k300 d64 bf16 sink_logits causal append",
      "b4 h8/2 q3 k333 d40 causal page=16 append rotary=40 leftpad" + all,
      "b4 h8/2 q3 k333 d40 bf16 causal append=7 leftpad batch_idx layout=bhsd" + all,
      "b4 h8/2 q3 k333 d40 bf16 window=50,0 sink_tokens=3 page=7" + all,
      "b4 h8/2 q3 k333 d40 f64 causal page=1 append rotary=20,interleaved" + all,
      "b4 h8/2 q3 k333 d40 f16 causal page=100 o=f32 determinism=run_to_run" + all,
  };
}

std::string name(const ::testing::TestParamInfo<Case>& info) {
  return testing::test_name(std::get<0>(info.param) + " " + std::get<1>(info.param));
}

auto on_every_backend(const std::vector<std::string>& cases) {
  return ::testing::Combine(::testing::ValuesIn(cases), ::testing::ValuesIn(testing::backends()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, Decode, on_every_backend(sizes()), name);
INSTANTIATE_TEST_SUITE_P(Types, Decode, on_every_backend(types()), name);
INSTANTIATE_TEST_SUITE_P(Caches, Decode, on_every_backend(caches()), name);
INSTANTIATE_TEST_SUITE_P(Codes, Decode, on_every_backend(codes()), name);
INSTANTIATE_TEST_SUITE_P(Options, Decode, on_every_backend(options()), name);

/// The oracle's own way through the harness.
INSTANTIATE_TEST_SUITE_P(Reference, Decode,
                         ::testing::Combine(::testing::ValuesIn(caches()),
                                            ::testing::Values("reference")),
                         name);

}  // namespace
}  // namespace strobe
