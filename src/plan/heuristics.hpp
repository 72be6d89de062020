// How work is cut: pure functions of the problem and the machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/forward_task.hpp"
#include "cpu/run_decode.hpp"
#include "strobe/problem.hpp"

namespace strobe::plan {

/// Query tiles of a task: 16, 8, 4, 2 or 1. More tiles read each key block less often; fewer make
/// enough tasks for every thread. The choice moves work, never bits.
int choose_tiles(const Problem& problem, const cpu::ForwardKernel& kernel, int threads);

/// Queries up to which a decode kernel, which keeps rows of one key head in the lanes of a short
/// vector, is faster than a tile kernel. Both give the same bits.
inline constexpr std::int64_t kFewQueries = 16;
constexpr bool few_queries(const Problem& problem) { return problem.seqlen_q <= kFewQueries; }

/// The sizes of a decode problem as its kernels count them.
cpu::DecodeSizes decode_sizes(const Problem& problem);

/// Numbers that checking the slots of new keys needs room for: one for each new key where it might
/// meet another key, new or old, in one slot, else 0.
std::int64_t append_slots(const Problem& problem);

/// How a decode call is cut into tasks. `splits`: parts of the longest sequence; 0: a leaf a task,
/// and as few key heads as it takes to give every thread four tasks. More heads read whole rows of
/// the cache; more tasks keep every thread reading. Moves work, never bits.
cpu::DecodeCut choose_cut(const Problem& problem, const cpu::DecodeKernel& kernel, int threads,
                          int splits);

/// Tasks of a decode call whose sequences share all of their pages: at least one for each thread,
/// where smaller tasks can give as many.
std::int64_t count_shared_tasks(const Problem& problem, const cpu::DecodeCut& cut);

/// Tasks of a call with this many query tiles each (of the longest lengths).
std::int64_t count_tasks(const Problem& problem, const cpu::ForwardKernel& kernel, int tiles);

}  // namespace strobe::plan
