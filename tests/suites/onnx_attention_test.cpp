// The node tests of the ONNX operator Attention, on the reference and on every backend.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "tests/suites/onnx_runs.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using testing::OnnxRun;

/// |got - wanted| <= absolute + relative * |wanted|
struct Tolerance {
  double relative;
  double absolute;
};

/// ONNX's own runner allows 1e-3 and 1e-7 whatever the type. What it expects is float64, rounded.
Tolerance tolerance_of(const OnnxRun& run, const Problem& problem, const std::string& backend) {
  if (problem.dtype == DType::f16) return {1e-3, 1e-7};  // one ulp
  if (run.compared == "scores") return {0, 3e-6};        // of a logarithm
  return backend == "reference" ? Tolerance{2.5e-7, 0} : Tolerance{2e-6, 1e-7};
}

/// Compares value by value and says where the first wrong one is.
class Differences {
 public:
  explicit Differences(Tolerance tolerance) : tolerance_(tolerance) {}

  void add(const Shape& index, double got, double wanted) {
    ++values_;
    const double allowed = tolerance_.absolute + tolerance_.relative * std::abs(wanted);
    // -inf, the score of a key that the row does not see, must be met exactly.
    if (got == wanted || (std::isfinite(wanted) && std::abs(got - wanted) <= allowed)) return;
    if (wrong_++ > 0) return;
    first_ =
        fmt::format("at {}: {:.9g}, and ONNX expects {:.9g}; allowed is a difference of {:.2g}",
                    harness::to_string(index), got, wanted, allowed);
  }

  void expect_none() const {
    EXPECT_GT(values_, 0);
    EXPECT_EQ(wrong_, 0) << "of " << values_ << " values, the first " << first_;
  }

 private:
  Tolerance tolerance_;
  std::int64_t values_ = 0;
  std::int64_t wrong_ = 0;
  std::string first_{};
};

/// Calls what(index) for every index of a tensor of four axes.
template <class What>
void for_each_index(const Shape& shape, What&& what) {
  ASSERT_EQ(shape.rank(), 4);
  for (std::int64_t i = 0; i < shape[0]; ++i)
    for (std::int64_t j = 0; j < shape[1]; ++j)
      for (std::int64_t k = 0; k < shape[2]; ++k)
        for (std::int64_t l = 0; l < shape[3]; ++l) what(Shape{i, j, k, l});
}

class OnnxAttention : public ::testing::TestWithParam<std::tuple<OnnxRun, std::string>> {};

TEST_P(OnnxAttention, GivesWhatOnnxExpects) {
  const OnnxRun& run = std::get<0>(GetParam());
  const std::string& backend = std::get<1>(GetParam());
  const Problem problem = Problem::parse(run.text);
  harness::TensorMap inputs = testing::onnx_inputs(run, problem);
  const testing::Outcome outcome = testing::run(problem, inputs, backend);
  Differences differences(tolerance_of(run, problem, backend));
  if (run.compared == "o") {
    const harness::HostTensor wanted = testing::onnx_tensor(run, "o");
    ASSERT_EQ(outcome.o().shape(), wanted.shape());
    for_each_index(wanted.shape(), [&](const Shape& at) {
      differences.add(at, outcome.o().get(at), wanted.get(at));
    });
  } else {
    const harness::HostTensor wanted = testing::onnx_tensor(run, "qk");
    for_each_index(wanted.shape(), [&](const Shape& at) {
      const double p = outcome.o_at(at[0], at[2], at[1], at[3]);
      const double score = std::log(p) + outcome.lse_at(at[0], at[1], at[2]);
      differences.add(at, run.compared == "scores" ? score : p, wanted.get(at));
    });
  }
  differences.expect_none();
}

std::vector<std::string> all_backends() {
  std::vector<std::string> names = testing::backends();
  names.insert(names.begin(), "reference");
  return names;
}

INSTANTIATE_TEST_SUITE_P(Runs, OnnxAttention,
                         ::testing::Combine(::testing::ValuesIn(testing::onnx_runs()),
                                            ::testing::ValuesIn(all_backends())),
                         [](const auto& info) {
                           const OnnxRun& run = std::get<0>(info.param);
                           return testing::test_name(run.name + " " + run.compared + " " +
                                                     std::get<1>(info.param));
                         });

}  // namespace
}  // namespace strobe
