// The error of a run's result, and of a result that came with the input, against float64.
// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <fmt/core.h>

#include "harness/accuracy.hpp"
#include "harness/host_tensor.hpp"
#include "harness/stretch.hpp"
#include "messages.hpp"

namespace strobe::tool {
namespace {

void print_errors(const char* name, const harness::Errors& o, const harness::Errors* lse) {
  fmt::print("  {:<34}{:>10.2e}{:>14.2e}", name, o.max_abs, o.rel_rms);
  if (lse != nullptr) fmt::print("{:>14.2e}", lse->max_abs);
  fmt::print("\n");
}

/// The same call with the input's own result in place of the run's. Where only one of o and lse
/// came with the input, the other stays the run's, and is not printed.
ForwardParams with_own_result(ForwardParams p, const harness::TensorMap& in) {
  const bool packed = p.cu_seqlens_q != nullptr;
  const ConstTensorView o = in.at("o").const_view();
  const int row_axis = packed ? 0 : 1;
  // The comparison reads o and lse alone.
  p.o = const_cast<void*>(o.data);
  p.o_dtype = o.dtype;
  p.o_strides = {packed ? 0 : o.strides[0], o.strides[row_axis], o.strides[row_axis + 1]};
  if (in.contains("lse")) {
    const ConstTensorView lse = in.at("lse").const_view();
    const int head_axis = packed ? 0 : 1;
    p.lse = const_cast<void*>(lse.data);
    p.lse_dtype = lse.dtype;
    p.lse_strides = {packed ? 0 : lse.strides[0], lse.strides[head_axis + 1],
                     lse.strides[head_axis]};
  }
  return p;
}

}  // namespace

void check_comparable(const harness::TensorMap& in, const harness::TensorMap& out) {
  for (const auto& [name, written] : out) {
    const auto own = in.find(name);
    if (own == in.end()) continue;
    const DType dtype = own->second.dtype();
    const bool readable =
        dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
    if (readable && own->second.shape() == written.shape()) continue;
    fail("report-compare",
         fmt::format("run: --report compares the input's {}, which is {} {}, with "
                     "the run's, which is {}; accepted are f32, f16, bf16 and f64 of that shape; "
                     "mend the input or leave --report out",
                     name, harness::to_string(own->second.shape()), name_of(dtype),
                     harness::to_string(written.shape())));
  }
}

void print_report(const ForwardParams& p, const harness::TensorMap& in, const harness::Team& team,
                  Progress& progress) {
  const bool twice = in.contains("o");
  const harness::Told told = [&](double part) { progress.part(part); };
  const harness::Comparison ours = harness::compare_forward(
      p, team, {.progress = harness::stretch(told, 0.0, twice ? 0.5 : 1.0)});
  progress.clear();
  fmt::print("error against float64, {} of {} rows:\n", ours.rows, ours.rows_all);
  fmt::print("  {:<34}{:>10}{:>14}{:>14}\n", "", "largest", "relative rms", "lse largest");
  print_errors("strobe", ours.o, &ours.lse);
  if (twice) {
    const harness::Comparison own = harness::compare_forward(
        with_own_result(p, in), team, {.progress = harness::stretch(told, 0.5, 1.0)});
    progress.clear();
    print_errors("the o that came with the input", own.o, in.contains("lse") ? &own.lse : nullptr);
  }
  print_errors("standard attention", ours.standard_o, &ours.standard_lse);
}

double score_matrix_bytes(const ForwardParams& p) {
  double pairs = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const Lengths n = sequence(p, b).lengths;
    pairs += static_cast<double>(n.q) * static_cast<double>(n.k);
  }
  return pairs * static_cast<double>(p.num_heads) * static_cast<double>(sizeof(float));
}

}  // namespace strobe::tool
