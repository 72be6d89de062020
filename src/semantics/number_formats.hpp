// Reading and writing one element of any type with values, as float64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "strobe/tensor.hpp"

namespace strobe {

/// The largest code that is ever produced; its negative is the least.
constexpr float largest_code(DType dtype) {
  switch (dtype) {
    case DType::e4m3: return 448;
    case DType::e5m2: return 57344;
    case DType::i8: return 127;
    case DType::i4: return 7;
    default: return 0;
  }
}

/// The nearest whole number, ties to even, at most `largest` in magnitude. NaN, for which a whole
/// number has no code, becomes 0.
inline std::int32_t nearest_whole(float value, float largest) {
  if (std::isnan(value)) return 0;
  return static_cast<std::int32_t>(std::nearbyint(std::clamp(value, -largest, largest)));
}

/// Code `index` of an i4 array, and its half of a byte.
inline int int4_shift(std::int64_t index) { return static_cast<int>(index % 2) * 4; }
inline std::int32_t load_int4(const void* data, std::int64_t index) {
  const std::uint8_t pair = static_cast<const std::uint8_t*>(data)[index / 2];
  const std::int32_t code = (pair >> int4_shift(index)) & 0xf;
  return code < 8 ? code : code - 16;
}
inline void store_int4(void* data, std::int64_t index, std::int32_t code) {
  std::uint8_t& pair = static_cast<std::uint8_t*>(data)[index / 2];
  const int shift = int4_shift(index);
  pair = static_cast<std::uint8_t>((pair & (0xf0 >> shift)) | ((code & 0xf) << shift));
}

/// Element `index` of an array of floating-point numbers or codes; every such value is exact in
/// float64. Of any other type: NaN, so that a missing check cannot pass for a number.
inline double load_element(const void* data, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::f32: return static_cast<const float*>(data)[index];
    case DType::bf16: return static_cast<float>(static_cast<const bfloat16*>(data)[index]);
    case DType::f16: return static_cast<float>(static_cast<const float16*>(data)[index]);
    case DType::f64: return static_cast<const double*>(data)[index];
    case DType::e4m3: return static_cast<float>(static_cast<const float8_e4m3*>(data)[index]);
    case DType::e5m2: return static_cast<float>(static_cast<const float8_e5m2*>(data)[index]);
    case DType::i8: return static_cast<const std::int8_t*>(data)[index];
    case DType::i4: return load_int4(data, index);
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

/// Rounds `value` to nearest (all but f64 by way of f32) and writes it as element `index` of such
/// an array; codes saturate. Of any other type: writes nothing.
inline void store_element(void* data, DType dtype, std::int64_t index, double value) {
  const auto single = static_cast<float>(value);
  const auto whole = [&] { return nearest_whole(single, largest_code(dtype)); };
  switch (dtype) {
    case DType::f32: static_cast<float*>(data)[index] = single; break;
    case DType::bf16: static_cast<bfloat16*>(data)[index] = bfloat16(single); break;
    case DType::f16: static_cast<float16*>(data)[index] = float16(single); break;
    case DType::f64: static_cast<double*>(data)[index] = value; break;
    case DType::e4m3: static_cast<float8_e4m3*>(data)[index] = float8_e4m3(single); break;
    case DType::e5m2: static_cast<float8_e5m2*>(data)[index] = float8_e5m2(single); break;
    case DType::i8:
      static_cast<std::int8_t*>(data)[index] = static_cast<std::int8_t>(whole());
      break;
    case DType::i4: store_int4(data, index, whole()); break;
    default: break;
  }
}

}  // namespace strobe
