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
  return {p.dropout.threshold(), p.dropout_seed(), p.dropout_offset(),
          task.sequence.index * p.num_heads + task.head};
}

/// All random words of a 16 x 16 cell: word w of pair_row r and pair q is words[w][8 * q + r]
/// (semantics/philox.hpp). 32 counters, kLanes a time.
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
    for (int first = 0; first < 32; first += Simd::kLanes) rounds(draws.seed, first);
  }

 private:
  /// Ten rounds on kLanes counters.
  STROBE_INLINE void rounds(std::uint64_t seed, int first) {
    using Vec = typename Simd::Vec;
    const std::uint32_t multipliers[] = {philox::kMultiplier0, philox::kMultiplier1};
    const Vec multiplier0 = Simd::broadcast(multipliers);
    const Vec multiplier1 = Simd::broadcast(multipliers + 1);
    std::uint32_t key0 = static_cast<std::uint32_t>(seed);
    std::uint32_t key1 = static_cast<std::uint32_t>(seed >> 32);
    Vec c0 = Simd::load(words[0] + first), c1 = Simd::load(words[1] + first);
    Vec c2 = Simd::load(words[2] + first), c3 = Simd::load(words[3] + first);
    for (int round = 0; round < philox::kRounds; ++round) {
      Vec high0, high1;
      const Vec left = c1, right = c3;
      Simd::multiply_words(c0, multiplier0, high0, c3);
      Simd::multiply_words(c2, multiplier1, high1, c1);
      c0 = Simd::exclusive_or(high1, left, Simd::broadcast(&key0));
      c2 = Simd::exclusive_or(high0, right, Simd::broadcast(&key1));
      key0 += philox::kWeyl0;
      key1 += philox::kWeyl1;
    }
    Simd::store(words[0] + first, c0);
    Simd::store(words[1] + first, c1);
    Simd::store(words[2] + first, c2);
    Simd::store(words[3] + first, c3);
  }
};

/// Clears p[key][lane] where its draw is below the threshold, for the 16 keys of a cell and the
/// rows of a lane group, which starts `inside` rows into the cell (a multiple of kLanes). Both keys
/// of a random word lie in one word of p for bf16 dot products, one row of the tile apart
/// otherwise.
template <class C>
STROBE_INLINE void drop_cell(const CellWords& cell, std::uint32_t threshold, int inside,
                             WordOf<C>* p) {
  using Word = WordOf<C>;
  if constexpr (C::kDot) {  // a word holds both keys of a pair, as a word of draws does
    for (int pair = 0; pair < kDropoutCell / 2; ++pair) {
      const int word = pair / 4 * 2, first = pair % 4 * 8;
      Word* const to = p + pair * C::kTileQ;
      C::Isa::store(to, C::Isa::keep_halves(cell.words[word] + first, cell.words[word + 1] + first,
                                            threshold, C::Isa::load(to)));
    }
    return;
  }
  constexpr int kPart = C::kLanes < 8 ? C::kLanes : 8;  // lanes whose words lie side by side
  for (int pair = 0; pair < kDropoutCell / 2; ++pair)
    for (int lane = 0; lane < C::kLanes; lane += kPart) {
      const int row = inside + lane;
      const std::uint32_t* const words =
          cell.words[row / 8 + pair / 4 * 2] + pair % 4 * 8 + row % 8;
      Word* const to = p + 2 * pair * C::kTileQ + lane;
      for (int i = 0; i < kPart; ++i) {
        const Word even = (words[i] & 0xffffu) >= threshold ? ~Word{0} : Word{0};
        const Word odd = (words[i] >> 16) >= threshold ? ~Word{0} : Word{0};
        to[i] &= even;
        to[C::kTileQ + i] &= odd;
      }
    }
}

/// Drops what is to be dropped of the probabilities of a tile (rows from `first_row`, keys from
/// `block_begin`). Of bf16 dot products a word holds two keys.
template <class C>
STROBE_NOINLINE void drop(const Draws& draws, std::int64_t first_row, std::int64_t block_begin,
                          const Runs& runs, WordOf<C>* p) {
  static_assert(kDropoutCell % C::kLanes == 0 && C::kChunk == kDropoutCell);
  for (int i = 0; i < runs.count; ++i) {
    const Run& run = runs.run[i];
    for (int key = run.begin; key < run.end; key += C::kChunk) {
      CellWords cell;
      std::int64_t drawn = -1;  // lane groups of fewer than 16 rows share a cell
      for (int g = run.group; g < run.group + run.groups; ++g) {
        const std::int64_t row = first_row + g * C::kLanes;
        if (row / kDropoutCell != drawn) {
          drawn = row / kDropoutCell;
          cell.draw(draws, drawn, (block_begin + key) / kDropoutCell);
        }
        drop_cell<C>(cell, draws.threshold, static_cast<int>(row % kDropoutCell),
                     p + key / C::kPerWord * C::kTileQ + g * C::kLanes);
      }
    }
  }
}

}  // namespace strobe::cpu::STROBE_ISA
