// The draws of dropout: Philox4x32-10, one call for eight entries of a 16 x 16 cell.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strobe {

/// A counter, or the four random words made of it.
struct Philox {
  std::uint32_t word[4];
};

namespace philox {
inline constexpr std::uint32_t kMultiplier0 = 0xd2511f53u;
inline constexpr std::uint32_t kMultiplier1 = 0xcd9e8d57u;
inline constexpr std::uint32_t kWeyl0 = 0x9e3779b9u;
inline constexpr std::uint32_t kWeyl1 = 0xbb67ae85u;
inline constexpr int kRounds = 10;
}  // namespace philox

/// Ten rounds of Philox4x32 (Salmon et al., 2011).
constexpr Philox philox4x32(Philox counter, std::uint64_t seed) {
  auto& c = counter.word;
  std::uint32_t key0 = static_cast<std::uint32_t>(seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < philox::kRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{philox::kMultiplier0} * c[0];
    const std::uint64_t product1 = std::uint64_t{philox::kMultiplier1} * c[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ c[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ c[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += philox::kWeyl0;
    key1 += philox::kWeyl1;
  }
  return counter;
}

/// Side of the cells of scores that share a counter.
inline constexpr int kDropoutCell = 16;

/// Which cell of which head of which use of the seed.
struct DropoutCell {
  std::int64_t row = 0;   ///< of the cell: row of the sequence / 16
  std::int64_t key = 0;   ///< key of the sequence / 16
  std::int64_t head = 0;  ///< batch * num_heads + query head
  std::uint64_t offset = 0;
};

/// The counter of rows `pair_row` and `pair_row` + 8 with keys 2 * pair, 2 * pair + 1 and the same
/// plus 8: pair_row in [0, 8), pair in [0, 4). Word 0 holds the first row's keys 2 * pair (low
/// half) and 2 * pair + 1, word 1 the second row's, words 2 and 3 the keys 8 further.
constexpr Philox dropout_counter(const DropoutCell& cell, int pair_row, int pair) {
  return {{static_cast<std::uint32_t>(cell.row), static_cast<std::uint32_t>(cell.key),
           static_cast<std::uint32_t>(cell.head),
           static_cast<std::uint32_t>(cell.offset * 32) +
               static_cast<std::uint32_t>(pair_row * 4 + pair)}};
}

/// The 16-bit draw of one entry: `head` is batch * num_heads + query head, row and key count in
/// their own sequence.
constexpr std::uint32_t dropout_draw(std::uint64_t seed, std::uint64_t offset, std::int64_t head,
                                     std::int64_t row, std::int64_t key) {
  const int r = static_cast<int>(row % kDropoutCell), k = static_cast<int>(key % kDropoutCell);
  const DropoutCell cell{row / kDropoutCell, key / kDropoutCell, head, offset};
  const Philox draws = philox4x32(dropout_counter(cell, r % 8, k % 8 / 2), seed);
  const std::uint32_t word = draws.word[r / 8 + k / 8 * 2];
  return k % 2 == 0 ? word & 0xffffu : word >> 16;
}

}  // namespace strobe
