// Tensors that own their memory: allocation, element access, copies.
// SPDX-License-Identifier: Apache-2.0
#include "harness/host_tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#if defined(__linux__)
#  include <sys/mman.h>
#endif

#include "api/messages.hpp"
#include "api/overlap.hpp"
#include "harness/machine.hpp"
#include "semantics/number_formats.hpp"

namespace strobe::harness {
namespace {

constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kHugePage = std::int64_t{2} << 20;
constexpr std::int64_t kHugeFrom = 2 * kHugePage;
// Below this a tensor cannot be what exhausts the machine, and asking costs more than it tells.
constexpr std::int64_t kAskFrom = std::int64_t{64} << 20;

constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;

[[noreturn]] void throw_out_of_memory(std::int64_t bytes, const std::string& why) {
  throw api::error(
      "tensor-memory",
      fmt::format("strobe::HostTensor: a tensor of {} bytes ({:.1f} GiB) cannot be "
                  "allocated: {}; take shorter sequences, fewer heads or a smaller batch",
                  bytes, static_cast<double>(bytes) / kGibibyte, why));
}

std::byte* allocate(std::int64_t bytes) {
  const auto left = [](std::int64_t available) {
    return fmt::format("the machine has {} bytes ({:.1f} GiB) left", available,
                       static_cast<double>(available) / kGibibyte);
  };
  // Asked before, because a system that overcommits grants all and then kills the process.
  if (bytes >= kAskFrom) {
    const std::int64_t available = available_memory_bytes();
    if (bytes > available) throw_out_of_memory(bytes, left(available));
  }
  const bool huge = bytes >= kHugeFrom;
  const std::int64_t alignment = huge ? kHugePage : kAlignment;
  if (bytes > std::numeric_limits<std::int64_t>::max() - alignment)
    throw_out_of_memory(bytes, "no machine has as much");
  const std::int64_t rounded =
      std::max<std::int64_t>(1, (bytes + alignment - 1) / alignment) * alignment;
  void* data =
      std::aligned_alloc(static_cast<std::size_t>(alignment), static_cast<std::size_t>(rounded));
  if (data == nullptr)
    throw_out_of_memory(bytes, "the system refused, though " + left(available_memory_bytes()));
#if defined(__linux__)
  // Advice: where the kernel has no huge pages to give, small ones serve.
  if (huge) (void)madvise(data, static_cast<std::size_t>(rounded), MADV_HUGEPAGE);
#endif
  std::memset(data, 0, static_cast<std::size_t>(rounded));
  return static_cast<std::byte*>(data);
}

[[noreturn]] void throw_overflow(std::string_view where, const Shape& shape, DType dtype) {
  throw api::error("size-overflow",
                   fmt::format("{}: shape {} of {} takes more bytes than 63 bits can count", where,
                               to_string(shape), name_of(dtype)));
}

/// Bytes from the first element to the end of the last, for strides that are not negative.
std::int64_t strided_bytes(DType dtype, const Shape& shape, const Shape& strides) {
  constexpr std::string_view where = "strobe::HostTensor";
  if (strides.rank() != shape.rank())
    throw api::error("stride-rank", fmt::format("{}: shape {} and strides {} have different ranks",
                                                where, to_string(shape), to_string(strides)));
  std::int64_t last = 0;
  bool empty = false;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (strides[axis] < 0)
      throw api::error("stride-negative", fmt::format("{}: strides {} must not be negative", where,
                                                      to_string(strides)));
    empty = empty || shape[axis] == 0;
    const std::int64_t steps = std::max<std::int64_t>(0, shape[axis] - 1);
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(steps, strides[axis], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      throw_overflow(where, shape, dtype);
  }
  std::int64_t bytes = 0;
  if (__builtin_add_overflow(last, empty ? 0 : packed_in_one(dtype), &last) ||
      __builtin_mul_overflow(last / packed_in_one(dtype), size_of(dtype), &bytes))
    throw_overflow(where, shape, dtype);
  return empty ? 0 : bytes;
}

/// The nearest number with `fraction` bits after the leading one, ties to even; below
/// 2^min_exponent the spacing stays. Infinite values and NaN pass.
double round_to(double value, int fraction, int min_exponent) {
  if (value == 0.0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), min_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, fraction - exponent)), exponent - fraction);
}

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <class T>
void store(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

std::int32_t checked_int32(double value) {
  if (!(value >= std::numeric_limits<std::int32_t>::min() &&
        value <= std::numeric_limits<std::int32_t>::max()))
    throw api::error("tensor-access",
                     fmt::format("strobe::HostTensor: {} does not fit an i32", value));
  return static_cast<std::int32_t>(std::nearbyint(value));
}

/// Copies one axis and those inside it; `to` is row-major.
std::byte* gather(const ConstTensorView& from, int axis, const std::byte* source, std::byte* to) {
  const std::int64_t size = size_of(from.dtype);
  const std::int64_t count = from.shape[axis];
  const std::int64_t step = from.strides[axis] * size;
  if (axis + 1 < from.rank()) {
    for (std::int64_t i = 0; i < count; ++i) to = gather(from, axis + 1, source + i * step, to);
    return to;
  }
  if (step == size) {
    std::memcpy(to, source, static_cast<std::size_t>(count * size));
    return to + count * size;
  }
  for (std::int64_t i = 0; i < count; ++i, to += size)
    std::memcpy(to, source + i * step, static_cast<std::size_t>(size));
  return to;
}

}  // namespace

