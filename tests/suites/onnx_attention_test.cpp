// The node tests of the ONNX operator Attention, on the reference and on every backend.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>

#include "harness/random_cache.hpp"
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

/// Compares what a run's case gave with what ONNX expects: o, or scores or probabilities.
void expect_onnx(const OnnxRun& run, const Problem& problem, const std::string& backend,
                 const testing::Outcome& outcome) {
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

class OnnxAttention : public ::testing::TestWithParam<std::tuple<OnnxRun, std::string>> {};

TEST_P(OnnxAttention, GivesWhatOnnxExpects) {
  const auto& [run, backend] = GetParam();
  const Problem problem = Problem::parse(run.text);
  harness::TensorMap inputs = testing::onnx_inputs(run, problem);
  expect_onnx(run, problem, backend, testing::run(problem, inputs, backend));
}

/// The rows of k or v that lie in a contiguous cache without an index: ONNX's present_key and
/// present_value.
void expect_present(const harness::HostTensor& cache, const harness::HostTensor& rows,
                    const harness::TensorMap& in) {
  for_each_index(rows.shape(), [&](const Shape& at) {
    const double old = in.at("cache_seqlens").get({at[0]});
    const double added = in.contains("seqlens_new") ? in.at("seqlens_new").get({at[0]})
                                                    : static_cast<double>(in.at("k").shape()[1]);
    if (static_cast<double>(at[1]) < old + added) {
      ASSERT_EQ(cache.get(at), rows.get(at)) << harness::to_string(at);
    }
  });
}

/// Past keys in the cache and new ones appended to it, in one call: K of these tests has 6 rows (of
/// one, 2), and so many are new here in every run. Tests without a past are as well held in a cache
/// as others.
TEST_P(OnnxAttention, GivesWhatOnnxExpectsOverACache) {
  const auto& [run, backend] = GetParam();
  const Problem plain = Problem::parse(run.text);
  const harness::TensorMap forward = testing::onnx_inputs(run, plain);
  const std::string append = " append=" + std::to_string(std::min<std::int64_t>(6, plain.seqlen_k));
  for (const std::string& cache :
       {std::string(), append, " page=4" + append, " batch_idx" + append}) {
    SCOPED_TRACE(cache);
    const Problem problem = Problem::parse(run.text + cache);
    harness::TensorMap inputs = harness::in_cache(problem, 1, testing::onnx_inputs(run, plain));
    expect_onnx(run, problem, backend,
                testing::decode(problem, inputs, {.backend = backend, .op = Op::decode}));
    if (cache != append) continue;
    for (const char* const name : {"k", "v"})
      expect_present(inputs.at(std::string(name) + "_cache"), forward.at(name), inputs);
  }
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
