// A drawn cache of plain numbers made one of codes and scales.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/tensor_map.hpp"
#include "strobe/problem.hpp"

namespace strobe::harness {

/// Replaces `name`_cache, of "k" or "v", by its codes and adds `name`_scale, as the problem has
/// them. Scales of tensor and head map the largest number of the cache and of the new rows `name`
/// to the largest code; those of tokens and groups are what an append writes. Rows of NaN, which
/// hold no key, become bytes 0xff with scales of NaN.
void quantise_cache(const Problem& problem, const std::string& name, TensorMap& tensors);

}  // namespace strobe::harness
