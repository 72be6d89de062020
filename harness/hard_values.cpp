// Values that are hard on an online softmax: drawn ones, changed by a rule that has a name.
// SPDX-License-Identifier: Apache-2.0
#include "harness/hard_values.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "harness/random_tensors.hpp"

namespace strobe::harness {
namespace {

struct Kind {
  Values values;
  const char* name;
};

constexpr std::array kKinds{Kind{Values::normal, "normal"},     Kind{Values::peaked, "peaked"},
                            Kind{Values::rising, "rising"},     Kind{Values::falling, "falling"},
                            Kind{Values::outliers, "outliers"}, Kind{Values::denormal, "denormal"},
                            Kind{Values::largest, "largest"}};

/// Calls change(row, element) for every element of [batch, seqlen, heads, dim] or, packed,
/// [total, heads, dim], and stores what it returns.
template <class Change>
void change_each(HostTensor& tensor, Change change) {
  const Shape& n = tensor.shape();
  const bool packed = tensor.rank() == 3;
  const int first = packed ? 0 : 1;
  for (std::int64_t b = 0; b < (packed ? 1 : n[0]); ++b)
    for (std::int64_t row = 0; row < n[first]; ++row)
      for (std::int64_t h = 0; h < n[first + 1]; ++h)
        for (std::int64_t d = 0; d < n[first + 2]; ++d) {
          const Shape at = packed ? Shape{row, h, d} : Shape{b, row, h, d};
          tensor.set(at, change(row, tensor.get(at)));
        }
}

void scale_all(HostTensor& tensor, double factor) {
  change_each(tensor, [factor](std::int64_t, double x) { return factor * x; });
}

void make_rising(TensorMap& in) {
  change_each(in.at("q"), [](std::int64_t, double x) { return std::abs(x); });
  change_each(in.at("k"),
              [](std::int64_t row, double x) { return 0.1 * x + 0.02 * static_cast<double>(row); });
}

void make_falling(TensorMap& in) {
  change_each(in.at("k"), [](std::int64_t row, double x) {
    return x * (row % 128 < 64 ? 3.0 : 1.0) - 0.001 * static_cast<double>(row);
  });
}

void make_outliers(TensorMap& in) {
  change_each(in.at("k"), [](std::int64_t row, double x) { return row % 97 == 0 ? 50.0 * x : x; });
  change_each(in.at("v"),
              [](std::int64_t row, double x) { return row % 61 == 0 ? 1000.0 * x : x; });
}

void make_denormal(const Problem& problem, TensorMap& in) {
  const double tiny = problem.dtype == DType::f16   ? 1e-6
                      : problem.dtype == DType::f64 ? 1e-310
                                                    : 1e-39;
  scale_all(in.at("v"), tiny);
  change_each(in.at("k"),
              [tiny](std::int64_t row, double x) { return row % 3 == 0 ? 0.1 * tiny * x : x; });
}

/// p v is summed unnormalised: 256 seqlen_k |v| must stay finite, and o in its type.
void make_largest(const Problem& problem, TensorMap& in) {
  const double greatest = problem.o_dtype == DType::f64 ? 1.7e308 : 3.4e38;
  const double summed = greatest / (256.0 * static_cast<double>(problem.seqlen_k));
  const double largest = (problem.dtype == DType::f16 ? 65504.0 : summed) / 5.0;
  change_each(in.at("v"), [largest](std::int64_t, double x) { return largest * std::min(x, 5.0); });
}

}  // namespace

const char* name_of(Values values) {
  return std::find_if(kKinds.begin(), kKinds.end(),
                      [values](const Kind& kind) { return kind.values == values; })
      ->name;
}

std::optional<Values> find_values(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return kind.values;
  }
  return std::nullopt;
}

std::string values_names() {
  std::string names;
  for (const Kind& kind : kKinds) names += (names.empty() ? "" : ", ") + std::string(kind.name);
  return names;
}

void make_hard(Values values, const Problem& problem, TensorMap& tensors) {
  switch (values) {
    case Values::normal: return;
    case Values::peaked: return scale_all(tensors.at("q"), 12.0);
    case Values::rising: return make_rising(tensors);
    case Values::falling: return make_falling(tensors);
    case Values::outliers: return make_outliers(tensors);
    case Values::denormal: return make_denormal(problem, tensors);
    case Values::largest: return make_largest(problem, tensors);
  }
}

TensorMap drawn_tensors(const Problem& problem, const Draw& draw) {
  TensorMap tensors = random_tensors(problem, draw.seed);
  make_hard(draw.values, problem, tensors);
  return tensors;
}

}  // namespace strobe::harness
