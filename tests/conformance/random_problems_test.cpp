// Seeded random problems over the whole option space, on every backend, against float64.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  std::int64_t in(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool one_in(std::int64_t n) { return in(1, n) == 1; }

 private:
  std::mt19937_64 engine_;
};

Mask random_mask(Draw& draw) {
  Mask mask;
  mask.causal = draw.one_in(2);
  if (draw.one_in(3)) mask.left = draw.in(0, draw.one_in(2) ? 40 : 600);
  if (draw.one_in(4)) mask.right = draw.in(0, draw.one_in(2) ? 40 : 300);
  if (draw.one_in(4)) mask.align = Align::top_left;
  if (draw.one_in(5)) mask.chunk = draw.in(1, 300);
  if (draw.one_in(5)) mask.prefix = draw.in(1, 200);
  if (draw.one_in(5)) mask.sink_tokens = draw.in(1, 40);
  return mask;
}

PairAxes random_axes(Draw& draw) {
  return {true, draw.one_in(2), draw.one_in(2), draw.one_in(2), draw.one_in(2)};
}

void add_pair_options(Draw& draw, Problem& p) {
  if (draw.one_in(4)) p.score.softcap = static_cast<double>(draw.in(1, 60)) / 2.0;
  if (draw.one_in(4)) p.alibi = true;
  if (draw.one_in(4)) p.bias = random_axes(draw);
  if (p.bias.given) p.bias_dtype = draw.one_in(2) ? p.dtype : DType::f32;
  if (draw.one_in(4)) p.allowed = random_axes(draw);
  if (draw.one_in(4)) p.intervals = Intervals::drawn;
  if (draw.one_in(4)) {
    p.mask.block_q = draw.in(1, draw.one_in(2) ? 20 : 200);
    p.mask.block_k = draw.in(1, draw.one_in(2) ? 20 : 200);
  }
  if (draw.one_in(4)) p.sink_logits = true;
  if (draw.one_in(5)) {
    const auto seed = static_cast<std::uint64_t>(draw.in(0, 1000));
    p.dropout = {static_cast<double>(draw.in(1, 99)) / 100.0, seed, seed};
  }
}

Problem random_problem(Draw& draw) {
  Problem p;
  p.batch = draw.in(1, 3);
  p.num_heads_kv = draw.in(1, 2);
  p.num_heads = p.num_heads_kv * draw.in(1, 3);
  p.seqlen_q = draw.in(1, draw.one_in(6) ? 1300 : 300);
  p.seqlen_k = draw.one_in(3) ? p.seqlen_q : draw.in(0, draw.one_in(6) ? 2600 : 400);
  p.head_dim = draw.in(1, draw.one_in(4) ? 300 : 140);
  p.head_dim_v = draw.one_in(2) ? p.head_dim : draw.in(1, 140);
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::f64};
  p.dtype = kTypes[draw.in(0, 2)];
  p.o_dtype = draw.one_in(2) ? p.dtype : DType::f32;
  p.mask = random_mask(draw);
  if (draw.one_in(6)) p.score.scale = static_cast<double>(draw.in(-10, 10)) / 20.0;
  add_pair_options(draw, p);
  p.storage = static_cast<Storage>(draw.in(0, 2));
  p.layout = static_cast<Layout>(draw.in(0, 1));
  return p;
}

class RandomProblems : public testing::OnBackend {};

TEST_P(RandomProblems, AreAsExactAsStandardAttention) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Draw draw(seed);
    const Problem problem = random_problem(draw);
    const auto threads = static_cast<int>(draw.in(1, 3));
    const harness::CheckResult result = harness::check_forward(problem, seed, backend(), threads);
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

STROBE_ON_BACKENDS(RandomProblems);

}  // namespace
}  // namespace strobe
