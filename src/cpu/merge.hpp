// Parts of a softmax made one, for every row.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "strobe/merge.hpp"

namespace strobe::cpu {

/// The work of strobe::merge(), on tensors that passed its checks.
void merge(const MergeTensors& tensors, const Parallel& parallel, int threads);

}  // namespace strobe::cpu
