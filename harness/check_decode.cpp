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

/// One tensor of the cache beside what it must be.
struct CachePair {
  const char* name;
  const HostTensor& got;
  const HostTensor& want;
  double ulps;  ///< that an element may be off

  bool same_row(const Shape& at) const {
    const Shape& strides = want.strides();
    const std::int64_t size = size_of(want.dtype());
    const std::int64_t first =
        (at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2]) * size;
    return std::memcmp(got.data() + first, want.data() + first,
                       static_cast<std::size_t>(want.shape()[3] * size)) == 0;
  }
  bool same_element(const Shape& at) const {
    const double ours = got.get(at), theirs = want.get(at);
    if (std::isnan(ours) || std::isnan(theirs)) return std::isnan(ours) && std::isnan(theirs);
    return ours == theirs || std::abs(ours - theirs) <= ulps * ulp(theirs, want.dtype());
  }
};

/// Head `head` of a slot; `place` is its page or entry.
void compare_row(const CachePair& pair, std::int64_t place, std::int64_t slot, std::int64_t head,
                 Findings& findings) {
  if (pair.same_row({place, slot, head, 0})) return;
  for (std::int64_t d = 0; d < pair.want.shape()[3]; ++d) {
    const Shape at{place, slot, head, d};
    if (pair.same_element(at)) continue;
    findings.add_made([&] {
      return fmt::format("{}{} is {:.9g} and must be {:.9g}", pair.name, to_string(at),
                         pair.got.get(at), pair.want.get(at));
    });
  }
}

void compare_cache(const CachePair& pair, Findings& findings) {
  const Shape& shape = pair.want.shape();
  for (std::int64_t place = 0; place < shape[0]; ++place)
    for (std::int64_t slot = 0; slot < shape[1]; ++slot)
      for (std::int64_t head = 0; head < shape[2]; ++head)
        compare_row(pair, place, slot, head, findings);
}

/// A key that was turned may round the other way: libraries differ in the last bit of cos and sin.
double ulps_of_keys(const Problem& problem) { return problem.rotary.dim > 0 ? 1.0 : 0.0; }

}  // namespace

CheckResult check_decode(const Problem& problem, const Draw& draw, const PlanOptions& options,
                         const std::function<void(double)>& progress) {
  api::check_op(problem, options.op, options.splits, "strobe::harness::check_decode");
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
  compare_cache({"k_cache", in.at("k_cache"), expected.k_cache, ulps_of_keys(problem)}, cache);
  compare_cache({"v_cache", in.at("v_cache"), expected.v_cache, 0.0}, cache);
  for (std::string& line : cache.lines()) result.comparison.failures.push_back(std::move(line));
  return result;
}

}  // namespace strobe::harness
