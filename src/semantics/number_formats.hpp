// Reading and writing one element of any floating-point type, as float64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

#include "strobe/tensor.hpp"

namespace strobe {

/// Element `index` of an f32, f16, bf16 or f64 array; every such value is exact in float64.
/// Of any other type: NaN, so that a missing check cannot pass for a number.
inline double load_element(const void* data, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::f32: return static_cast<const float*>(data)[index];
    case DType::bf16: return static_cast<float>(static_cast<const bfloat16*>(data)[index]);
    case DType::f16: return static_cast<float>(static_cast<const float16*>(data)[index]);
    case DType::f64: return static_cast<const double*>(data)[index];
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

/// Rounds `value` to nearest (16 bits by way of f32) and writes it as element `index` of an f32,
/// f16, bf16 or f64 array. Of any other type: writes nothing.
inline void store_element(void* data, DType dtype, std::int64_t index, double value) {
  switch (dtype) {
    case DType::f32: static_cast<float*>(data)[index] = static_cast<float>(value); break;
    case DType::bf16:
      static_cast<bfloat16*>(data)[index] = bfloat16(static_cast<float>(value));
      break;
    case DType::f16: static_cast<float16*>(data)[index] = float16(static_cast<float>(value)); break;
    case DType::f64: static_cast<double*>(data)[index] = value; break;
    default: break;
  }
}

}  // namespace strobe
