// Sink logits of every kind of value: what the formula says, on rows with and without keys.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Outcome;

class SinkValues : public testing::OnBackend {};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLogits[] = {kNaN, kInfinity, -kInfinity, -3e38, 3};

void set_logits(TensorMap& in) {
  for (std::int64_t h = 0; h < 5; ++h) in.at("sink_logits").set({h}, kLogits[h]);
}

void expect_near(const Outcome& got, const Outcome& want, const Problem& p) {
  const auto near = [](double x, double y) {
    return testing::same_value(x, y) || std::abs(x - y) <= 2e-2;
  };
  for (std::int64_t h = 0; h < p.num_heads; ++h)
    for (std::int64_t row = 0; row < p.seqlen_q; ++row) {
      EXPECT_PRED2(near, got.lse_at(0, h, row), want.lse_at(0, h, row))
          << p.to_string() << ", head " << h << " (sink " << kLogits[h] << "), row " << row;
      EXPECT_PRED2(near, got.o_at(0, row, h, 3), want.o_at(0, row, h, 3))
          << p.to_string() << ", head " << h << " (sink " << kLogits[h] << "), row " << row;
    }
}

/// The first 30 rows see no key: o is 0, and lse the logit, whatever it is.
TEST_P(SinkValues, OfForward) {
  for (const char* type : {"f32", "bf16", "f16", "f64"}) {
    const Problem p = Problem::parse(std::string("h5 q70 k40 d16 causal sink_logits ") + type);
    TensorMap in = harness::random_tensors(p, 4);
    set_logits(in);
    const Outcome got = testing::run(p, in, backend(), 2);
    expect_near(got, testing::run(p, in, "reference", 1), p);
    for (std::int64_t h = 0; h < 5; ++h) {
      EXPECT_EQ(got.o_at(0, 0, h, 0), 0.0);
      EXPECT_TRUE(testing::same_value(got.lse_at(0, h, 0), in.at("sink_logits").get({h})))
          << got.lse_at(0, h, 0);
    }
  }
}

TEST_P(SinkValues, OfDecode) {
  for (const char* type : {"f32", "bf16", "f16", "f64"}) {
    const Problem p = Problem::parse(std::string("h5 q7 k4 d16 causal sink_logits page=3 ") + type);
    TensorMap in = harness::drawn_decode_tensors(p, 4);
    set_logits(in);
    const auto decode = [&](const std::string& on) {
      return testing::decode(p, in, {.threads = 2, .backend = on, .op = Op::decode});
    };
    expect_near(decode(backend()), decode("reference"), p);
  }
}

STROBE_ON_BACKENDS(SinkValues);

}  // namespace
}  // namespace strobe
