// The few loops of the harness that must be as fast as the machine: built once per instruction set.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "strobe/tensor.hpp"

namespace strobe::harness {

/// Independent chains of one operation, held in registers. `run` returns a value that depends on
/// all of them, so that no compiler drops the work.
struct PeakLoop {
  double (*run)(std::int64_t iterations) = nullptr;  ///< null: this instruction set has none
  double flops_per_iteration = 0.0;
};

/// The steps of a row of standard attention's softmax.
template <class Real>
struct RowLoops {
  /// The largest of x [n], NaN left out; -inf of none.
  Real (*largest)(const Real* x, std::int64_t n) = nullptr;
  /// x = exp(x - shift), error 1 ulp, 0 where it would be denormal; returns the sum.
  Real (*exp_sum)(Real* x, std::int64_t n, Real shift) = nullptr;
  /// x = factor * x, rounded to the nearest number of the type: f32 (f64 for f64), bf16, or, where
  /// 0 <= x <= 1, f16.
  void (*scale)(Real* x, std::int64_t n, Real factor, DType type) = nullptr;
};

/// One instruction set's. Built in files of their own flags, so nothing in them may be an inline
/// function or template with a symbol of its own.
struct VectorLoops {
  const char* name = "";  ///< "portable", "avx2", "avx512", "avx512bf16"
  PeakLoop mul_add_f32{};
  PeakLoop mul_add_f64{};
  PeakLoop dot_bf16{};
  /// Reads every byte, in two streams; the result depends on all of them.
  std::uint64_t (*read)(const std::byte* data, std::int64_t bytes) = nullptr;
  RowLoops<float> f32{};
  RowLoops<double> f64{};

  template <class Real>
  const RowLoops<Real>& rows() const {
    if constexpr (sizeof(Real) == sizeof(double))
      return f64;
    else
      return f32;
  }
};

extern const VectorLoops kPortableLoops;
#if defined(__x86_64__)
extern const VectorLoops kAvx2Loops;
extern const VectorLoops kAvx512Loops;
extern const VectorLoops kAvx512Bf16Loops;
#endif

/// By name; null where this build or this machine has none of it.
const VectorLoops* vector_loops(std::string_view name);

/// The widest that this machine runs.
const VectorLoops& best_vector_loops();

}  // namespace strobe::harness
