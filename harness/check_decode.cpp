// A decode case run and checked: o and lse against float64, the cache against what it must hold.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "api/validate.hpp"
#include "harness/accuracy.hpp"
#include "harness/accuracy_scan.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "reference/decode.hpp"

namespace strobe::harness {
namespace {

/// The cache as it was, and what the reference makes of it.
struct Expected {
  HostTensor k_cache{};
  HostTensor v_cache{};

  explicit Expected(const TensorMap& in)
      : k_cache(in.at("k_cache").clone()), v_cache(in.at("v_cache").clone()) {}

  DecodeTensors in_place_of(DecodeTensors tensors) {
    tensors.cache.k_cache = k_cache.view();
    tensors.cache.v_cache = v_cache.view();
    return tensors;
  }
};

bool within_ulps(double got, double want, double ulps, DType dtype) {
  return got == want || std::abs(got - want) <= ulps * ulp(want, dtype);
}

/// One row [dim] of a cache; `at` is its pages or entries, slot and head.
void compare_row(const HostTensor& got, const HostTensor& want, const Shape& at, double ulps,
                 Findings& findings, const char* name) {
  const std::int64_t size = size_of(want.dtype());
  const std::int64_t first =
      at[0] * want.strides()[0] + at[1] * want.strides()[1] + at[2] * want.strides()[2];
  const std::int64_t dim = want.shape()[3];
  if (dim == 0 || std::memcmp(got.data() + first * size, want.data() + first * size,
                              static_cast<std::size_t>(dim * size)) == 0)
    return;
  for (std::int64_t d = 0; d < dim; ++d) {
    const double ours = got.get({at[0], at[1], at[2], d});
    const double theirs = want.get({at[0], at[1], at[2], d});
    if ((std::isnan(ours) && std::isnan(theirs)) || within_ulps(ours, theirs, ulps, want.dtype()))
      continue;
    findings.add_made([&] {
      return fmt::format("{}[{}, {}, {}, {}] is {:.9g} and must be {:.9g}", name, at[0], at[1],
                         at[2], d, ours, theirs);
    });
  }
}

void compare_cache(const HostTensor& got, const HostTensor& want, double ulps, Findings& findings,
                   const char* name) {
  const Shape& shape = want.shape();
  for (std::int64_t outer = 0; outer < shape[0]; ++outer)
    for (std::int64_t row = 0; row < shape[1]; ++row)
      for (std::int64_t head = 0; head < shape[2]; ++head)
        compare_row(got, want, {outer, row, head}, ulps, findings, name);
}

/// The key that an angle turned may round the other way: cos and sin have an ulp of f64 to choose.
double ulps_of_keys(const Problem& problem) { return problem.rotary.dim > 0 ? 1.0 : 0.0; }

}  // namespace

CheckResult check_decode(const Problem& problem, const Draw& draw, const PlanOptions& options,
                         const std::function<void(double)>& progress) {
  CheckResult result{.problem = problem, .draw = draw, .options = options};
  TensorMap in = drawn_decode_tensors(problem, draw);
  TensorMap out = output_tensors(problem, in);
  const DecodeTensors tensors = decode_tensors(in, out);
  Expected expected(in);
  result.kernel = run_decode(problem, tensors, options);
  ThreadPool pool(options.threads);
  result.options.threads = pool.size();

  const DecodeParams p = api::decode_reference_params(expected.in_place_of(tensors), problem);
  reference::append(p);
  const std::vector<std::byte> turned = reference::turn_queries(p);
  result.comparison = compare_forward(reference::turned_params(p, turned), team_of(pool),
                                      {.seed = draw.seed, .progress = progress});
  Findings cache;
  compare_cache(in.at("k_cache"), expected.k_cache, ulps_of_keys(problem), cache, "k_cache");
  compare_cache(in.at("v_cache"), expected.v_cache, 0.0, cache, "v_cache");
  for (std::string& line : cache.lines()) result.comparison.failures.push_back(std::move(line));
  return result;
}

}  // namespace strobe::harness
