// Garbage that a row does not see never touches it; what it sees propagates.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Fills one row of k or v, all heads, all or one of the dims.
void plant(HostTensor& tensor, std::int64_t b, std::int64_t row, double value,
           std::int64_t only_dim = -1) {
  for (std::int64_t h = 0; h < tensor.shape()[2]; ++h)
    for (std::int64_t d = 0; d < tensor.shape()[3]; ++d)
      if (only_dim < 0 || d == only_dim) tensor.set({b, row, h, d}, value);
}

class NaNContract : public testing::OnBackend {};

/// (a) Keys that no row sees may hold anything, in every kind of unused memory.
TEST_P(NaNContract, UnseenMemoryNeverTouchesAResult) {
  for (const char* text :
       {"b2 h2 q90 k333 d40 causal align=top_left", "b2 h2 q90 k333 d40 bf16 window=30,0",
        "b3 h2 q100 k200 d33/31 seqlens", "b3 h2 q100 k200 d33/31 f16 seqlens causal",
        "b3 h2 q100 k200 d33/31 f64 seqlens causal", "b3 h2 q100 k200 d64 bf16 seqlens causal",
        "b2 h2 q40 k500 d64 window=20,0 sink_tokens=3", "b2 h1 q64 k128 d64 causal chunk=100"}) {
    const Problem problem = Problem::parse(text);
    TensorMap in = harness::random_tensors(problem, 2);
    const testing::Outcome clean = testing::run(problem, in, backend());
    for (std::int64_t b = 0; b < problem.batch; ++b) {
      Lengths n{problem.seqlen_q, problem.seqlen_k};
      if (problem.storage == Storage::seqlens)
        n = {in.at("seqlens_q").as<std::int32_t>()[b], in.at("seqlens_k").as<std::int32_t>()[b]};
      for (std::int64_t key = 0; key < problem.seqlen_k; ++key) {
        bool seen = false;
        for (std::int64_t row = 0; row < n.q; ++row) seen |= problem.mask.allows(row, key, n);
        if (seen) continue;
        plant(in.at("k"), b, key, key % 2 == 0 ? kNaN : kInfinity);
        plant(in.at("v"), b, key, key % 3 == 0 ? -kInfinity : kNaN);
      }
    }
    EXPECT_TRUE(testing::same_bits(testing::run(problem, in, backend()), clean)) << text;
  }
}

/// (b) NaN at position t stays at t and after: rows before keep their bits, rows after show it.
TEST_P(NaNContract, AMaskedKeyNeverTouchesARow) {
  for (const char* type : {"f32", "f16", "bf16", "f64"})
    for (const double value : {kNaN, kInfinity, -kInfinity})
      for (const std::int64_t position : {0, 15, 16, 77, 128, 199}) {
        const Problem problem = Problem::parse(std::string("b1 h2 q200 d40 causal ") + type);
        TensorMap in = harness::random_tensors(problem, 2);
        const testing::Outcome clean = testing::run(problem, in, backend());
        plant(in.at("k"), 0, position, value);
        plant(in.at("v"), 0, position, value);
        const testing::Outcome dirty = testing::run(problem, in, backend());
        for (std::int64_t row = 0; row < 200; ++row)
          for (std::int64_t d = 0; d < 40; ++d) {
            const double o = dirty.o_at(0, row, 1, d);
            if (row < position)
              ASSERT_EQ(o, clean.o_at(0, row, 1, d))
                  << value << " at " << position << ", row " << row;
            else
              ASSERT_FALSE(std::isfinite(o)) << value << " at " << position << ", row " << row;
          }
      }
}

/// One bad dim of v spoils that dim of the rows that see it, and nothing else.
TEST_P(NaNContract, ABadValueStaysInItsDim) {
  for (const char* type : {"f32", "f16", "bf16", "f64"}) {
    const Problem problem = Problem::parse(std::string("b1 h1 q150 d32 window=10,10 ") + type);
    TensorMap in = harness::random_tensors(problem, 2);
    const testing::Outcome clean = testing::run(problem, in, backend());
    plant(in.at("v"), 0, 70, kNaN, 5);
    const testing::Outcome dirty = testing::run(problem, in, backend());
    for (std::int64_t row = 0; row < 150; ++row)
      for (std::int64_t d = 0; d < 32; ++d)
        if (d == 5 && row >= 60 && row <= 80)
          ASSERT_TRUE(std::isnan(dirty.o_at(0, row, 0, d)));
        else
          ASSERT_EQ(dirty.o_at(0, row, 0, d), clean.o_at(0, row, 0, d)) << row << " " << d;
  }
}

/// A bad query is the matter of its own row.
TEST_P(NaNContract, ABadQueryStaysInItsRow) {
  for (const char* type : {"f32", "f16", "bf16", "f64"}) {
    const Problem problem = Problem::parse(std::string("b1 h1 q100 d32 ") + type);
    TensorMap in = harness::random_tensors(problem, 2);
    const testing::Outcome clean = testing::run(problem, in, backend());
    plant(in.at("q"), 0, 33, kNaN, 7);
    const testing::Outcome dirty = testing::run(problem, in, backend());
    for (std::int64_t row = 0; row < 100; ++row)
      for (std::int64_t d = 0; d < 32; ++d)
        if (row == 33)
          ASSERT_TRUE(std::isnan(dirty.o_at(0, row, 0, d)));
        else
          ASSERT_EQ(dirty.o_at(0, row, 0, d), clean.o_at(0, row, 0, d)) << row;
  }
}

STROBE_ON_BACKENDS(NaNContract);

}  // namespace
}  // namespace strobe
