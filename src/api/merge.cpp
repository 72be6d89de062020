// merge(): every check of its tensors, then the work.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/merge.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "api/checks.hpp"
#include "api/memory.hpp"
#include "api/messages.hpp"
#include "cpu/merge.hpp"

namespace strobe {
namespace {

using api::fail;
using api::Named;

constexpr const char* kWhere = "strobe::merge";
constexpr const char* kAxesOfO = "batch, seqlen_q, num_heads, head_dim_v";
constexpr const char* kAxesOfLse = "batch, num_heads, seqlen_q";

/// "parts[3].lse", without an allocation.
class PartName {
 public:
  PartName(std::size_t part, const char* member) {
    std::snprintf(text_.data(), text_.size(), "parts[%zu].%s", part, member);
  }
  const char* text() const { return text_.data(); }

 private:
  std::array<char, 40> text_{};
};

bool is_empty(const ConstTensorView& view) {
  return !view.given() || std::ranges::find(view.shape, 0) != view.shape.end();
}

void check_given(const Named& tensor) {
  if (tensor.view.given()) return;
  fail("tensor-missing", kWhere,
       {tensor.name, " is not given; o and lse of each part and o are needed"});
}

/// All tensors are of the rows that parts[0].o has.
void check_shape(const Named& tensor, const Shape& shape, const Shape& first) {
  if (tensor.view.shape == shape) return;
  fail("shape-mismatch", kWhere,
       {tensor.name, " has shape ", tensor.view.shape, "; beside parts[0].o of shape ", first,
        " it must be ", shape});
}

Shape lse_shape(const Shape& o) { return {o[0], o[2], o[1]}; }

void check_part(const MergeTensors& t, std::size_t part) {
  const PartName o_name(part, "o"), lse_name(part, "lse");
  const Named o{o_name.text(), t.parts[part].o}, lse{lse_name.text(), t.parts[part].lse};
  const ConstTensorView& first = t.parts[0].o;
  check_given(o);
  check_given(lse);
  api::check_rank(o, 4, kAxesOfO, kWhere);
  api::check_rank(lse, 3, kAxesOfLse, kWhere);
  if (first.dtype != DType::f32 && first.dtype != DType::f64)
    fail("merge-type", kWhere,
         {o.name, " is ", first.dtype,
          "; parts are f32, which forward and decode write for any type when asked, or f64"});
  for (const Named& tensor : {o, lse}) api::check_type(tensor, first.dtype, kWhere);
  check_shape(o, first.shape, first.shape);
  check_shape(lse, lse_shape(first.shape), first.shape);
  api::check_tensor(o, api::Last::contiguous, kWhere);
  api::check_tensor(lse, api::Last::free, kWhere);
}

void check_sink_logits(const MergeTensors& t) {
  const Named sinks{"sink_logits", t.sink_logits};
  if (!sinks.view.given()) return;
  const ConstTensorView& first = t.parts[0].o;
  api::check_rank(sinks, 1, "num_heads", kWhere);
  api::check_type(sinks, first.dtype, kWhere);
  check_shape(sinks, {first.shape[2]}, first.shape);
  api::check_tensor(sinks, api::Last::contiguous_or_repeated, kWhere);
}

void check_outputs(const MergeTensors& t) {
  const Named o{"o", t.o}, lse{"lse", t.lse};
  const ConstTensorView& first = t.parts[0].o;
  const bool single = first.dtype == DType::f32;
  check_given(o);
  api::check_rank(o, 4, kAxesOfO, kWhere);
  const bool narrow = t.o.dtype == DType::f16 || t.o.dtype == DType::bf16;
  if (t.o.dtype != first.dtype && !(single && narrow))
    fail("merge-type", kWhere,
         {"o is ", t.o.dtype, " and parts are ", first.dtype, "; o must be ",
          single ? "f32, f16 or bf16" : "f64"});
  check_shape(o, first.shape, first.shape);
  api::check_tensor(o, api::Last::contiguous, kWhere);
  api::check_output(o, kWhere);
  if (!t.lse.given()) return;
  api::check_rank(lse, 3, kAxesOfLse, kWhere);
  api::check_type(lse, first.dtype, kWhere);
  check_shape(lse, lse_shape(first.shape), first.shape);
  api::check_tensor(lse, api::Last::free, kWhere);
  api::check_output(lse, kWhere);
  api::check_apart(o, lse, kWhere);
}

void check_overlaps(const MergeTensors& t) {
  for (const Named& output : {Named{"o", t.o}, Named{"lse", t.lse}}) {
    for (std::size_t part = 0; part < t.parts.size(); ++part) {
      const PartName o(part, "o"), lse(part, "lse");
      api::check_apart(output, {o.text(), t.parts[part].o}, kWhere);
      api::check_apart(output, {lse.text(), t.parts[part].lse}, kWhere);
    }
    api::check_apart(output, {"sink_logits", t.sink_logits}, kWhere);
  }
}

void check(const MergeTensors& tensors) {
  if (tensors.parts.empty())
    fail("merge-parts", kWhere,
         {"parts is empty; give at least one, whose shapes all others have"});
  for (std::size_t part = 0; part < tensors.parts.size(); ++part) check_part(tensors, part);
  check_sink_logits(tensors);
  check_outputs(tensors);
  check_overlaps(tensors);
}

}  // namespace

void merge(const MergeTensors& tensors, const Exec& exec) {
  api::with_memory_for("the message of an error (a few KiB)", kWhere, [&] { check(tensors); });
  if (is_empty(tensors.o) && is_empty(tensors.lse)) return;
  const int threads = exec.parallel.run != nullptr ? available_threads() : 1;
  cpu::merge(tensors, exec.parallel, threads);
}

}  // namespace strobe
