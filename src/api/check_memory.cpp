// Strides, pointers and overlaps of tensors, and of all those of a forward call.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <limits>

#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/overlap.hpp"

namespace strobe::api {
namespace {

std::array<Named, 8> inputs(const ForwardTensors& t) {
  return {Named{"q", t.q},
          {"k", t.k},
          {"v", t.v},
          {"cu_seqlens_q", t.cu_seqlens_q},
          {"cu_seqlens_k", t.cu_seqlens_k},
          {"seqlens_q", t.seqlens_q},
          {"seqlens_k", t.seqlens_k},
          {"dropout_state", t.dropout_state}};
}

bool is_empty(const ConstTensorView& view) {
  for (const std::int64_t size : view.shape) {
    if (size == 0) return true;
  }
  return !view.given();
}

void check_strides(const Named& tensor, Last rule, const char* where) {
  const ConstTensorView& view = tensor.view;
  for (int axis = 0; axis < view.rank(); ++axis) {
    if (view.shape[axis] == 1 || view.strides[axis] >= 0) continue;
    fail("stride-negative", where,
         {tensor.name, " has strides ", view.strides, "; negative strides are not taken, so ",
          "reverse the axis in a copy"});
  }
  const int last = view.rank() - 1;
  if (rule == Last::free || view.shape[last] <= 1 || view.strides[last] == 1) return;
  const bool may_repeat = rule == Last::contiguous_or_repeated;
  if (may_repeat && view.strides[last] == 0) return;
  fail("stride-last", where,
       {tensor.name, " has strides ", view.strides, " for shape ", view.shape,
        "; its last axis must be contiguous (stride 1", may_repeat ? ", or 0 to repeat it" : "",
        "), the others are free"});
}

/// Rows of codes that share bytes start with a byte and end with one.
void check_packing(const Named& tensor, const char* where) {
  const ConstTensorView& view = tensor.view;
  const std::int64_t packed = packed_in_one(view.dtype);
  for (int axis = 0; axis + 1 < view.rank(); ++axis) {
    if (view.shape[axis] == 1 || view.strides[axis] % packed == 0) continue;
    fail("stride-packed", where,
         {tensor.name, " has strides ", view.strides, " and ", packed, " ", view.dtype,
          " share a byte; strides count codes, and all but the last must be even"});
  }
}

void check_address(const Named& tensor, const char* where) {
  const ConstTensorView& view = tensor.view;
  const std::int64_t span = span_bytes(view);
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  const std::uintptr_t above = std::numeric_limits<std::uintptr_t>::max() - address;
  if (span < 0 || static_cast<std::uint64_t>(span) > above) {
    fail("stride-overflow", where,
         {tensor.name, " of shape ", view.shape, " with strides ", view.strides,
          " reaches beyond any memory; strides count elements, not bytes"});
  }
  if (view.data == nullptr) {
    fail("data-null", where,
         {tensor.name, " has shape ", view.shape, " and a null pointer; only a tensor without ",
          "elements may have one"});
  }
  const auto size = static_cast<std::uintptr_t>(size_of(view.dtype));
  if (size > 1 && address % size != 0) {
    fail("data-alignment", where,
         {tensor.name, " lies at an address that is no multiple of the ", size, " bytes of ",
          view.dtype, "; copy it to one that is"});
  }
}

[[noreturn]] void refuse_undecided(const Named& output, const char* where) {
  fail("overlap-undecided", where,
       {"whether elements of ", output.name, " of shape ", output.view.shape, " with strides ",
        output.view.strides, " share memory was not decided within ", kMaxSteps,
        " steps; give it memory of its own, row-major"});
}

}  // namespace

void check_tensor(const Named& tensor, Last last, const char* where) {
  const ConstTensorView& view = tensor.view;
  if (!view.given()) return;
  if (view.strides.rank() != view.rank()) {
    fail("stride-rank", where,
         {tensor.name, " has shape ", view.shape, " and strides ", view.strides,
          "; it takes one stride for each axis"});
  }
  if (is_empty(view)) return;
  check_strides(tensor, last, where);
  check_packing(tensor, where);
  check_address(tensor, where);
}

void check_output(const Named& output, const char* where) {
  if (is_empty(output.view)) return;
  const Overlap found = self_overlap(output.view);
  if (found == Overlap::undecided) refuse_undecided(output, where);
  if (found == Overlap::none) return;
  fail("overlap-self", where,
       {"elements of ", output.name, " share memory: shape ", output.view.shape, ", strides ",
        output.view.strides, "; each element of an output needs a place of its own"});
}

void check_apart(const Named& output, const Named& other, const char* where) {
  if (is_empty(output.view) || is_empty(other.view)) return;
  const Overlap found = overlap(output.view, other.view);
  if (found == Overlap::undecided) refuse_undecided(output, where);
  if (found == Overlap::none) return;
  fail("overlap", where,
       {output.name, " shares memory with ", other.name,
        "; no element of an output may be an input's or another output's, so write ", output.name,
        " elsewhere"});
}

std::array<Named, 7> named(const PairViews& t) {
  return {Named{"key_begin", t.key_begin},
          {"key_end", t.key_end},
          {"allowed", t.allowed},
          {"blocks", t.blocks},
          {"bias", t.bias},
          {"alibi_slopes", t.alibi_slopes},
          {"sink_logits", t.sink_logits}};
}

void check_tensors(std::span<const Named> tensors, Last last, const char* where) {
  for (const Named& tensor : tensors) check_tensor(tensor, last, where);
}

void check_outputs(std::span<const Named> outputs,
                   std::initializer_list<std::span<const Named>> inputs, const char* where) {
  for (const Named& output : outputs) {
    check_output(output, where);
    for (const std::span<const Named> some : inputs)
      for (const Named& input : some) check_apart(output, input, where);
  }
  for (std::size_t one = 0; one < outputs.size(); ++one)
    for (std::size_t other = one + 1; other < outputs.size(); ++other)
      check_apart(outputs[one], outputs[other], where);
}

void check_memory(const ForwardTensors& t, const char* where) {
  check_tensors(inputs(t), Last::contiguous, where);
  check_tensors(named(pair_views(t)), Last::contiguous_or_repeated, where);
  check_tensor({"o", t.o}, Last::contiguous, where);
  check_tensor({"lse", t.lse}, Last::free, where);
}

void check_overlaps(const ForwardTensors& t, const char* where) {
  const std::array outputs{Named{"o", t.o}, Named{"lse", t.lse}};
  check_outputs(outputs, {inputs(t), named(pair_views(t))}, where);
}

}  // namespace strobe::api
