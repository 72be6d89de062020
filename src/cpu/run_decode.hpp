// One decode call on the CPU: leaves of keys as tasks, and whoever finishes a sequence's last one
// merges them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/decode_order.hpp"
#include "cpu/decode_task.hpp"
#include "strobe/plan.hpp"

namespace strobe::cpu {

/// The most that a call may have.
struct DecodeSizes {
  std::int64_t batch = 0;
  std::int64_t num_heads_kv = 0;
  std::int64_t rows = 0;  ///< of a key head: seqlen_q * num_heads / num_heads_kv
  std::int64_t seqlen_k = 0;
  std::int64_t head_dim = 0;
  std::int64_t head_dim_v = 0;
  bool coded = false;  ///< the cache is quantised

  DecodeShape shape(const DecodeCut& cut) const {
    return {head_dim, head_dim_v, rows, cut.kv_heads, coded, cut.sequences};
  }
};

/// Tasks of a call whose sequences all have the sizes' lengths.
std::int64_t count_tasks(const DecodeSizes& sizes, const DecodeCut& cut);

/// Bytes that run_decode needs: scratch for each thread; for each sequence its place in the order
/// of tasks, a piece for each of its parts, and a counter for each of its tasks' head sets; and
/// (head_dim_v + 2) numbers for each leaf of each row.
std::size_t decode_workspace_bytes(const DecodeKernel& kernel, const DecodeSizes& sizes,
                                   const DecodeCut& cut, int threads);

/// `sizes` are those that the workspace was made for. The result does not depend on threads or cut.
void run_decode(const DecodeKernel& kernel, const ForwardParams& params, const DecodeSizes& sizes,
                const DecodeCut& cut, int threads, const Parallel& parallel, std::byte* workspace);

}  // namespace strobe::cpu
