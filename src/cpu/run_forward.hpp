// One forward call on the CPU: its tasks, in the order in which workers claim them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/forward_task.hpp"
#include "strobe/plan.hpp"

namespace strobe::cpu {

/// Bytes that run_forward needs: scratch for each thread, 16 bytes a sequence for the task order.
std::size_t forward_workspace_bytes(const ForwardKernel& kernel, std::int64_t batch,
                                    std::int64_t head_dim, std::int64_t head_dim_v, int tiles,
                                    int threads);

/// Runs every task of the call. A task is `tiles` query tiles of one head; workers take the next
/// one from a counter, longest sequences and last rows first, so that the end is even.
/// The result does not depend on threads, tiles or the order.
void run_forward(const ForwardKernel& kernel, const ForwardParams& params, int tiles, int threads,
                 const Parallel& parallel, std::byte* workspace);

}  // namespace strobe::cpu
