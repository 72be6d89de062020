// s = k q: tiles of scores in registers, with the softmax of the previous tile inside.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/fetch.hpp"
#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/softmax.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// acc + b * q over the element pair or element that a word holds.
template <class C>
STROBE_INLINE VecOf<C> multiply_add(VecOf<C> b, VecOf<C> q, VecOf<C> acc) {
  if constexpr (C::kIntegers)
    return C::Isa::dot_integers(b, q, acc);
  else if constexpr (C::kDot)
    return C::Isa::dot(b, q, acc);
  else
    return C::Isa::fma(b, q, acc);
}

/// What runs beside the products: the softmax of the tile before, the fetch of the block after.
template <class C>
struct Beside {
  PendingSoftmax<C> softmax;
  Fetch<C> fetch;
  Touch next_q, next_o;
  Touch bias, allowed;  // of the tile whose scores are being made

  STROBE_INLINE void step() {
    fetch.step();
    next_q.step();
    next_o.step();
    bias.step();
    allowed.step();
  }
};

/// What the score products of one tile read and write.
template <class C>
struct ScoreTile {
  const WordOf<C>* k = nullptr;
  std::int64_t k_pitch = 0;
  const WordOf<C>* q = nullptr;  // [words][tile_q]
  int words = 0;
  RealOf<C>* s = nullptr;        // [tile_k][tile_q]
  RealOf<C>* row_max = nullptr;  // [tile_q], of this block
  const Limits* limits = nullptr;
  const CodeScales* scales = nullptr;  // of integers, as
  const RealOf<C>* units = nullptr;    // [tile_q], of q
};

/// One column of kKeys x kCount vectors of scores.
template <class C, int kKeys, int kCount>
STROBE_INLINE void score_column(VecOf<C> (&acc)[kKeys][kCount], const WordOf<C>* k,
                                std::int64_t k_pitch, const WordOf<C>* q) {
  VecOf<C> query[kCount];
  STROBE_UNROLL(4)
  for (int g = 0; g < kCount; ++g) query[g] = C::Isa::keep(C::Isa::load(q + g * C::kLanes));
  STROBE_UNROLL(16)
  for (int r = 0; r < kKeys; ++r) {
    const auto key = C::Isa::keep(C::Isa::broadcast(k + r * k_pitch));
    STROBE_UNROLL(4)
    for (int g = 0; g < kCount; ++g) acc[r][g] = multiply_add<C>(key, query[g], acc[r][g]);
  }
}

/// Keys [key, key + kKeys) against kCount lane groups from `group` on. kColumns columns pass
/// between two steps of the softmax (0: as many as fit, known at run time only).
template <class C, int kKeys, int kCount, bool kMaskedTile, bool kSoftmax, int kColumns>
STROBE_INLINE void score_product(const ScoreTile<C>& t, int key, int group,
                                 SoftmaxChunk<C>& chunk) {
  using Vec = VecOf<C>;
  Vec acc[kKeys][kCount];
  STROBE_UNROLL(16)
  for (int r = 0; r < kKeys; ++r) {
    STROBE_UNROLL(4)
    for (int g = 0; g < kCount; ++g) acc[r][g] = C::Isa::zero();
  }
  const WordOf<C>* k = t.k + key * t.k_pitch;
  const WordOf<C>* q = t.q + group * C::kLanes;
  const WordOf<C>* const k_end = k + t.words;
  if constexpr (kSoftmax) {
    const ExpOf<C>* constants = C::Isa::exp2_constants();
    const int columns = kColumns > 0 ? kColumns : t.words / SoftmaxChunk<C>::kSteps;
    STROBE_UNROLL(1)
    for (int i = 0; i < SoftmaxChunk<C>::kSteps; ++i) {
      asm volatile("" : "+r"(constants));  // else gcc keeps tables in registers and spills scores
      if constexpr (kColumns > 0) {
        STROBE_UNROLL(8)
        for (int c = 0; c < kColumns; ++c, ++k, q += C::kTileQ)
          score_column<C>(acc, k, t.k_pitch, q);
      } else {
        STROBE_UNROLL(1)
        for (int c = 0; c < columns; ++c, ++k, q += C::kTileQ)
          score_column<C>(acc, k, t.k_pitch, q);
      }
      chunk.step(constants);
    }
  }
  STROBE_UNROLL(2)
  for (; k < k_end; ++k, q += C::kTileQ) score_column<C>(acc, k, t.k_pitch, q);

  RealOf<C>* s = t.s + key * C::kTileQ + group * C::kLanes;
  STROBE_UNROLL(16)
  for (int r = 0; r < kKeys; ++r) {
    STROBE_UNROLL(4)
    for (int g = 0; g < kCount; ++g) {
      if constexpr (C::kIntegers)
        acc[r][g] = scores_of_sums<C>(acc[r][g], C::Isa::set(t.scales->k[key + r]),
                                      C::Isa::load(t.units + (group + g) * C::kLanes));
      if constexpr (kMaskedTile)
        acc[r][g] = C::Isa::select(visible<C>(*t.limits, (group + g) * C::kLanes, key + r),
                                   acc[r][g], C::Isa::set(C::kMasked));
      C::Isa::store(s + r * C::kTileQ + g * C::kLanes, acc[r][g]);
    }
  }
  RealOf<C>* row_max = t.row_max + group * C::kLanes;
  STROBE_UNROLL(4)
  for (int g = 0; g < kCount; ++g) {
    Vec most = C::Isa::load(row_max + g * C::kLanes);
    STROBE_UNROLL(16)
    for (int r = 0; r < kKeys; ++r) most = C::Isa::max(most, acc[r][g]);
    C::Isa::store(row_max + g * C::kLanes, most);
  }
}

