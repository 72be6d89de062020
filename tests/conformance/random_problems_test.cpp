// Seeded random problems over the whole option space, on every backend, against float64.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "api/validate.hpp"
#include "tests/support/random_problem.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using testing::Draw;
using testing::random_problem;
using testing::Seeds;

class RandomProblems : public testing::OnBackend {};

TEST_P(RandomProblems, AreAsExactAsStandardAttention) {
  Seeds seeds(60);
  while (const auto seed = seeds.next()) {
    Draw draw(*seed);
    const Problem problem = random_problem(draw);
    const auto threads = static_cast<int>(draw.in(1, 3));
    const harness::CheckResult result = harness::check_forward(problem, *seed, backend(), threads);
    ASSERT_TRUE(result.passed()) << result.to_string();
  }
}

/// What makes an online softmax stumble, in one number for each row and element.
enum class Values { peaked, rising, outliers, denormal, largest };

double spoilt(Values values, const std::string& name, std::int64_t row, double x) {
  const auto r = static_cast<double>(row);
  const bool q = name == "q", k = name == "k", v = name == "v";
  switch (values) {
    case Values::peaked: return q ? 12.0 * x : x;
    case Values::rising: return q ? std::abs(x) : k ? 0.1 * x + 0.02 * r : x;
    case Values::outliers: return k && row % 97 == 3 ? 50 * x : v && row % 61 == 5 ? 1000 * x : x;
    case Values::denormal: return v ? 1e-39 * x : k && row % 3 == 0 ? 1e-40 * x : x;
    default: return v ? 1e34 * x : x;
  }
}

/// bf16 dot products read denormal numbers as 0, and f16 holds neither these nor the largest.
bool has(DType type, Values values) {
  return type == DType::f32 || values == Values::peaked || values == Values::rising ||
         values == Values::outliers || (type == DType::bf16 && values == Values::largest);
}

void spoil(harness::TensorMap& in, Values values) {
  for (const char* const name : {"q", "k", "v"}) {
    HostTensor& tensor = in.at(name);
    const bool packed = tensor.rank() == 3;
    Shape n = tensor.shape();
    if (packed) n = {1, n[0], n[1], n[2]};
    for (std::int64_t b = 0; b < n[0]; ++b)
      for (std::int64_t row = 0; row < n[1]; ++row)
        for (std::int64_t h = 0; h < n[2]; ++h)
          for (std::int64_t d = 0; d < n[3]; ++d) {
            const Shape at = packed ? Shape{row, h, d} : Shape{b, row, h, d};
            tensor.set(at, spoilt(values, name, row, tensor.get(at)));
          }
  }
}

TEST_P(RandomProblems, HoldWithHardValuesToo) {
  Seeds seeds(25);
  while (const auto seed = seeds.next()) {
    Draw draw(*seed ^ 0x68617264);  // other problems than above
    const Problem problem = random_problem(draw);
    const auto values = static_cast<Values>(draw.in(0, 4));
    if (!has(problem.dtype, values)) continue;
    harness::TensorMap in = harness::random_tensors(problem, *seed);
    spoil(in, values);
    testing::Outcome outcome = testing::run(problem, in, backend(), 2);
    const ForwardTensors tensors = harness::forward_tensors(in, outcome.out);
    const harness::Comparison comparison =
        harness::compare_forward(api::forward_params(tensors, problem), harness::Team{});
    ASSERT_TRUE(comparison.passed())
        << problem.to_string() << " on " << backend() << ", seed " << *seed << ", values "
        << static_cast<int>(values) << "\n"
        << comparison.to_string() << "  the same options with normal values: strobe check \""
        << problem.to_string() << "\" --backend " << backend() << " --seed " << *seed;
  }
}

STROBE_ON_BACKENDS(RandomProblems);

}  // namespace
}  // namespace strobe
