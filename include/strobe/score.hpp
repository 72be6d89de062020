// What happens to q.k before the softmax.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

namespace strobe {

/// s = scale * (q . k)
struct Score {
  std::optional<double> scale{};  ///< not given: 1 / sqrt(head_dim)

  double scale_for(std::int64_t head_dim) const {
    return scale ? *scale : 1.0 / std::sqrt(static_cast<double>(head_dim));
  }

  bool operator==(const Score&) const = default;
};

}  // namespace strobe
