// Views of memory that the caller owns: pointer, element type, shape, strides.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <type_traits>

#include "strobe/float8.hpp"

namespace strobe {

/// The type of a tensor's elements. none: no tensor, or a C++ type that no tensor has.
/// e4m3, e5m2, i8 and i4 are codes of a quantised KV cache. Two i4 share a byte along the last
/// axis, the first in its low half, each -8 to 7 in two's complement; sizes and strides of an i4
/// view count codes, the last size and all strides but the last are even.
enum class DType : std::int32_t {
  none = 0,
  f32,
  f16,
  bf16,
  f64,
  i32,
  boolean,
  u64,
  e4m3,
  e5m2,
  i8,
  i4,
};

/// Bytes of one element, of i4 the byte that it shares; 0 for DType::none.
constexpr std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::u64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16:
    case DType::bf16: return 2;
    case DType::boolean:
    case DType::e4m3:
    case DType::e5m2:
    case DType::i8:
    case DType::i4: return 1;
    case DType::none: break;
  }
  return 0;
}

/// Elements in one byte's place: 2 of i4, else 1.
constexpr std::int64_t packed_in_one(DType dtype) { return dtype == DType::i4 ? 2 : 1; }

/// Bytes of `count` elements after each other, or up to element `count`.
constexpr std::int64_t bytes_of(DType dtype, std::int64_t count) {
  return count / packed_in_one(dtype) * size_of(dtype);
}

/// A type that a quantised cache may have, and no other tensor.
constexpr bool is_code(DType dtype) {
  return dtype == DType::e4m3 || dtype == DType::e5m2 || dtype == DType::i8 || dtype == DType::i4;
}

/// What lse comes in for q, k and v of this type: f64 for f64, else f32.
constexpr DType lse_dtype_of(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

/// "f32", "bf16", ...
constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f64: return "f64";
    case DType::f32: return "f32";
    case DType::i32: return "i32";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::boolean: return "bool";
    case DType::u64: return "u64";
    case DType::e4m3: return "e4m3";
    case DType::e5m2: return "e5m2";
    case DType::i8: return "i8";
    case DType::i4: return "i4";
    case DType::none: break;
  }
  return "none";
}

/// The upper half of a float: 8 bits of exponent, 7 of fraction.
struct bfloat16 {
  std::uint16_t bits = 0;

