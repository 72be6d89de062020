// How work is cut: pure functions of the problem and the machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/forward_task.hpp"
#include "strobe/problem.hpp"

namespace strobe::plan {

/// Query tiles of a task: 16, 8, 4, 2 or 1. More tiles read each key block less often; fewer make
/// enough tasks for every thread. The choice moves work, never bits.
int choose_tiles(const Problem& problem, const cpu::ForwardKernel& kernel, int threads);

/// Tasks of a call with this many query tiles each (of the longest lengths).
std::int64_t count_tasks(const Problem& problem, const cpu::ForwardKernel& kernel, int tiles);

}  // namespace strobe::plan
