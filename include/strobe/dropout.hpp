// Which probabilities are dropped: the same ones on every machine, for any tiling.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strobe {

/// Dropout of the normalised probabilities. An entry is kept when its 16-bit draw reaches
/// threshold(); kept entries are divided by the share that is kept. Draws come from Philox4x32-10
/// (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011), keyed by seed; docs/
/// semantics.md says which draw belongs to which entry.
struct Dropout {
  double probability = 0;    ///< of being dropped, in steps of 1 / 65536; 0: off
  std::uint64_t seed = 0;    ///< of the call, unless dropout_state is given
  std::uint64_t offset = 0;  ///< below 2^27: which use of the seed this is

  /// Draws below it are dropped: 65536 * probability to the nearest.
  constexpr std::uint32_t threshold() const {
    return static_cast<std::uint32_t>(probability * 131072.0 + 1.0) / 2;
  }
  /// What kept entries are multiplied by.
  constexpr double keep_scale() const { return 65536.0 / (65536.0 - threshold()); }

  constexpr bool operator==(const Dropout&) const = default;
};

}  // namespace strobe