std::string to_string(const Shape& shape) {
  const int shown = std::min(shape.rank(), Shape::kMaxRank);
  std::string text = "[";
  for (int axis = 0; axis < shown; ++axis)
    text += fmt::format("{}{}", axis == 0 ? "" : ", ", shape[axis]);
  return text + (shape.rank() > shown ? ", ...]" : "]");
}

Shape make_shape(std::span<const std::int64_t> sizes) {
  switch (sizes.size()) {
    case 0: return {};
    case 1: return {sizes[0]};
    case 2: return {sizes[0], sizes[1]};
    case 3: return {sizes[0], sizes[1], sizes[2]};
    case 4: return {sizes[0], sizes[1], sizes[2], sizes[3]};
    default: return {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};
  }
}

std::int64_t checked_bytes(DType dtype, const Shape& shape, std::string_view where) {
  if (dtype == DType::none)
    throw api::error("dtype-input", fmt::format("{}: a tensor needs an element type", where));
  if (shape.rank() < 1 || shape.rank() > Shape::kMaxRank)
    throw api::error("tensor-rank",
                     fmt::format("{}: shape {} has {} axes; tensors have 1 to {}", where,
                                 to_string(shape), shape.rank(), Shape::kMaxRank));
  if (shape[shape.rank() - 1] % packed_in_one(dtype) != 0)
    throw api::error("kv-dim", fmt::format("{}: shape {} of {} has an odd last size, and two share "
                                           "a byte; make it even",
                                           where, to_string(shape), name_of(dtype)));
  // Zeros count as ones: strides are products too, and must not overflow beside an empty axis.
  std::int64_t bytes = size_of(dtype);
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0)
      throw api::error("shape-negative",
                       fmt::format("{}: shape {} has a negative size", where, to_string(shape)));
    empty = empty || size == 0;
    if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(size, 1), &bytes))
      throw_overflow(where, shape, dtype);
  }
  return empty ? 0 : bytes / packed_in_one(dtype);
}

void HostTensor::Free::operator()(std::byte* data) const noexcept { std::free(data); }

HostTensor::HostTensor(DType dtype, Shape shape)
    : bytes_(checked_bytes(dtype, shape, "strobe::HostTensor")),
      dtype_(dtype),
      shape_(shape),
      strides_(shape.contiguous_strides()) {
  data_.reset(allocate(bytes_));
}

