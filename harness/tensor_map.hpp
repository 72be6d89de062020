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

/// q, k, v, cu_seqlens_*, seqlens_* from `in`, o and lse from `out`; the views point into both
/// maps. Tensors that forward does not read are left alone. Throws Error(invalid_argument) when q,
/// k or v is missing, and Error(unsupported) for an input that would change the result and that
/// this build cannot take (bias, allowed, ...).
ForwardTensors forward_tensors(TensorMap& in, TensorMap& out);

}  // namespace strobe::harness
