// Every check of every argument. docs/errors.md explains each message.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "semantics/decode_params.hpp"
#include "semantics/forward_params.hpp"
#include "strobe/attention.hpp"

namespace strobe::api {

/// The largest head_dim and head_dim_v that kernels take.
inline constexpr std::int64_t kMaxHeadDim = kMostHeadDim;

/// The most sequences of a call: a workspace has 16 bytes for each, in 63 bits with room to spare.
inline constexpr std::int64_t kMaxBatch = std::int64_t{1} << 56;

/// What can be said of a problem without tensors: sizes, head ratio, types, mask, scale.
/// `where` starts the message: "strobe::Plan".
void check_problem(const Problem& problem, const char* where);

/// The part of check_problem that needs no sizes: mask, scale, enumerations.
void check_meaning(const Problem& problem, const char* where);

/// What check_problem leaves open because only one operation has it: what decode alone knows is
/// refused for forward, packed sequences and dropout for decode, splits for all but decode.
void check_op(const Problem& problem, Op op, int splits, const char* where);

/// Checks everything about a forward call (ranks, shapes, types, strides, overlaps, lengths,
/// options) and turns it into a problem. Nothing has been written when it throws; allocates
/// nothing unless it throws.
Problem check_forward(const ForwardTensors& tensors, const Options& options, const char* where);

/// Checks that tensors fit a plan made for `planned`: same batch, heads, dims and types, packed
/// exactly where the plan is, lengths at most the planned ones. seqlens_q and seqlens_k, which
/// only shorten, may be there or not. Allocates nothing unless it throws.
void check_planned(const ForwardTensors& tensors, const Problem& planned, const char* where);

/// As check_forward, for a decode call: page table entries are checked as far as lengths reach.
/// Left for check_append_slots is whether slots that new keys go to are free.
Problem check_decode(const DecodeTensors& tensors, const Options& options, const char* where);

/// As check_planned, for a decode plan.
void check_planned(const DecodeTensors& tensors, const Problem& planned, const char* where);

/// Every new key has a slot of the cache to itself: no other new key goes there, and no sequence
/// sees the key that it holds. The tensors passed the other checks; `problem` is the one that was
/// planned, with its mask, and `room` has the numbers of plan::append_slots() of it. Looks at each
/// page in use once, and allocates nothing unless it throws.
void check_append_slots(const DecodeTensors& tensors, const Problem& problem,
                        std::span<std::int64_t> room, const char* where);

/// The kernel's view of tensors that passed the checks: sizes and types from the tensors, mask
/// and score from the problem. Strides of axes of size 1 or 0 are 0, whatever the view says.
ForwardParams forward_params(const ForwardTensors& tensors, const Problem& problem);

/// For the float64 oracle: as forward_params, but o and lse may be f64. q, k, v and the lengths
/// must have passed the checks.
ForwardParams reference_params(const ForwardTensors& tensors, const Problem& problem);

/// The same for decode.
DecodeParams decode_params(const DecodeTensors& tensors, const Problem& problem);

/// For the float64 oracle: as decode_params, but o and lse may be f64.
DecodeParams decode_reference_params(const DecodeTensors& tensors, const Problem& problem);

}  // namespace strobe::api
