// What to say where memory ends: what was asked for, and the largest case that fits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "memory.hpp"
#include "strobe/problem.hpp"

namespace strobe::tool {

/// Calls `work`, which makes the tensors of `problem` and needs `extra` beside them. Where memory
/// ends inside it, throws Error(out_of_memory) with what was asked for, the longest sequence and
/// the largest batch that fit in what is left.
void with_memory_for(const Problem& problem, const ExtraBytes& extra,
                     const std::function<void()>& work);

}  // namespace strobe::tool
