// All of a decode call on the CPU: append, turn the queries, attend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/run_decode.hpp"
#include "semantics/decode_params.hpp"
#include "strobe/plan.hpp"

namespace strobe::cpu {

/// What was decided for a call, and the most that it may be asked to do.
struct DecodeCall {
  const DecodeKernel* few = nullptr;    ///< attends leaf by leaf; null: the tile kernel attends
  const ForwardKernel* tile = nullptr;  ///< for many queries
  int tiles = 1;                        ///< of a tile kernel's task
  DecodeCut cut{};
  DecodeSizes sizes{};
  std::int64_t seqlen_q = 0;
  std::int64_t num_heads = 0;
  DType dtype = DType::f32;
  Rotary rotary{};
  int threads = 1;
  std::int64_t slots = 0;  ///< numbers that checking the slots of new keys takes, before the call
};

/// For turned queries and the angles of their positions, where there is rotary embedding, and for
/// the kernel.
std::size_t decode_call_bytes(const DecodeCall& call);

/// call.slots numbers of the workspace, for use before the call.
std::span<std::int64_t> slot_numbers(const DecodeCall& call, std::byte* workspace);

/// Writes the new keys and values into the cache, then o and lse.
void run_decode_call(const DecodeCall& call, const DecodeParams& params, const Parallel& parallel,
                     std::byte* workspace);

}  // namespace strobe::cpu