  constexpr bfloat16() = default;
  /// Rounds to nearest, ties to even; a NaN stays a NaN.
  explicit constexpr bfloat16(float value) : bits(rounded(std::bit_cast<std::uint32_t>(value))) {}
  constexpr operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t word) {
    if ((word & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((word >> 16) | 0x40u);
    return static_cast<std::uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
};

/// IEEE 754 binary16: 5 bits of exponent, 10 of fraction.
struct float16 {
  std::uint16_t bits = 0;

  constexpr float16() = default;
  /// Rounds to nearest, ties to even, and 65520 or more to infinity; a NaN stays a NaN.
  explicit constexpr float16(float value) : bits(rounded(std::bit_cast<std::uint32_t>(value))) {}
  constexpr operator float() const {
    const std::uint32_t exponent = bits & 0x7c00u, fraction = bits & 0x03ffu;
    const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
    if (exponent == 0) return sign * (static_cast<float>(fraction) * 0x1p-24f);
    const std::uint32_t bias = exponent == 0x7c00u ? 0x70000000u : 0x38000000u;
    const std::uint32_t quiet = exponent == 0x7c00u && fraction != 0 ? 0x00400000u : 0u;
    const std::uint32_t word = (std::uint32_t{bits} & 0x7fffu) << 13;
    return std::bit_cast<float>((std::uint32_t{bits} & 0x8000u) << 16 | (word + bias) | quiet);
  }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t word) {
    const std::uint32_t sign = (word >> 16) & 0x8000u, size = word & 0x7fffffffu;
    if (size > 0x7f800000u)
      return static_cast<std::uint16_t>(sign | 0x7e00u | ((size >> 13) & 0x03ffu));
    if (size >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    if (size >= 0x38800000u)
      return static_cast<std::uint16_t>(sign | nearest(size - 0x38000000u, 13));
    // Below 2^-14: whole multiples of 2^-24, and nothing below half of one.
    const std::uint32_t exponent = size >> 23;
    if (exponent < 102u) return static_cast<std::uint16_t>(sign);
    return static_cast<std::uint16_t>(
        sign | nearest((size & 0x7fffffu) | 0x800000u, static_cast<int>(126u - exponent)));
  }
  /// x / 2^shift to the nearest whole number, ties to even.
  static constexpr std::uint32_t nearest(std::uint32_t x, int shift) {
    return (x + (1u << (shift - 1)) - 1u + ((x >> shift) & 1u)) >> shift;
  }
};

/// The element type that a C++ type stands for. Specialise it for a 16-bit type of your own:
///   template <> inline constexpr strobe::DType strobe::dtype_of<my::bf16> = strobe::DType::bf16;
template <class T>
inline constexpr DType dtype_of = DType::none;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<bfloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<float16> = DType::f16;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;
template <>
inline constexpr DType dtype_of<std::uint64_t> = DType::u64;
template <>
inline constexpr DType dtype_of<float8_e4m3> = DType::e4m3;
template <>
inline constexpr DType dtype_of<float8_e5m2> = DType::e5m2;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::i8;

/// Up to four sizes, or four strides in elements. An empty shape (rank 0) means: not given.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  constexpr Shape() = default;
  /// More than four sizes give rank 5, which every check refuses.
  constexpr Shape(std::initializer_list<std::int64_t> sizes) {
    for (const std::int64_t size : sizes) {
      if (rank_ < kMaxRank) sizes_[static_cast<std::size_t>(rank_)] = size;
      ++rank_;
    }
  }

  constexpr int rank() const { return rank_; }
  constexpr std::int64_t operator[](int axis) const {
    return sizes_[static_cast<std::size_t>(axis)];
  }
  constexpr std::int64_t& operator[](int axis) { return sizes_[static_cast<std::size_t>(axis)]; }
  constexpr const std::int64_t* begin() const { return sizes_.data(); }
  constexpr const std::int64_t* end() const { return sizes_.data() + rank_; }
  constexpr bool operator==(const Shape&) const = default;

  /// Row-major strides: the last axis is contiguous. A step beyond int64 becomes its largest
  /// value, which every check refuses.
  constexpr Shape contiguous_strides() const {
    Shape strides = *this;
    std::int64_t step = 1;
    for (int axis = std::min(rank_, kMaxRank) - 1; axis >= 0; --axis) {
      strides[axis] = step;
      if (__builtin_mul_overflow(step, (*this)[axis], &step)) {
        step = std::numeric_limits<std::int64_t>::max();
      }
    }
    return strides;
  }

 private:
  std::array<std::int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

namespace detail {

/// What TensorView and ConstTensorView share. Void is `void` or `const void`.
template <class Void>
struct View {
  Void* data = nullptr;
  DType dtype = DType::none;
  Shape shape{};
  Shape strides{};  ///< in elements, one per axis

  constexpr View() = default;
  constexpr View(Void* data, DType dtype, Shape shape)
      : data(data), dtype(dtype), shape(shape), strides(shape.contiguous_strides()) {}
  constexpr View(Void* data, DType dtype, Shape shape, Shape strides)
      : data(data), dtype(dtype), shape(shape), strides(strides) {}

  constexpr bool given() const { return shape.rank() != 0; }
  constexpr int rank() const { return shape.rank(); }
};

}  // namespace detail

/// Memory that a call may write. Axis order is batch, seqlen, head, dim, whatever the strides.
struct TensorView : detail::View<void> {
  using View::View;
  /// The pointer's type gives the dtype; without strides the view is row-major.
  template <class T>
  requires(dtype_of<T> != DType::none) constexpr TensorView(T* data, Shape shape)
      : View(data, dtype_of<T>, shape) {}
  template <class T>
  requires(dtype_of<T> != DType::none) constexpr TensorView(T* data, Shape shape, Shape strides)
      : View(data, dtype_of<T>, shape, strides) {}
};

/// Memory that a call only reads. A TensorView converts to it, never back.
struct ConstTensorView : detail::View<const void> {
  using View::View;
  template <class T>
  requires(dtype_of<std::remove_const_t<T>> != DType::none) constexpr ConstTensorView(T* data,
                                                                                      Shape shape)
      : View(data, dtype_of<std::remove_const_t<T>>, shape) {}
  template <class T>
  requires(dtype_of<std::remove_const_t<T>> !=
           DType::none) constexpr ConstTensorView(T* data, Shape shape, Shape strides)
      : View(data, dtype_of<std::remove_const_t<T>>, shape, strides) {}
  constexpr ConstTensorView(const TensorView& view)
      : View(view.data, view.dtype, view.shape, view.strides) {}
};

}  // namespace strobe