HostTensor::HostTensor(DType dtype, Shape shape, Shape strides)
    : dtype_(dtype), shape_(shape), strides_(strides) {
  (void)checked_bytes(dtype, shape, "strobe::HostTensor");
  bytes_ = strided_bytes(dtype, shape, strides);
  data_.reset(allocate(bytes_));
}

std::int64_t HostTensor::elements() const {
  if (shape_.rank() == 0) return 0;
  std::int64_t product = 1;
  for (const std::int64_t size : shape_) product *= size;
  return product;
}

void HostTensor::check_dtype(DType wanted) const {
  if (wanted != dtype_)
    throw api::error("tensor-access",
                     fmt::format("strobe::HostTensor: a tensor of {} was read as {}",
                                 name_of(dtype_), name_of(wanted)));
}

std::int64_t HostTensor::index_of(const Shape& index) const {
  bool inside = index.rank() == shape_.rank() && shape_.rank() > 0;
  std::int64_t offset = 0;
  for (int axis = 0; inside && axis < shape_.rank(); ++axis) {
    inside = index[axis] >= 0 && index[axis] < shape_[axis];
    if (inside) offset += index[axis] * strides_[axis];
  }
  if (!inside)
    throw api::error("tensor-access",
                     fmt::format("strobe::HostTensor: index {} lies outside shape {}",
                                 to_string(index), to_string(shape_)));
  return offset;
}

double HostTensor::get(const Shape& index) const {
  const std::int64_t element = index_of(index);
  if (is_code(dtype_)) return load_element(data_.get(), dtype_, element);
  const std::byte* at = data_.get() + element * size_of(dtype_);
  switch (dtype_) {
    case DType::f64: return load<double>(at);
    case DType::f32: return load<float>(at);
    case DType::bf16: return static_cast<float>(load<bfloat16>(at));
    case DType::f16: return static_cast<float>(load<float16>(at));
    case DType::i32: return load<std::int32_t>(at);
    case DType::u64: return static_cast<double>(load<std::uint64_t>(at));
    case DType::boolean: return load<std::uint8_t>(at) != 0 ? 1.0 : 0.0;
    default: break;
  }
  return 0.0;
}

void HostTensor::set(const Shape& index, double value) {
  const std::int64_t element = index_of(index);
  if (is_code(dtype_)) return store_element(data_.get(), dtype_, element, value);
  std::byte* at = data_.get() + element * size_of(dtype_);
  switch (dtype_) {
    case DType::f64: return store(at, value);
    case DType::f32: return store(at, static_cast<float>(value));
    case DType::bf16: return store(at, bfloat16(static_cast<float>(round_to(value, 7, -126))));
    case DType::f16: return store(at, float16(static_cast<float>(round_to(value, 10, -14))));
    case DType::i32: return store(at, checked_int32(value));
    case DType::u64: return store(at, static_cast<std::uint64_t>(value));
    case DType::boolean: return store(at, static_cast<std::uint8_t>(value != 0.0));
    default: break;
  }
}

void HostTensor::swap_axes(int first, int second) {
  std::swap(shape_[first], shape_[second]);
  std::swap(strides_[first], strides_[second]);
}

HostTensor HostTensor::contiguous() const {
  HostTensor copy(dtype_, shape_);
  if (elements() > 0) gather(api::whole_bytes(const_view()), 0, data_.get(), copy.data_.get());
  return copy;
}

HostTensor HostTensor::clone() const {
  if (rank() == 0) return {};
  HostTensor copy(dtype_, shape_, strides_);
  std::memcpy(copy.data_.get(), data_.get(), static_cast<std::size_t>(bytes_));
  return copy;
}

void HostTensor::fill_bytes(std::byte value) {
  if (bytes_ > 0)
    std::memset(data_.get(), std::to_integer<int>(value), static_cast<std::size_t>(bytes_));
}

}  // namespace strobe::harness
