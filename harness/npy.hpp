// NumPy's .npy files: one tensor each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "harness/host_tensor.hpp"
#include "harness/tensor_map.hpp"

namespace strobe::harness {

/// Reads format versions 1, 2 and 3, in row-major or Fortran order; the result is row-major.
/// Types: <f4 <f8 <f2 <i4 <u8 |b1 |u1 (any value but 0 is true) and V2, which is bf16.
/// Throws Error(invalid_argument) that names the file and what is wrong with it: nothing in the
/// file is trusted, and it must hold exactly the bytes that its shape asks for.
HostTensor read_npy(const std::filesystem::path& path);

/// Writes version 1, row-major in the tensor's logical order. The file appears whole or not at all
/// (harness/file.hpp), which names the errors.
void write_npy(const std::filesystem::path& path, const HostTensor& tensor);

/// Writes folder/NAME.npy for every tensor, making the folder where it is missing. All are written
/// before the first is renamed into place.
void write_npy_folder(const std::filesystem::path& folder, const TensorMap& tensors);

}  // namespace strobe::harness
