// Tensors by name, as they lie in files, and their wiring to the library's calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "harness/host_tensor.hpp"
#include "strobe/attention.hpp"

namespace strobe::harness {

/// Sorted by name.
using TensorMap = std::map<std::string, HostTensor>;

/// Whether some op reads or writes a tensor of this name (design of the tool: docs/cases.md).
bool is_tensor_name(std::string_view name);

/// All of them.
std::span<const std::string_view> tensor_names();

/// Throws Error(invalid_argument) for the first name that no op knows, listing those that are.
void check_names(const TensorMap& tensors);

/// Inputs from `in`, o and lse from `out`; the views point into both maps. Tensors that forward
/// does not read are left alone. Throws Error(invalid_argument) when q, k or v is missing, and
/// Error(unsupported) for leftpad_k, which would change the result and which forward does not take.
ForwardTensors forward_tensors(TensorMap& in, TensorMap& out);

/// The same for decode; the cache, which it writes, lies in `in`. Throws Error(invalid_argument)
/// when q, k_cache, v_cache or cache_seqlens is missing.
DecodeTensors decode_tensors(TensorMap& in, TensorMap& out);

}  // namespace strobe::harness
