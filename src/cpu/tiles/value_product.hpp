// o += p v: tiles of outputs in registers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "cpu/tiles/score_product.hpp"

namespace strobe::cpu::STROBE_ISA {

/// What the value products of one tile read and write.
template <class C>
struct ValueTile {
  const WordOf<C>* v = nullptr;
  std::int64_t v_pitch = 0;
  const WordOf<C>* p = nullptr;       // [tile_k / per_word][tile_q]
  RealOf<C>* o = nullptr;             // [dims][tile_q]
  int dims = 0;                       // a multiple of kRows
  bool first = false;                 // the tile's first block of a leaf: o is stored, not added to
  const RealOf<C>* weight = nullptr;  // [tile_q], of integers
};

/// The sums over a block enter o.
template <class C>
STROBE_INLINE void add_to_o(RealOf<C>* at, VecOf<C> sum, bool first, const RealOf<C>* weight) {
  if constexpr (C::kIntegers) sum = C::Isa::mul(C::Isa::from_integers(sum), C::Isa::load(weight));
  C::Isa::store(at, first ? sum : C::Isa::add(C::Isa::load(at), sum));
}

/// Keys [begin, end) for lane groups [kFirst, kFirst + kCount).
template <class C, int kFirst, int kCount>
STROBE_INLINE void value_keys(VecOf<C> (&acc)[C::kRows][C::kGroups], const ValueTile<C>& t, int dim,
                              int begin, int end) {
  const WordOf<C>* v = t.v + begin / C::kPerWord * t.v_pitch + dim;
  const WordOf<C>* p = t.p + begin / C::kPerWord * C::kTileQ + kFirst * C::kLanes;
  STROBE_UNROLL(4)
  for (int i = begin / C::kPerWord; i < end / C::kPerWord; ++i, v += t.v_pitch, p += C::kTileQ) {
    VecOf<C> prob[kCount];
    STROBE_UNROLL(4)
    for (int g = 0; g < kCount; ++g) prob[g] = C::Isa::keep(C::Isa::load(p + g * C::kLanes));
    STROBE_UNROLL(4)
    for (int r = 0; r < C::kRows; ++r) {
      const auto value = C::Isa::keep(C::Isa::broadcast(v + r));
      STROBE_UNROLL(4)
      for (int g = 0; g < kCount; ++g)
        acc[r][kFirst + g] = multiply_add<C>(value, prob[g], acc[r][kFirst + g]);
    }
  }
}

/// A run that misses some groups: those before kFirst, or those from kFirst on.
template <class C, int kFirst>
STROBE_INLINE void value_edge(VecOf<C> (&acc)[C::kRows][C::kGroups], const ValueTile<C>& t, int dim,
                              const Run& run) {
  if constexpr (kFirst < C::kGroups) {
    if (run.group == kFirst)
      return value_keys<C, kFirst, C::kGroups - kFirst>(acc, t, dim, run.begin, run.end);
    if (run.group == 0 && run.groups == kFirst)
      return value_keys<C, 0, kFirst>(acc, t, dim, run.begin, run.end);
    value_edge<C, kFirst + 1>(acc, t, dim, run);
  }
}

/// kRows dims of o. The sum over the block starts from zero and is added once: half the rounding
/// error of one running sum, at no cost.
template <class C>
STROBE_INLINE void value_product(const ValueTile<C>& t, const Runs& runs, int dim) {
  VecOf<C> acc[C::kRows][C::kGroups];
  STROBE_UNROLL(4)
  for (int r = 0; r < C::kRows; ++r) {
    STROBE_UNROLL(4)
    for (int g = 0; g < C::kGroups; ++g) acc[r][g] = C::Isa::zero();
  }
  for (int i = 0; i < runs.count; ++i) {
    const Run& run = runs.run[i];
    if (run.groups == C::kGroups)
      value_keys<C, 0, C::kGroups>(acc, t, dim, run.begin, run.end);
    else
      value_edge<C, 1>(acc, t, dim, run);
  }
  RealOf<C>* o = t.o + dim * C::kTileQ;
  STROBE_UNROLL(4)
  for (int r = 0; r < C::kRows; ++r) {
    STROBE_UNROLL(4)
    for (int g = 0; g < C::kGroups; ++g) {
      RealOf<C>* const at = o + r * C::kTileQ + g * C::kLanes;
      add_to_o<C>(at, acc[r][g], t.first, C::kIntegers ? t.weight + g * C::kLanes : nullptr);
    }
  }
}

template <class C>
STROBE_NOINLINE void value_tile(const ValueTile<C>& t, const Runs& runs) {
  for (int dim = 0; dim < t.dims; dim += C::kRows) value_product<C>(t, runs, dim);
}

/// Do the values of keys [begin, end) of a block hold NaN or infinity?
template <class C>
STROBE_NOINLINE bool any_nonfinite(const ValueTile<C>& t, int begin, int end) {
  for (int key = begin / C::kPerWord; key < end / C::kPerWord; ++key) {
    const auto* const row = reinterpret_cast<const RealOf<C>*>(t.v + key * t.v_pitch);
    for (int dim = 0; dim < t.dims; dim += C::kLanes) {
      const auto words = C::Isa::load_row(row + dim, std::min(t.dims - dim, C::kLanes));
      if constexpr (C::kDot) {
        if (C::Isa::nonfinite_pairs(words)) return true;
      } else {
        if (C::Isa::nonfinite(words)) return true;
      }
    }
  }
  return false;
}

/// The slow way for blocks whose values are not all finite: a value meets only the rows that see
/// its key, because 0 * NaN is NaN. Sums in the order of value_product, so that the other rows
/// keep their bits.
template <class C>
STROBE_NOINLINE void value_tile_guarded(const ValueTile<C>& t, const Runs& runs,
                                        const Seen& limits) {
  using Vec = VecOf<C>;
  for (int dim = 0; dim < t.dims; ++dim)
    for (int g = 0; g < C::kGroups; ++g) {
      Vec acc = C::Isa::zero();
      for (int i = 0; i < runs.count; ++i) {
        const Run& run = runs.run[i];
        if (!run.covers(g)) continue;
        for (int key = run.begin; key < run.end; key += C::kPerWord) {
          const Vec prob = C::Isa::load(t.p + key / C::kPerWord * C::kTileQ + g * C::kLanes);
          Vec value = C::Isa::broadcast(t.v + key / C::kPerWord * t.v_pitch + dim);
          const auto seen = visible<C>(limits, g * C::kLanes, key);
          if constexpr (C::kDot)
            value = C::Isa::select_halves(seen, visible<C>(limits, g * C::kLanes, key + 1), value);
          else
            value = C::Isa::select(seen, value, C::Isa::zero());
          acc = multiply_add<C>(value, prob, acc);
        }
      }
      RealOf<C>* at = t.o + dim * C::kTileQ + g * C::kLanes;
      C::Isa::store(at, t.first ? acc : C::Isa::add(C::Isa::load(at), acc));
    }
}

}  // namespace strobe::cpu::STROBE_ISA
