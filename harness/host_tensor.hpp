// A tensor that owns its memory: what files are read into and what cases are run on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "strobe/error.hpp"
#include "strobe/tensor.hpp"

namespace strobe::harness {

/// "[2, 333, 8, 64]", for messages.
std::string to_string(const Shape& shape);

/// A shape of as many axes as there are sizes; more than four give a rank that every check refuses.
Shape make_shape(std::span<const std::int64_t> sizes);

/// Owns memory aligned to 64 bytes; from 4 MiB on aligned to 2 MiB and, where the system has them,
/// in huge pages. Moves, and copies only through clone(). Default-made it is "not given": rank 0.
class HostTensor {
 public:
  HostTensor() = default;
  /// Row-major, every byte 0. Throws Error(invalid_argument) for a negative size, a rank that is
  /// not 1 to 4 or a size that overflows; Error(out_of_memory), naming the bytes, when the machine
  /// has not as much left.
  HostTensor(DType dtype, Shape shape);
  /// Strides in elements, none negative; the allocation covers them, gaps included.
  HostTensor(DType dtype, Shape shape, Shape strides);

  TensorView view() { return {data_.get(), dtype_, shape_, strides_}; }
  ConstTensorView view() const { return const_view(); }
  ConstTensorView const_view() const { return {data_.get(), dtype_, shape_, strides_}; }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  /// Product of the sizes.
  std::int64_t elements() const;
  /// Of the allocation: with gaps, more than the elements take.
  std::int64_t bytes() const { return bytes_; }
  bool is_contiguous() const { return strides_ == shape_.contiguous_strides(); }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  /// The elements as C++ values. Throws Error(invalid_argument) when T is not of this dtype.
  template <class T>
  T* as() {
    check_dtype(dtype_of<T>);
    return reinterpret_cast<T*>(data_.get());
  }
  template <class T>
  const T* as() const {
    check_dtype(dtype_of<T>);
    return reinterpret_cast<const T*>(data_.get());
  }

  /// The element at a logical index, whatever type and strides. The index must be in range.
  double get(const Shape& index) const;
  /// Rounds once, to nearest even (codes by way of f32); NaN stays NaN. i32 needs a value in its
  /// range; boolean is true for anything but 0.
  void set(const Shape& index, double value);

  /// Same memory, two axes exchanged: [batch, heads, seqlen, dim] <-> [batch, seqlen, heads, dim].
  void swap_axes(int first, int second);
  /// A row-major copy.
  HostTensor contiguous() const;
  /// A copy with the same strides and the same bytes, gaps included.
  HostTensor clone() const;
  /// Sets every byte, gaps included; 0xff makes NaN of every float.
  void fill_bytes(std::byte value);

 private:
  struct Free {
    void operator()(std::byte* data) const noexcept;
  };
  void check_dtype(DType wanted) const;
  std::int64_t index_of(const Shape& index) const;

  std::unique_ptr<std::byte[], Free> data_{};
  std::int64_t bytes_ = 0;
  DType dtype_ = DType::none;
  Shape shape_{};
  Shape strides_{};
};

/// Bytes of a row-major tensor. Throws Error(invalid_argument), its message starting with `where`,
/// for a bad rank, a negative size or a product that overflows (zero sizes count as one there).
std::int64_t checked_bytes(DType dtype, const Shape& shape, std::string_view where);

}  // namespace strobe::harness
