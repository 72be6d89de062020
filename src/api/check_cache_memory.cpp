// Strides, pointers and overlaps of the tensors of a decode call.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"

namespace strobe::api {
namespace {

std::array<Named, 11> inputs(const DecodeTensors& t) {
  return {Named{"q", t.q},
          {"k", t.k},
          {"v", t.v},
          {"page_table", t.cache.page_table},
          {"cache_seqlens", t.cache.cache_seqlens},
          {"cache_batch_idx", t.cache.cache_batch_idx},
          {"leftpad_k", t.cache.leftpad_k},
          {"seqlens_q", t.seqlens_q},
          {"seqlens_new", t.seqlens_new},
          {"rotary_cos", t.rotary_cos},
          {"rotary_sin", t.rotary_sin}};
}

std::array<Named, 2> caches(const DecodeTensors& t) {
  return {Named{"k_cache", t.cache.k_cache}, {"v_cache", t.cache.v_cache}};
}

std::array<Named, 2> scales(const DecodeTensors& t) {
  return {Named{"k_scale", t.cache.k_scale}, {"v_scale", t.cache.v_scale}};
}

}  // namespace

void check_memory(const DecodeTensors& t, const char* where) {
  check_tensors(inputs(t), Last::contiguous, where);
  check_tensors(caches(t), Last::contiguous, where);
  check_tensors(scales(t), Last::free, where);
  check_tensors(named(pair_views(t)), Last::contiguous_or_repeated, where);
  check_tensor({"o", t.o}, Last::contiguous, where);
  check_tensor({"lse", t.lse}, Last::free, where);
}

/// The cache is an output where keys are appended, with the scales that this writes; else an input,
/// whose views may overlap.
void check_overlaps(const DecodeTensors& t, const char* where) {
  const Named o{"o", t.o}, lse{"lse", t.lse};
  const auto [k_cache, v_cache] = caches(t);
  const auto [k_scale, v_scale] = scales(t);
  const std::array<Named, 7> masks = named(pair_views(t));
  if (appends_scales(t))
    check_outputs(std::array{o, lse, k_cache, v_cache, k_scale, v_scale}, {inputs(t), masks},
                  where);
  else if (t.k.given())
    check_outputs(std::array{o, lse, k_cache, v_cache}, {inputs(t), scales(t), masks}, where);
  else
    check_outputs(std::array{o, lse}, {inputs(t), caches(t), scales(t), masks}, where);
}

}  // namespace strobe::api
