// Attention over parts of the keys, merged, is attention over all of them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "harness/random_tensors.hpp"
#include "harness/tensor_map.hpp"
#include "strobe/strobe.hpp"
#include "tests/support/random_problem.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Draw;

/// o, in f32 or f64, and lse of one forward.
struct Result {
  HostTensor o, lse;

  explicit Result(const Problem& p)
      : o(lse_dtype_of(p.dtype), {p.batch, p.seqlen_q, p.num_heads, p.head_dim_v}),
        lse(lse_dtype_of(p.dtype), {p.batch, p.num_heads, p.seqlen_q}) {
    o.fill_bytes(std::byte{0xff});
    lse.fill_bytes(std::byte{0xff});
  }
  Partial part() const { return {o.const_view(), lse.const_view()}; }
};

/// A sequence whose keys are cut: keys[i], keys[i + 1] are the ends of part i.
struct Cut {
  Problem problem{};
  TensorMap in{};
  std::vector<std::int64_t> keys{0};

  /// One to six parts, some of them empty.
  Cut(const std::string& text, std::uint64_t seed)
      : problem(Problem::parse(text)), in(harness::random_tensors(problem, seed)) {
    Draw draw(seed);
    for (std::int64_t cuts = draw.in(0, 5); cuts > 0; --cuts)
      keys.push_back(draw.in(0, problem.seqlen_k));
    keys.push_back(problem.seqlen_k);
    std::ranges::sort(keys);
  }
  std::size_t parts() const { return keys.size() - 1; }

  ForwardTensors tensors(Result& out) {
    return {.q = in.at("q").view(),
            .k = in.at("k").view(),
            .v = in.at("v").view(),
            .o = out.o.view(),
            .lse = out.lse.view()};
  }
  ConstTensorView sinks() const {
    const auto found = in.find("sink_logits");
    return found == in.end() ? ConstTensorView{} : found->second.const_view();
  }

  Result all_keys() {
    Result out(problem);
    ForwardTensors t = tensors(out);
    t.sink_logits = sinks();
    forward(t, {.mask = problem.mask});
    return out;
  }

  /// Part i of the memory: k and v are slices, and no mask may look at positions.
  Result slice(std::size_t i) {
    Result out(problem);
    ForwardTensors t = tensors(out);
    for (ConstTensorView* const view : {&t.k, &t.v}) {
      view->data = static_cast<const std::byte*>(view->data) +
                   keys[i] * view->strides[1] * size_of(view->dtype);
      view->shape[1] = keys[i + 1] - keys[i];
    }
    forward(t);
    return out;
  }

  /// Part i by what rows see: every mask acts as over all keys.
  Result interval(std::size_t i) {
    Result out(problem);
    const auto rows = static_cast<std::size_t>(problem.seqlen_q);
    const std::vector<std::int32_t> begin(rows, static_cast<std::int32_t>(keys[i]));
    const std::vector<std::int32_t> end(rows, static_cast<std::int32_t>(keys[i + 1]));
    ForwardTensors t = tensors(out);
    t.key_begin = {begin.data(), {1, 1, problem.seqlen_q}};
    t.key_end = {end.data(), {1, 1, problem.seqlen_q}};
    forward(t, {.mask = problem.mask});
    return out;
  }

  Result merged(const std::vector<Result>& results) {
    std::vector<Partial> parts;
    for (const Result& result : results) parts.push_back(result.part());
    Result out(problem);
    merge({.parts = parts, .o = out.o.view(), .lse = out.lse.view(), .sink_logits = sinks()});
    return out;
  }
};

/// Equal infinities are no distance; a NaN is an infinite one.
double distance(double a, double b) {
  if (a == b) return 0.0;
  const double apart = std::abs(a - b);
  return std::isnan(apart) ? HUGE_VAL : apart;
}

/// The largest difference of o and of lse.
double distance(const Result& a, const Result& b) {
  double largest = 0;
  const Shape n = a.o.shape();
  for (std::int64_t i = 0; i < n[0]; ++i)
    for (std::int64_t row = 0; row < n[1]; ++row)
      for (std::int64_t head = 0; head < n[2]; ++head) {
        for (std::int64_t d = 0; d < n[3]; ++d)
          largest =
              std::max(largest, distance(a.o.get({i, row, head, d}), b.o.get({i, row, head, d})));
        largest = std::max(largest, distance(a.lse.get({i, head, row}), b.lse.get({i, head, row})));
      }
  return largest;
}

struct Law {
  const char* text;
  double tolerance;
};

class MergeLaws : public ::testing::TestWithParam<Law> {};

TEST_P(MergeLaws, SlicesOfTheKeysMakeTheWhole) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Cut cut(GetParam().text, seed);
    cut.problem.mask = {};
    std::vector<Result> results;
    for (std::size_t i = 0; i < cut.parts(); ++i) results.push_back(cut.slice(i));
    EXPECT_LE(distance(cut.merged(results), cut.all_keys()), GetParam().tolerance) << seed;
  }
}

TEST_P(MergeLaws, IntervalsOfTheKeysMakeTheWholeUnderAnyMask) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Cut cut(GetParam().text, seed);
    std::vector<Result> results;
    for (std::size_t i = 0; i < cut.parts(); ++i) results.push_back(cut.interval(i));
    EXPECT_LE(distance(cut.merged(results), cut.all_keys()), GetParam().tolerance) << seed;
    std::ranges::reverse(results);
    EXPECT_LE(distance(cut.merged(results), cut.all_keys()), GetParam().tolerance) << seed;
  }
}

constexpr Law kLaws[] = {
    {"b2 h4/2 q9 k300 d40/24 f32", 4e-6},
    {"b2 h4/2 q9 k300 d40/24 f32 causal sink_logits", 4e-6},
    {"h3 q70 k60 d16 f32 causal window=20,-1", 4e-6},  // rows before the first key see nothing
    {"h3 q70 k60 d16 f32 causal sink_logits", 4e-6},
    {"h2 q9 k300 d40 bf16 causal sink_logits", 5e-3},  // weights are rounded to bf16
    {"h2 q9 k300 d40/300 f64 causal sink_logits", 4e-15},
};
INSTANTIATE_TEST_SUITE_P(Cases, MergeLaws, ::testing::ValuesIn(kLaws));

}  // namespace
}  // namespace strobe
