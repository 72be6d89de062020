// Tensors by name: which names there are, and which of them a forward call takes.
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

constexpr std::string_view kNames[] = {"q",
                                       "k",
                                       "v",
                                       "bias",
                                       "allowed",
                                       "blocks",
                                       "key_begin",
                                       "key_end",
                                       "leftpad_k",
                                       "alibi_slopes",
                                       "sink_logits",
                                       "cu_seqlens_q",
                                       "seqlens_q",
                                       "seqlens_k",
                                       "k_cache",
                                       "v_cache",
                                       "k_scale",
                                       "cu_seqlens_k",
                                       "v_scale",
                                       "page_table",
                                       "rotary_cos",
                                       "rotary_sin",
                                       "o",
                                       "cache_seqlens",
                                       "lse",
                                       "dout",
                                       "dlse",
                                       "dq",
                                       "dk",
                                       "cache_batch_idx",
                                       "dv",
                                       "dbias",
                                       "q_tangent",
                                       "k_tangent",
                                       "v_tangent",
                                       "dsink_logits",
                                       "o_tangent",
                                       "dalibi_slopes",
                                       "dropout_state"};

/// Inputs that change what forward computes and that no kernel of this build takes.
constexpr std::string_view kNotYet[] = {"leftpad_k"};

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

ConstTensorView require(const TensorMap& tensors, const char* name) {
  const ConstTensorView view = find(tensors, name);
  if (view.given()) return view;
  std::string present;
  for (const auto& entry : tensors) present.append(" ").append(printable(entry.first));
  throw api::error(
      "tensor-missing",
      fmt::format("there is no tensor {}; forward needs q, k and v, and the input holds{}", name,
                  present.empty() ? " nothing" : present));
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
  for (const std::string_view name : kNotYet)
    if (in.contains(std::string(name)))
      throw api::error("input-later",
                       fmt::format("the input holds {}, which would change the result and which no "
                                   "kernel of this build takes; leave it out",
                                   name));
  return {.q = require(in, "q"),
          .k = require(in, "k"),
          .v = require(in, "v"),
          .o = find(out, "o"),
          .lse = find(out, "lse"),
          .cu_seqlens_q = find(std::as_const(in), "cu_seqlens_q"),
          .cu_seqlens_k = find(std::as_const(in), "cu_seqlens_k"),
          .seqlens_q = find(std::as_const(in), "seqlens_q"),
          .seqlens_k = find(std::as_const(in), "seqlens_k"),
          .key_begin = find(std::as_const(in), "key_begin"),
          .key_end = find(std::as_const(in), "key_end"),
          .allowed = find(std::as_const(in), "allowed"),
          .blocks = find(std::as_const(in), "blocks"),
          .bias = find(std::as_const(in), "bias"),
          .alibi_slopes = find(std::as_const(in), "alibi_slopes"),
          .sink_logits = find(std::as_const(in), "sink_logits"),
          .dropout_state = find(std::as_const(in), "dropout_state")};
}

}  // namespace strobe::harness
