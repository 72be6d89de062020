// A row of keys or values as it is kept: plain numbers, or codes with scales.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "semantics/forward_params.hpp"
#include "semantics/number_formats.hpp"

namespace strobe {

/// One head's row of keys or values, to be read.
struct KeyRow {
  const void* data = nullptr;
  DType dtype = DType::none;
  std::int64_t first = 0;         ///< element of dimension 0
  const float* scales = nullptr;  ///< null: the elements are the values
  std::int64_t scale_first = 0;   ///< that of group 0
  std::int64_t group = 0;         ///< from group to group

  double operator[](std::int64_t d) const {
    const double element = load_element(data, dtype, first + d);
    if (scales == nullptr) return element;
    return static_cast<float>(element) * scales[scale_first + d / kScaleGroup * group];
  }
};

namespace detail {

/// Keys or values, and how they lie.
struct Kept {
  const void* data;
  const Strides& strides;
  const Scales& scales;
};

constexpr KeyRow kept_row(const ForwardParams& p, const Sequence& s, const Kept& kept,
                          std::int64_t key, std::int64_t kv_head) {
  KeyRow row{.data = kept.data,
             .dtype = p.kv_dtype != DType::none ? p.kv_dtype : p.dtype,
             .first = key_offset(p, s, kept.strides, key, kv_head)};
  if (kept.scales.data == nullptr) return row;
  row.scales = kept.scales.data;
  row.scale_first = key_offset(p, s, kept.scales.strides, key, kv_head);
  row.group = kept.scales.group;
  return row;
}

}  // namespace detail

/// Key `key` of a sequence, and its value.
constexpr KeyRow key_row(const ForwardParams& p, const Sequence& s, std::int64_t key,
                         std::int64_t kv_head) {
  return detail::kept_row(p, s, {p.k, p.k_strides, p.k_scales}, key, kv_head);
}
constexpr KeyRow value_row(const ForwardParams& p, const Sequence& s, std::int64_t key,
                           std::int64_t kv_head) {
  return detail::kept_row(p, s, {p.v, p.v_strides, p.v_scales}, key, kv_head);
}

/// max |x| / largest code: what maps the largest number to the largest code. NaN in x counts where
/// codes have none (i8, i4), and is left to its own code elsewhere.
inline float scale_of(std::span<const float> x, DType dtype) {
  const bool codes_nan = dtype == DType::e4m3 || dtype == DType::e5m2;
  float most = 0;
  for (const float value : x) {
    if (std::isnan(value) && !codes_nan) return value;
    most = std::max(most, std::abs(value));  // a NaN is no maximum
  }
  return most / largest_code(dtype);
}

/// Writes code = x / scale, rounded to nearest even and saturated, from element `first` on; 0 where
/// the scale is 0, unless x is NaN.
inline void store_codes(std::span<const float> x, float scale, void* data, DType dtype,
                        std::int64_t first) {
  for (const float value : x)
    store_element(data, dtype, first++, scale != 0 || std::isnan(value) ? value / scale : 0);
}

/// A quantised cache that is written to.
struct Codes {
  void* data = nullptr;
  float* scales = nullptr;  ///< null: they are given, and only read
};

/// Writes `x` into place `row` of `to`: codes and, where they are not given, scales.
inline void quantise_row(std::span<const float> x, KvScales kind, const KeyRow& row,
                         const Codes& to) {
  const std::size_t dims = kind == KvScales::group ? std::size_t{kScaleGroup} : x.size();
  std::int64_t at = row.scale_first;
  for (std::size_t d = 0; d < x.size(); d += dims, at += row.group) {
    const std::span<const float> some = x.subspan(d, std::min(dims, x.size() - d));
    if (to.scales != nullptr) to.scales[at] = scale_of(some, row.dtype);
    store_codes(some, row.scales[at], to.data, row.dtype, row.first + static_cast<std::int64_t>(d));
  }
}

}  // namespace strobe
