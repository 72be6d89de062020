// What happens to q.k before the softmax.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

namespace strobe {

/// In this order: s = scale * (q . k); with softcap s = softcap * tanh(s / softcap); plus the
/// call's bias; minus its ALiBi slope times |pos(row) - key|; then the mask.
struct Score {
  std::optional<double> scale{};  ///< not given: 1 / sqrt(head_dim)
  double softcap = 0;             ///< bound of |s| before bias; 0: none

  double scale_for(std::int64_t head_dim) const {
    return scale ? *scale : 1.0 / std::sqrt(static_cast<double>(head_dim));
  }

  bool operator==(const Score&) const = default;
};

}  // namespace strobe
