// The engine's append and turned queries have the bits of the reference's, whoever runs them.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/append.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/reference/decode_case.hpp"

namespace strobe {
namespace {

using testing::DecodeCase;
using testing::DecodeSpec;

/// Nobody; a pool of three; one caller that does what five were asked for.
std::vector<Parallel> executors() {
  static ThreadPool pool(3);
  return {{}, pool.parallel(), {.run = [](void*, int, Parallel::Body body, void* argument) {
            for (int call = 0; call < 5; ++call) body(argument);
          }}};
}

constexpr int kThreads = 3;

class Append : public ::testing::TestWithParam<DType> {
 protected:
  /// Ragged lengths, of which some are 0; enough rows for several workers.
  DecodeSpec spec() const {
    return {.dtype = GetParam(),
            .seqlen_q = 3,
            .head_dim = 20,
            .before = {5, 0, 17, 1000, 3},
            .seqlen_new = 4,
            .seqlens_q = {2, 3, 1, 3, 0},
            .seqlens_new = {4, 2, 1, 4, 0}};
  }
  /// Off; all dimensions, in halves; some, as neighbours; from tables.
  std::vector<DecodeSpec> specs() const {
    std::vector<DecodeSpec> all(4, spec());
    all[1].rotary = {.dim = 20};
    all[2].rotary = {.dim = 14, .interleaved = true, .base = 500000.0};
    all[3].rotary = {.dim = 6};
    all[3].tables = true;
    for (std::int64_t n = 0; n < 4; n += 2) all[static_cast<std::size_t>(n)].page_size = 3;
    return all;
  }
  /// Every type and granularity of a quantised cache.
  std::vector<DecodeSpec> quantised_specs() const {
    std::vector<DecodeSpec> all;
    for (const DType dtype : {DType::e4m3, DType::e5m2, DType::i8, DType::i4})
      for (const KvScales kind :
           {KvScales::tensor, KvScales::head, KvScales::token, KvScales::group}) {
        all.push_back(spec());
        all.back().kv_dtype = dtype;
        all.back().kv_scales = kind;
        all.back().head_dim = 80;
        all.back().head_dim_v = 34;
        all.back().rotary.dim = 20;
        all.back().page_size = kind == KvScales::group ? 3 : 0;
      }
    return all;
  }
};

TEST_P(Append, QuantisesAsTheReferenceToTheBit) {
  for (const DecodeSpec& spec : quantised_specs()) {
    DecodeCase want(spec);
    reference::append(want.params());
    for (const Parallel& parallel : executors()) {
      DecodeCase got(spec);
      std::vector<double> scratch(cpu::rotary_scratch(spec.rotary, kThreads));
      cpu::append(got.params(), parallel, kThreads, scratch);
      const std::string which = std::string(name_of(spec.kv_dtype)) + " scales " +
                                std::to_string(static_cast<int>(spec.kv_scales));
      EXPECT_EQ(got.k_cache, want.k_cache) << which;
      EXPECT_EQ(got.v_cache, want.v_cache) << which;
      EXPECT_EQ(
          std::memcmp(got.k_scale.data(), want.k_scale.data(), want.k_scale.size() * sizeof(float)),
          0)
          << which;
      EXPECT_EQ(
          std::memcmp(got.v_scale.data(), want.v_scale.data(), want.v_scale.size() * sizeof(float)),
          0)
          << which;
    }
  }
}

TEST_P(Append, EqualsTheReferenceToTheBit) {
  for (const DecodeSpec& spec : specs()) {
    DecodeCase want(spec);
    reference::append(want.params());
    for (const Parallel& parallel : executors()) {
      DecodeCase got(spec);
      std::vector<double> scratch(cpu::rotary_scratch(spec.rotary, kThreads));
      cpu::append(got.params(), parallel, kThreads, scratch);
      EXPECT_EQ(got.k_cache, want.k_cache) << "rotary.dim " << spec.rotary.dim;
      EXPECT_EQ(got.v_cache, want.v_cache) << "rotary.dim " << spec.rotary.dim;
    }
  }
}

/// Rows past a length are left out: zeros in the reference, untouched by the engine.
TEST_P(Append, QueriesEqualTheReferenceToTheBit) {
  for (const DecodeSpec& spec : specs()) {
    if (spec.rotary.dim == 0) continue;
    DecodeCase c(spec);
    const DecodeParams p = c.params();
    const std::vector<std::byte> want = reference::turn_queries(p);
    for (const Parallel& parallel : executors()) {
      std::vector<std::byte> got(want.size());
      std::vector<double> scratch(cpu::rotary_scratch(spec.rotary, kThreads));
      cpu::turn_queries(p, got.data(), parallel, kThreads, scratch);
      EXPECT_EQ(got, want) << "rotary.dim " << spec.rotary.dim;
    }
  }
}

TEST_P(Append, WithoutNewKeysNothingIsWritten) {
  DecodeSpec without = spec();
  without.seqlen_new = 0;
  without.seqlens_new.clear();
  DecodeCase c(without);
  const DecodeCase before = c;
  cpu::append(c.params(), {}, 1, {});
  EXPECT_EQ(c.k_cache, before.k_cache);
}

INSTANTIATE_TEST_SUITE_P(Types, Append,
                         ::testing::Values(DType::f32, DType::f16, DType::bf16, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(RotaryScratch, IsStepsAndEachThreadsCosAndSin) {
  EXPECT_EQ(cpu::rotary_scratch({.dim = 128}, 8), 64u + 8u * 128u);
  EXPECT_EQ(cpu::rotary_scratch({}, 8), 0u);
}

}  // namespace
}  // namespace strobe
