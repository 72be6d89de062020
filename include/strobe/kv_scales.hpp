// How many numbers of a quantised cache share a scale.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strobe {

/// value = code * scale, in f32. `tensor` and `head` scales are given; those of `token` and `group`
/// are written with the codes when keys are appended.
enum class KvScales : std::int32_t {
  none,    ///< the cache is not quantised
  tensor,  ///< [1]: one for all
  head,    ///< [num_heads_kv]
  token,   ///< one for each token of a head: the cache's shape without dim
  group,   ///< one for each group of 32 dims of a token: likewise, with ceil(dim / 32) for dim
};

/// Dims that share a scale of KvScales::group; the last group of a head may be shorter.
inline constexpr std::int64_t kScaleGroup = 32;

}  // namespace strobe
