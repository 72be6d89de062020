// The safetensors format: many named tensors in one file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "harness/tensor_map.hpp"

namespace strobe::harness {

/// Reads every tensor of the file, row-major; `__metadata__` is skipped. Types: F32 F64 F16 BF16
/// F8_E4M3 F8_E5M2 I32 I8 U64, and U8 and BOOL, both boolean (any value but 0 is true), but for
/// k_cache and v_cache, of which U8 is pairs of i4 along the last axis.
/// Throws Error(invalid_argument) that names the file, the tensor and what is wrong: nothing in the
/// file is trusted. The tensors must fill the data exactly, without overlap or hole, as the format
/// asks; ranks are 1 to 4.
TensorMap read_safetensors(const std::filesystem::path& path);

/// Writes the tensors, sorted by name, each row-major in its logical order and starting at a
/// multiple of its element size. The file appears whole or not at all (harness/file.hpp), which
/// names the errors.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors);

}  // namespace strobe::harness
