// Products of int8 codes as they lie: q and p become 16-bit integers, so that sums are exact, and
// scales of keys and values multiply what comes out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

#include "cpu/tiles/key_source.hpp"
#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// The scales of a block of codes of one key head. Both kernels round q by its row and p by row and
/// block, by what the row sees alone: the bits of a row do not tell which kernel made it.
struct CodeScales {
  alignas(64) float k[kTileK];
  alignas(64) float v[kTileK];  // less a part in 2^15, so that no p rounds to 2^15; 0 if lost
  int lost = 0;                 // values whose scale is not finite:
  std::uint8_t lost_key[kTileK];

  /// Scales of values [begin, end), whole chunks, as they are given, lose that part; or are lost.
  STROBE_INLINE void adjust_v(int begin, int end) {
    const Simd::Vec room = Simd::set(1 - 1 / 32768.0f);
    lost = 0;
    bool finite = true;
    for (int key = begin; key < end; key += Simd::kLanes) {
      const Simd::Vec scale = Simd::load(v + key);
      finite &= !Simd::nonfinite(scale);
      Simd::store(v + key, Simd::mul(scale, room));
    }
    if (!finite) lose(begin, end);
  }

 private:
  STROBE_NOINLINE void lose(int begin, int end) {
    for (int key = begin; key < end; ++key) {
      if (v[key] - v[key] == 0) continue;
      v[key] = 0;
      lost_key[lost++] = static_cast<std::uint8_t>(key);
    }
  }
};

/// What a row of q is multiplied by to fill 15 bits, and what its sums are multiplied by.
struct QueryUnit {
  float exponent = 0;
  float unit = 0;
};

/// Of `dims` elements; `factor` is the power of two of the scale. An element of bf16 keeps all its
/// digits down to 2^-7 of the row's largest, 2^-15 of the largest below. Rows that are not finite
/// become 0 times NaN.
STROBE_NOINLINE inline QueryUnit query_unit(const bfloat16* q, int dims, float factor) {
  std::uint16_t most = 0;
  for (int d = 0; d < dims; ++d) {
    const auto size = static_cast<std::uint16_t>(q[d].bits & 0x7fff);
    if (size > most) most = size;
  }
  constexpr int kNotFinite = 0x7f80 >> 7, kLeast = 15;  // exponents as bf16 has them
  int exponent = most >> 7;
  if (exponent == kNotFinite)
    return {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  if (exponent < kLeast) exponent = kLeast;
  const auto bits = static_cast<std::uint32_t>(exponent - 14) << 23;
  return {static_cast<float>(14 + 127 - exponent), __builtin_bit_cast(float, bits) * factor};
}

/// Scores of exact sums: times the keys' scales and the rows' units.
template <class C>
STROBE_INLINE VecOf<C> scores_of_sums(VecOf<C> sums, VecOf<C> scales, VecOf<C> units) {
  return C::Isa::mul(C::Isa::mul(C::Isa::from_integers(sums), scales), units);
}

/// What p times the scales of values is multiplied by to fill 15 bits, 2^up, and the inverse.
template <class C>
struct ProbabilityUnit {
  VecOf<C> up, weight;
};

/// `most`: the largest of the block, of each row.
template <class C>
STROBE_INLINE ProbabilityUnit<C> probability_unit(VecOf<C> most) {
  const VecOf<C> down =
      C::Isa::sub(C::Isa::max(C::Isa::exponent_of(most), C::Isa::set(-126)), C::Isa::set(14));
  const VecOf<C> back = C::Isa::set(1 + 1 / 32767.0f);  // undoes CodeScales' part in 2^15
  return {C::Isa::sub(C::Isa::zero(), down), C::Isa::times_power(back, down)};
}

/// p of a tile, [key][tile_q], times the scales of values become integers, two keys a word:
/// [key / 2][tile_q], in place. `weight`: what sums of each row are multiplied by.
template <class C>
STROBE_NOINLINE void round_probabilities(RealOf<C>* s, const Runs& runs, const CodeScales& scales,
                                         RealOf<C>* weight) {
  using Vec = VecOf<C>;
  for (int lane = 0; lane < C::kTileQ; lane += C::kLanes) {
    Vec most = C::Isa::zero();
    for (int i = 0; i < runs.count; ++i) {
      const Run& run = runs.run[i];
      if (!run.covers(lane / C::kLanes)) continue;
      for (int key = run.begin; key < run.end; ++key) {
        RealOf<C>* const at = s + key * C::kTileQ + lane;
        const Vec p = C::Isa::mul(C::Isa::load(at), C::Isa::set(scales.v[key]));
        most = C::Isa::max(most, C::Isa::magnitude(p));
        C::Isa::store(at, p);
      }
    }
    const ProbabilityUnit<C> unit = probability_unit<C>(most);
    C::Isa::store(weight + lane, unit.weight);
    for (int i = 0; i < runs.count; ++i) {
      const Run& run = runs.run[i];
      if (!run.covers(lane / C::kLanes)) continue;
      for (int key = run.begin; key < run.end; key += 2) {
        const RealOf<C>* const at = s + key * C::kTileQ + lane;
        C::Isa::store(
            s + key / 2 * C::kTileQ + lane,
            C::Isa::pack_integers(C::Isa::times_power(C::Isa::load(at), unit.up),
                                  C::Isa::times_power(C::Isa::load(at + C::kTileQ), unit.up)));
      }
    }
  }
}

}  // namespace strobe::cpu::STROBE_ISA
