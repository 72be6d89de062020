// How long a sequence and how large a batch fit in memory: arithmetic, nothing is allocated.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "options.hpp"
#include "strobe/problem.hpp"

namespace strobe::tool {

/// Reads "16GiB", "1.5GiB", "800MB", "4096". Throws Error(invalid_argument).
std::int64_t parse_bytes(const std::string& text);

/// Bytes of the keys and values of all sequences, at their longest: of k and v, or of a cache. The
/// largest int64 where that overflows.
std::int64_t key_bytes(const Problem& problem);

/// Bytes of q, k, v (or the cache and what it is appended to), o and lse of the problem and of what
/// its masks and scores take from memory, all lengths at their longest. The largest int64 where
/// that overflows.
std::int64_t tensor_bytes(const Problem& problem);

/// Bytes beside the tensors that a way of computing needs.
using ExtraBytes = std::function<std::int64_t(const Problem&)>;

/// The workspace of a plan; none for the reference. A size that no kernel takes does not fit: the
/// largest int64. Throws Error(device) where the machine lacks the backend.
ExtraBytes plan_bytes(const Where& where);

/// The problem with the longest sequences that fit: seqlen_q and seqlen_k grow together where they
/// are equal, else seqlen_k alone. seqlen_k = 0 when not even one key fits.
Problem longest(const Problem& problem, std::int64_t memory, const ExtraBytes& extra);

/// The problem with the largest batch that fits; batch = 0 when not even one does.
Problem largest_batch(const Problem& problem, std::int64_t memory, const ExtraBytes& extra);

}  // namespace strobe::tool
