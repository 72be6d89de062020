// Tensors from files and back: where they come from, where results may go, the axes of a layout.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "harness/tensor_map.hpp"

namespace strobe::tool {

/// Files by tensor name; a tensor may come from one of them only.
struct InputFiles {
  std::string safetensors{};                 ///< empty: none
  std::map<std::string, std::string> npy{};  ///< tensor name to file
};

/// All tensors of the files. Throws Error for what cannot be read, comes twice or has no meaning.
harness::TensorMap read_inputs(const InputFiles& files);

/// Throws Error(invalid_argument) when results could not be written to `out`: a .safetensors file,
/// else a folder, which need not exist yet; or when that would replace an input.
void check_output(const std::string& out, const InputFiles& inputs);

/// Throws Error(invalid_argument) when `path` is one of the inputs, whatever either is called;
/// `option` is what the message blames.
void check_not_input(const std::string& path, const char* option, const InputFiles& inputs);

/// Writes to a .safetensors file or a folder of .npy files; says what went where.
std::string write_outputs(const std::string& out, const harness::TensorMap& tensors);

/// Exchanges the axes of seqlen (total, slots) and heads, which layout=bhsd has the other way round
/// in files.
void swap_layout(harness::HostTensor& tensor);

}  // namespace strobe::tool
