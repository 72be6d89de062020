// The elements of tensors in files: little-endian, row-major, one after the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "harness/file.hpp"
#include "harness/host_tensor.hpp"

namespace strobe::harness {

/// Reads a tensor's memory as it lies in the file; its strides must leave no gap. A boolean becomes
/// 1 where its byte is not 0.
void read_elements(const InputFile& file, std::int64_t offset, HostTensor& tensor);

/// Writes the elements in logical order, whatever the tensor's strides.
void write_elements(OutputFile& file, const HostTensor& tensor);

}  // namespace strobe::harness
