// p = 0 where dropout says so: between softmax and the value product, 16 keys of a lane group at a
// time. The division by the share that is kept waits for the end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/tiling.hpp"
#include "semantics/philox.hpp"

namespace strobe::cpu::STROBE_ISA {

/// The draws of one call for one head.
struct Draws {
  std::uint32_t threshold = 0;  // draws below it are dropped; 0: no dropout
  std::uint64_t seed = 0;
  std::uint64_t offset = 0;
  std::int64_t head = 0;  // batch * num_heads + query head
};

template <class C>
STROBE_INLINE Draws draws_of(const ForwardParams& p, const ForwardTask& task) {
  const bool state = p.dropout_state != nullptr;
  return {p.dropout.threshold(), state ? p.dropout_state[0] : p.dropout.seed,
          state ? p.dropout_state[1] : p.dropout.offset,
          task.sequence.index * p.num_heads + task.head};
}

/// All random words of a 16 x 16 cell: word w of pair_row r and pair q is words[w][8 * q + r]
/// (semantics/philox.hpp). Plain loops over 32 counters, which the compiler turns into vectors.
struct CellWords {
  alignas(64) std::uint32_t words[4][32];

  STROBE_INLINE void draw(const Draws& draws, std::int64_t cell_row, std::int64_t cell_key) {
    for (int i = 0; i < 32; ++i) {
      words[0][i] = static_cast<std::uint32_t>(cell_row);
      words[1][i] = static_cast<std::uint32_t>(cell_key);
      words[2][i] = static_cast<std::uint32_t>(draws.head);
      words[3][i] = static_cast<std::uint32_t>(draws.offset * 32) +
                    static_cast<std::uint32_t>(i % 8 * 4 + i / 8);
    }
    auto key0 = static_cast<std::uint32_t>(draws.seed);
    auto key1 = static_cast<std::uint32_t>(draws.seed >> 32);
    for (int round = 0; round < philox::kRounds; ++round) {
      for (int i = 0; i < 32; ++i) {
        const std::uint64_t product0 = std::uint64_t{philox::kMultiplier0} * words[0][i];
        const std::uint64_t product1 = std::uint64_t{philox::kMultiplier1} * words[2][i];
        words[0][i] = static_cast<std::uint32_t>(product1 >> 32) ^ words[1][i] ^ key0;
        words[1][i] = static_cast<std::uint32_t>(product1);
        words[2][i] = static_cast<std::uint32_t>(product0 >> 32) ^ words[3][i] ^ key1;
        words[3][i] = static_cast<std::uint32_t>(product0);
      }
      key0 += philox::kWeyl0;
      key1 += philox::kWeyl1;
    }
  }
};

/// keep[key][lane]: all bits set or none, of 16 keys and the rows of a lane group, which starts at
/// row `row` of the sequence (a multiple of kLanes).
template <class C>
STROBE_INLINE void keep_masks(const CellWords& cell, std::uint32_t threshold, std::int64_t row,
                              std::uint32_t (&keep)[kDropoutCell][C::kLanes]) {
  const int inside = static_cast<int>(row % kDropoutCell);
  for (int key = 0; key < kDropoutCell; ++key)
    for (int lane = 0; lane < C::kLanes; ++lane) {
      const int r = inside + lane;
      const std::uint32_t word = cell.words[r / 8 + key / 8 * 2][key % 8 / 2 * 8 + r % 8];
      const std::uint32_t draw = key % 2 == 0 ? word & 0xffffu : word >> 16;
      keep[key][lane] = draw >= threshold ? ~std::uint32_t{0} : 0u;
    }
}

/// Drops what is to be dropped of the probabilities of a tile (rows from `first_row`, keys from
/// `block_begin`). Of bf16 dot products a word holds two keys.
template <class C>
STROBE_NOINLINE void drop(const Draws& draws, std::int64_t first_row, std::int64_t block_begin,
                          const Runs& runs, Word* p) {
  static_assert(kDropoutCell % C::kLanes == 0 && C::kChunk == kDropoutCell);
  for (int i = 0; i < runs.count; ++i) {
    const Run& run = runs.run[i];
    for (int key = run.begin; key < run.end; key += C::kChunk)
      for (int g = run.group; g < run.group + run.groups; ++g) {
        const std::int64_t row = first_row + g * C::kLanes;
        CellWords cell;
        cell.draw(draws, row / kDropoutCell, (block_begin + key) / kDropoutCell);
        alignas(64) std::uint32_t keep[kDropoutCell][C::kLanes];
        keep_masks<C>(cell, draws.threshold, row, keep);
        Word* to = p + key / C::kPerWord * C::kTileQ + g * C::kLanes;
        for (int k = 0; k < kDropoutCell; k += C::kPerWord, to += C::kTileQ)
          for (int lane = 0; lane < C::kLanes; ++lane) {
            if constexpr (C::kDot)
              to[lane] &= (keep[k][lane] & 0xffffu) | (keep[k + 1][lane] & 0xffff0000u);
            else
              to[lane] &= keep[k][lane];
          }
      }
  }
}

}  // namespace strobe::cpu::STROBE_ISA
