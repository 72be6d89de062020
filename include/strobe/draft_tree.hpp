// A tree of drafted tokens as `allowed`, for verifying all of its branches in one call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace strobe {

/// Fills `allowed`, [1, 1, seqlen_q, seqlen_k] bool in row-major order (1: may attend, 0: may not),
/// for seqlen_q = parents.size() drafted tokens that are the last of seqlen_k keys. Token i sees
/// the whole context before them, itself, and its parent, that one's parent and so on.
/// parents[i] is a token before i, or -1 for one that follows the context. Checks, then writes.
/// Throws Error. Source: Miao et al., SpecInfer, 2023, whose name for it is tree attention.
void fill_draft_tree(std::span<const std::int32_t> parents, std::int64_t seqlen_k,
                     std::span<std::uint8_t> allowed);

}  // namespace strobe