/// A product tile with one chunk of the pending softmax inside, where there is one.
template <class C, int kKeys, int kCount, bool kMaskedTile, int kColumns>
STROBE_INLINE void score_product_beside(const ScoreTile<C>& t, int key, int group,
                                        Beside<C>& beside) {
  beside.step();
  if (C::Isa::kOverlap && beside.softmax.pending()) {
    SoftmaxChunk<C> chunk = beside.softmax.open();
    score_product<C, kKeys, kCount, kMaskedTile, true, kColumns>(t, key, group, chunk);
    beside.softmax.close(chunk);
  } else {
    SoftmaxChunk<C> chunk;
    score_product<C, kKeys, kCount, kMaskedTile, false, kColumns>(t, key, group, chunk);
  }
}

template <class C, int kCount>
STROBE_NOINLINE void score_edge(const ScoreTile<C>& t, const Run& run, Beside<C>& beside) {
  constexpr int kKeys = C::edge_keys(kCount);
  SoftmaxChunk<C> none;
  for (int key = run.begin; key < run.end; key += kKeys) {
    for (int i = 0; i < kKeys; i += C::kRows) beside.step();
    score_product<C, kKeys, kCount, true, false, 0>(t, key, run.group, none);
  }
}

template <class C, int kCount, int kColumns>
STROBE_NOINLINE void score_wide(const ScoreTile<C>& t, const Run& run, Beside<C>& beside) {
  if (run.masked) {
    for (int key = run.begin; key < run.end; key += C::kRows)
      score_product_beside<C, C::kRows, kCount, true, kColumns>(t, key, run.group, beside);
  } else {
    for (int key = run.begin; key < run.end; key += C::kRows)
      score_product_beside<C, C::kRows, kCount, false, kColumns>(t, key, run.group, beside);
  }
}

/// A run of at most kCount lane groups. Fewer groups take more keys at a time: with 32 registers
/// 4 x 4, 4 x 3, 8 x 2 or 16 x 1 vectors, with 16 of them 4 x 3, 4 x 2 or 8 x 1.
template <class C, int kCount, int kColumns>
STROBE_INLINE void score_run(const ScoreTile<C>& t, const Run& run, Beside<C>& beside) {
  if constexpr (kCount > 1) {
    if (run.groups < kCount) return score_run<C, kCount - 1, kColumns>(t, run, beside);
  }
  if constexpr (kCount > C::kNarrow)
    score_wide<C, kCount, kColumns>(t, run, beside);
  else
    score_edge<C, kCount>(t, run, beside);
}

/// s and its row maxima for all runs of a tile, with what is pending beside it.
template <class C, int kColumns>
STROBE_NOINLINE void score_tile(const ScoreTile<C>& t, const Runs& runs, Beside<C>& beside) {
  for (int g = 0; g < C::kGroups; ++g)
    C::Isa::store(t.row_max + g * C::kLanes, C::Isa::set(C::kMasked));
  for (int i = 0; i < runs.count; ++i) score_run<C, C::kGroups, kColumns>(t, runs.run[i], beside);
}

}  // namespace strobe::cpu::STROBE_ISA
