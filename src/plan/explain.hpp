// A decision in words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "plan/decision.hpp"

namespace strobe::plan {

/// Kernel, tiles, tasks, workspace, FLOPs, bytes, the limit; every other kernel with its reason.
std::string describe(const Problem& problem, cpu::Isa allowed, const Decision& decision);

/// One line a kernel: name, arithmetic, tiles, and whether this machine runs it.
std::string describe_kernels();

}  // namespace strobe::plan
