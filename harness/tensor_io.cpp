// The elements of tensors in files: little-endian, row-major, one after the other.
// SPDX-License-Identifier: Apache-2.0
#include "harness/tensor_io.hpp"

#include <bit>
#include <cstddef>
#include <span>

namespace strobe::harness {

static_assert(std::endian::native == std::endian::little, "files hold little-endian elements");

void read_elements(const InputFile& file, std::int64_t offset, HostTensor& tensor) {
  const std::span<std::byte> memory(tensor.data(), static_cast<std::size_t>(tensor.bytes()));
  file.read(offset, memory);
  if (tensor.dtype() != DType::boolean) return;
  for (std::byte& element : memory)
    if (element != std::byte{0}) element = std::byte{1};
}

void write_elements(OutputFile& file, const HostTensor& tensor) {
  if (!tensor.is_contiguous()) return write_elements(file, tensor.contiguous());
  file.write(std::span(tensor.data(), static_cast<std::size_t>(tensor.bytes())));
}

}  // namespace strobe::harness
