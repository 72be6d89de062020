// Tensors by name: which names there are, and which of them a call takes.
// SPDX-License-Identifier: Apache-2.0
#include "harness/tensor_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "api/messages.hpp"
#include "harness/file.hpp"

namespace strobe::harness {
namespace {

/// In the order of docs/cases.md: what a call needs, its masks and scores, lengths, the cache,
/// results, and what gradients and tangents will have.
constexpr std::string_view kNames[] = {"q",
                                       "k",
                                       "v",
                                       "bias",
                                       "allowed",
                                       "blocks",
                                       "key_begin",
                                       "key_end",
                                       "alibi_slopes",
                                       "sink_logits",
                                       "dropout_state",
                                       "cu_seqlens_q",
                                       "cu_seqlens_k",
                                       "seqlens_q",
                                       "seqlens_k",
                                       "k_cache",
                                       "v_cache",
                                       "k_scale",
                                       "v_scale",
                                       "page_table",
                                       "cache_seqlens",
                                       "cache_batch_idx",
                                       "leftpad_k",
                                       "seqlens_new",
                                       "rotary_cos",
                                       "rotary_sin",
                                       "o",
                                       "lse",
                                       "dout",
                                       "dlse",
                                       "dq",
                                       "dk",
                                       "dv",
                                       "dbias",
                                       "dsink_logits",
                                       "dalibi_slopes",
                                       "q_tangent",
                                       "k_tangent",
                                       "v_tangent",
                                       "o_tangent"};

ConstTensorView find(const TensorMap& tensors, const char* name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? ConstTensorView{} : found->second.const_view();
}

TensorView find(TensorMap& tensors, const char* name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? TensorView{} : found->second.view();
}

std::string all_names() {
  std::string names;
  for (const std::string_view name : kNames) names.append(" ").append(name);
  return names;
}

/// Throws where `name` is missing; `needed` starts "forward needs q, k and v".
void require(const TensorMap& tensors, const char* name, const char* needed) {
  if (tensors.contains(name)) return;
  std::string present;
  for (const auto& entry : tensors) present.append(" ").append(printable(entry.first));
  throw api::error("tensor-missing",
                   fmt::format("there is no tensor {}; {}, and the input holds{}", name, needed,
                               present.empty() ? " nothing" : present));
}

/// What both calls read: masks and scores that lie in memory.
template <class Tensors>
void find_pair_tensors(const TensorMap& in, Tensors& tensors) {
  tensors.key_begin = find(in, "key_begin");
  tensors.key_end = find(in, "key_end");
  tensors.allowed = find(in, "allowed");
  tensors.blocks = find(in, "blocks");
  tensors.bias = find(in, "bias");
  tensors.alibi_slopes = find(in, "alibi_slopes");
  tensors.sink_logits = find(in, "sink_logits");
}

}  // namespace

bool is_tensor_name(std::string_view name) {
  return std::ranges::find(kNames, name) != std::ranges::end(kNames);
}

std::span<const std::string_view> tensor_names() { return kNames; }

void check_names(const TensorMap& tensors) {
  for (const auto& entry : tensors)
    if (!is_tensor_name(entry.first))
      throw api::error("tensor-name",
                       fmt::format("a tensor named {} means nothing here; the names are:{}",
                                   printable(entry.first), all_names()));
}

ForwardTensors forward_tensors(TensorMap& in, TensorMap& out) {
  if (in.contains("leftpad_k"))
    throw api::error("input-later",
                     "the input holds leftpad_k, which would change the result and which forward "
                     "does not take; leave it out, or lay the keys into a cache for decode");
  for (const char* name : {"q", "k", "v"}) require(in, name, "forward needs q, k and v");
  const TensorMap& inputs = in;
  ForwardTensors tensors{.q = find(inputs, "q"),
                         .k = find(inputs, "k"),
                         .v = find(inputs, "v"),
                         .o = find(out, "o"),
                         .lse = find(out, "lse"),
                         .cu_seqlens_q = find(inputs, "cu_seqlens_q"),
                         .cu_seqlens_k = find(inputs, "cu_seqlens_k"),
                         .seqlens_q = find(inputs, "seqlens_q"),
                         .seqlens_k = find(inputs, "seqlens_k"),
                         .dropout_state = find(inputs, "dropout_state")};
  find_pair_tensors(in, tensors);
  return tensors;
}

DecodeTensors decode_tensors(TensorMap& in, TensorMap& out) {
  for (const char* name : {"q", "k_cache", "v_cache", "cache_seqlens"})
    require(in, name, "decode needs q, k_cache, v_cache and cache_seqlens");
  const TensorMap& inputs = in;
  DecodeTensors tensors{.q = find(inputs, "q"),
                        .k = find(inputs, "k"),
                        .v = find(inputs, "v"),
                        .o = find(out, "o"),
                        .lse = find(out, "lse"),
                        .cache = {.k_cache = find(in, "k_cache"),
                                  .v_cache = find(in, "v_cache"),
                                  .page_table = find(inputs, "page_table"),
                                  .cache_seqlens = find(inputs, "cache_seqlens"),
                                  .cache_batch_idx = find(inputs, "cache_batch_idx"),
                                  .leftpad_k = find(inputs, "leftpad_k"),
                                  .k_scale = find(in, "k_scale"),
                                  .v_scale = find(in, "v_scale")},
                        .seqlens_q = find(inputs, "seqlens_q"),
                        .seqlens_new = find(inputs, "seqlens_new"),
                        .rotary_cos = find(inputs, "rotary_cos"),
                        .rotary_sin = find(inputs, "rotary_sin")};
  find_pair_tensors(in, tensors);
  return tensors;
}

}  // namespace strobe::harness
