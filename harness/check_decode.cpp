// A decode case run and checked: o and lse against float64, the cache against what it must hold.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "api/validate.hpp"
#include "harness/accuracy.hpp"
#include "harness/accuracy_scan.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "harness/stretch.hpp"
#include "reference/decode.hpp"

namespace strobe::harness {
namespace {

/// The cache as it was, and what the reference makes of it.
struct Expected {
  HostTensor k_cache{}, v_cache{};
  HostTensor k_scale{}, v_scale{};  ///< of a quantised cache

  explicit Expected(const TensorMap& in)
      : k_cache(in.at("k_cache").clone()), v_cache(in.at("v_cache").clone()) {
    if (!in.contains("k_scale")) return;
    k_scale = in.at("k_scale").clone();
    v_scale = in.at("v_scale").clone();
  }

  DecodeTensors in_place_of(DecodeTensors tensors) {
    tensors.cache.k_cache = k_cache.view();
    tensors.cache.v_cache = v_cache.view();
    tensors.cache.k_scale = k_scale.view();
    tensors.cache.v_scale = v_scale.view();
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
    const auto bytes = [&](std::int64_t count) { return bytes_of(want.dtype(), count); };
    const std::int64_t first = bytes(at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2]);
    return std::memcmp(got.data() + first, want.data() + first,
                       static_cast<std::size_t>(bytes(want.shape()[3]))) == 0;
  }
  /// To the next number or code.
  double step(double value) const {
    switch (want.dtype()) {
      case DType::e4m3: return std::max(std::ldexp(1.0, std::ilogb(value) - 3), 0x1p-9);
      case DType::e5m2: return std::max(std::ldexp(1.0, std::ilogb(value) - 2), 0x1p-16);
      case DType::i8:
      case DType::i4: return 1;
      default: return ulp(value, want.dtype());
    }
  }
  bool same_element(const Shape& at) const {
    const double ours = got.get(at), theirs = want.get(at);
    if (std::isnan(ours) || std::isnan(theirs)) return std::isnan(ours) && std::isnan(theirs);
    return ours == theirs || std::abs(ours - theirs) <= ulps * step(theirs);
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

/// Bit by bit, but for scales of turned keys: these may be an ulp off, as their largest number is.
void compare_scales(const char* name, const HostTensor& got, const HostTensor& want, double ulps,
                    Findings& findings) {
  for (std::int64_t i = 0; i < want.elements(); ++i) {
    const float ours = got.as<float>()[i], theirs = want.as<float>()[i];
    if (std::bit_cast<std::uint32_t>(ours) == std::bit_cast<std::uint32_t>(theirs)) continue;
    if (std::abs(ours - theirs) <= ulps * 0x1p-7 * std::abs(theirs)) continue;
    findings.add_made([&] {
      return fmt::format("{}: number {} is {:.9g} and must be {:.9g}", name, i, ours, theirs);
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
  const double ran = options.backend == "reference" ? 0.5 : 0.0;
  result.kernel = run_decode(problem, tensors, options, stretch(progress, 0.0, ran));
  ThreadPool pool(options.threads);
  result.options.threads = pool.size();

  const DecodeParams p = api::decode_reference_params(expected.in_place_of(tensors), problem);
  reference::append(p);
  const std::vector<std::byte> turned = reference::turn_queries(p);
  result.comparison = compare_forward(reference::turned_params(p, turned), team_of(pool),
                                      {.seed = draw.seed, .progress = stretch(progress, ran, 1.0)});
  Findings cache;
  compare_cache({"k_cache", in.at("k_cache"), expected.k_cache, ulps_of_keys(problem)}, cache);
  compare_cache({"v_cache", in.at("v_cache"), expected.v_cache, 0.0}, cache);
  if (problem.kv_dtype != DType::none) {
    compare_scales("k_scale", in.at("k_scale"), expected.k_scale, ulps_of_keys(problem), cache);
    compare_scales("v_scale", in.at("v_scale"), expected.v_scale, 0.0, cache);
  }
  for (std::string& line : cache.lines()) result.comparison.failures.push_back(std::move(line));
  return result;
}

}  // namespace strobe::harness
