// Runs a problem on a backend and keeps what came out, for tests that compare runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cpu/detect.hpp"
#include "harness/accuracy.hpp"
#include "harness/random_tensors.hpp"
#include "harness/tensor_map.hpp"
#include "strobe/strobe.hpp"

namespace strobe::testing {

/// The CPU backends that this machine can run, by the names that the tool takes.
inline std::vector<std::string> backends() {
  std::vector<std::string> names;
  for (const cpu::Isa isa :
       {cpu::Isa::portable, cpu::Isa::avx2, cpu::Isa::avx512, cpu::Isa::avx512bf16})
    if (cpu::machine_has(isa)) names.push_back(std::string("cpu:") + cpu::name_of(isa));
  return names;
}

/// o and lse of one run, in maps so that they move with their names.
struct Outcome {
  harness::TensorMap out;

  const harness::HostTensor& o() const { return out.at("o"); }
  const harness::HostTensor& lse() const { return out.at("lse"); }
  double o_at(std::int64_t b, std::int64_t row, std::int64_t head, std::int64_t dim) const {
    return o().get({b, row, head, dim});
  }
  double lse_at(std::int64_t b, std::int64_t head, std::int64_t row) const {
    return lse().get({b, head, row});
  }
};

inline Outcome run(const Problem& problem, harness::TensorMap& inputs, const std::string& backend,
                   int threads = 1) {
  Outcome outcome{harness::output_tensors(problem, inputs)};
  harness::run_forward(problem, harness::forward_tensors(inputs, outcome.out), backend, threads);
  return outcome;
}

inline Outcome run(const std::string& text, const std::string& backend, std::uint64_t seed = 0,
                   int threads = 1) {
  const Problem problem = Problem::parse(text);
  harness::TensorMap inputs = harness::random_tensors(problem, seed);
  return run(problem, inputs, backend, threads);
}

/// Decodes; where there are new keys, the cache in `inputs` has them afterwards.
inline Outcome decode(const Problem& problem, harness::TensorMap& inputs,
                      const PlanOptions& options) {
  Outcome outcome{harness::output_tensors(problem, inputs)};
  harness::run_decode(problem, harness::decode_tensors(inputs, outcome.out), options);
  return outcome;
}

/// A tensor of the same type whose element at `index` is that of `from` at map(index).
inline harness::HostTensor rearranged(const harness::HostTensor& from, const Shape& shape,
                                      const std::function<Shape(const Shape&)>& map) {
  harness::HostTensor to(from.dtype(), shape);
  for (std::int64_t b = 0; b < shape[0]; ++b)
    for (std::int64_t r = 0; r < shape[1]; ++r)
      for (std::int64_t h = 0; h < shape[2]; ++h)
        for (std::int64_t d = 0; d < shape[3]; ++d)
          to.set({b, r, h, d}, from.get(map({b, r, h, d})));
  return to;
}

/// Equal bits, NaN included. The layouts must agree.
inline bool same_bits(const harness::HostTensor& a, const harness::HostTensor& b) {
  return a.bytes() == b.bytes() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.bytes())) == 0;
}
inline bool same_bits(const Outcome& a, const Outcome& b) {
  return same_bits(a.o(), b.o()) && same_bits(a.lse(), b.lse());
}

/// Are two doubles the same value, or both NaN?
inline bool same_value(double a, double b) { return a == b || (a != a && b != b); }

/// Rows of one head of a result that is not packed, from `first` on.
struct HeadRows {
  const Outcome& outcome;
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t first = 0;
};

/// Compares `rows` rows of two results, bit for bit.
inline void expect_same_rows(const HeadRows& got, const HeadRows& want, std::int64_t rows) {
  for (std::int64_t row = 0; row < rows; ++row) {
    ASSERT_TRUE(same_value(got.outcome.lse_at(got.batch, got.head, got.first + row),
                           want.outcome.lse_at(want.batch, want.head, want.first + row)))
        << "lse of row " << row;
    for (std::int64_t dim = 0; dim < got.outcome.o().shape()[3]; ++dim)
      ASSERT_TRUE(same_value(got.outcome.o_at(got.batch, got.first + row, got.head, dim),
                             want.outcome.o_at(want.batch, want.first + row, want.head, dim)))
          << "o of row " << row << ", dim " << dim;
  }
}

/// A name for gtest from any text: letters and digits stay.
inline std::string test_name(const std::string& text) {
  std::string name;
  for (const char c : text) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

class OnBackend : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string& backend() const { return GetParam(); }
};
#define STROBE_ON_BACKENDS(Suite)                                          \
  INSTANTIATE_TEST_SUITE_P(                                                \
      Backends, Suite, ::testing::ValuesIn(::strobe::testing::backends()), \
      [](const auto& info) { return ::strobe::testing::test_name(info.param); })

}  // namespace strobe::testing
