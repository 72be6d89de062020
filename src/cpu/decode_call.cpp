// Append, turn the queries, attend: three passes over the threads.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/decode_call.hpp"

#include <algorithm>
#include <span>

#include "cpu/append.hpp"
#include "cpu/run_forward.hpp"
#include "cpu/workspace.hpp"

namespace strobe::cpu {
namespace {

/// Bytes of the parts of the workspace, in their order.
struct Parts {
  std::size_t angles = 0;  ///< cos and sin of a position's pairs, for each thread
  std::size_t turned = 0;  ///< q, row-major
  std::size_t kernel = 0;

  explicit Parts(const DecodeCall& c) {
    if (c.rotary.dim > 0) {
      angles = aligned(rotary_scratch(c.rotary, c.threads) * sizeof(double));
      turned = aligned(static_cast<std::size_t>(c.sizes.batch * c.seqlen_q * c.num_heads *
                                                c.sizes.head_dim * size_of(c.dtype)));
    }
    kernel = c.few != nullptr ? decode_workspace_bytes(*c.few, c.sizes, c.cut, c.threads)
                              : forward_workspace_bytes(*c.tile, c.sizes.batch, c.sizes.head_dim,
                                                        c.sizes.head_dim_v, c.tiles, c.threads);
  }
  std::size_t bytes() const { return kAlignment - 1 + angles + turned + kernel; }
};

}  // namespace

std::size_t decode_call_bytes(const DecodeCall& call) {
  const std::size_t slots = static_cast<std::size_t>(call.slots) * sizeof(std::int64_t);
  return std::max(Parts(call).bytes(), kAlignment - 1 + slots);
}

std::span<std::int64_t> slot_numbers(const DecodeCall& call, std::byte* workspace) {
  return {reinterpret_cast<std::int64_t*>(align(workspace)), static_cast<std::size_t>(call.slots)};
}

void run_decode_call(const DecodeCall& call, const DecodeParams& params, const Parallel& parallel,
                     std::byte* workspace) {
  const Parts parts(call);
  std::byte* const base = align(workspace);
  const std::span<double> angles(reinterpret_cast<double*>(base), parts.angles / sizeof(double));
  append(params, parallel, call.threads, angles);

  ForwardParams attention = params.attention;
  if (params.rotary.dim > 0) {
    turn_queries(params, base + parts.angles, parallel, call.threads, angles);
    attention.q = base + parts.angles;
    attention.q_strides = turned_strides(attention);
  }
  std::byte* const rest = base + parts.angles + parts.turned;
  if (call.few != nullptr)
    run_decode(*call.few, attention, call.sizes, call.cut, call.threads, parallel, rest);
  else
    run_forward(*call.tile, attention, call.tiles, call.threads, parallel, rest);
}

}  // namespace strobe::cpu
