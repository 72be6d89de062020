// A picture of attention: for every head the words of the passage, shaded by how much one row
// attends to them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strobe::tool {

/// One head's panel.
struct HeadWeights {
  std::int64_t head = 0;
  std::vector<double> p{};  ///< one weight a word
};

struct Picture {
  std::vector<std::string> words{};
  std::int64_t query_word = 0;  ///< whose attention is shown; outside the words: not marked
  std::string caption{};        ///< what was run
  std::vector<HeadWeights> heads{};
};

/// Most words of a picture: beyond, nobody could read it.
inline constexpr std::int64_t kMostWords = 4096;

/// A self-contained SVG file: no fonts, scripts or images from elsewhere.
std::string draw_svg(const Picture& picture);

}  // namespace strobe::tool
