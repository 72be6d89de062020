// The softmax of a score tile of few rows, [key][L]: a vector holds several keys of all rows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/few_rows.hpp"
#include "cpu/tiles/rules.hpp"
#include "cpu/tiles/state.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Masks the keys of the rounded range that nobody sees, and where `partial` those outside of the
/// intervals of single rows.
template <class C>
STROBE_NOINLINE void mask_few(const FewRows<C>& rows, const FewTile<C>& t, bool partial) {
  const VecOf<C> masked = C::Isa::set(C::kMasked);
  RealOf<C>* const s = t.s;
  const int lanes = rows.lanes;
  for (int i = t.first_chunk * lanes; i < t.begin * lanes; ++i) s[i] = C::kMasked;
  for (int i = t.end * lanes; i < t.chunks_end * lanes; ++i) s[i] = C::kMasked;
  if (!partial) return;
  // Lane j * lanes + r holds key + j: row r sees it where key lies in [begin - j, end - j).
  alignas(64) std::int32_t begin[C::kLanes], end[C::kLanes], sink_begin[C::kLanes],
      sink_end[C::kLanes];
  bool sinks = false;
  for (int lane = 0; lane < C::kLanes; ++lane) {
    const int r = lane % lanes < rows.count ? lane % lanes : rows.count - 1, j = lane / lanes;
    begin[lane] = within_block(rows.keys[r].begin, t.block_begin) - j;
    end[lane] = within_block(rows.keys[r].end, t.block_begin) - j;
    sink_begin[lane] = within_block(rows.keys[r].sink_begin, t.block_begin) - j;
    sink_end[lane] = within_block(rows.keys[r].sink_end, t.block_begin) - j;
    sinks |= sink_begin[lane] < sink_end[lane];
  }
  for (int key = t.first_chunk; key < t.chunks_end; key += C::kLanes / lanes) {
    auto seen = C::Isa::between(begin, key, end);
    if (sinks) seen = C::Isa::either(seen, C::Isa::between(sink_begin, key, sink_end));
    RealOf<C>* const at = s + key * lanes;
    C::Isa::store(at, C::Isa::select(seen, C::Isa::load(at), masked));
  }
}

/// The rules on a tile of few rows, as RuleTile applies them: softcap, bias and masks of single
/// pairs, ALiBi.
template <class C>
struct FewRules {
  using Vec = VecOf<C>;
  using Real = RealOf<C>;
  const ForwardParams& p;
  const ScoreRules<C>& rules;
  const FewRows<C>& rows;
  const FewTile<C>& t;
  bool additive;  // bias, allowed or a block map
  Real* added;    // [key][lanes], beside s: room for what is added

  STROBE_NOINLINE void apply() const {
    if (additive)
      for (int r = 0; r < rows.count; ++r) gather(r);
    alignas(64) Real slope[C::kLanes], position[C::kLanes], ahead[C::kLanes];
    for (int lane = 0; lane < C::kLanes; ++lane) {
      const int r = lane % rows.lanes < rows.count ? lane % rows.lanes : rows.count - 1;
      const DecodeRow row = decode_row(p, rows.kv_head, rows.first + r);
      position[lane] =
          static_cast<Real>(p.mask.position(row.query, rows.of->sequence.lengths) - t.block_begin);
      const int keys_after = lane / rows.lanes;  // the vector's first
      ahead[lane] = static_cast<Real>(keys_after);
      slope[lane] = rules.alibi ? rules.unit * head_value<C>(p.alibi_slopes,
                                                             rows.of->sequence.index, row.head)
                                : Real(0);
    }
    const Vec masked = C::Isa::set(C::kMasked), least = C::Isa::set(C::kLeastScore);
    for (int key = t.first_chunk; key < t.chunks_end; key += C::kLanes / rows.lanes) {
      const int at = key * rows.lanes;
      Vec x = C::Isa::load(t.s + at);
      if (rules.cap != 0) x = cap_scores<C>(x, rules.cap);
      if (additive) x = C::Isa::fma(C::Isa::load(added + at), C::Isa::set(rules.unit), x);
      if (rules.alibi)
        x = C::Isa::sub(
            x, alibi_of<C>(C::Isa::load(position),
                           C::Isa::add(C::Isa::load(ahead), C::Isa::set(static_cast<Real>(key))),
                           C::Isa::load(slope)));
      x = C::Isa::max(least, x);
      if (additive)
        x = C::Isa::select(C::Isa::equal(C::Isa::load(added + at), C::Isa::set(kHidden<C>)), masked,
                           x);
      C::Isa::store(t.s + at, x);
    }
  }

 private:
  /// What is added to the scores of row r, -inf where the pair is masked.
  STROBE_INLINE void gather(int r) const {
    const DecodeRow row = decode_row(p, rows.kv_head, rows.first + r);
    const Sequence& sequence = rows.of->sequence;
    const std::int64_t index = sequence.index;
    const ForwardTask task{sequence, row.head, 0, 0};
    alignas(64) Real some[C::kLanes];
    for (int key = t.first_chunk; key < t.chunks_end; key += C::kLanes) {
      const std::int64_t at = t.block_begin + key, exist = sequence.lengths.k - at;
      const int count = static_cast<int>(exist < 0 ? 0 : exist < C::kLanes ? exist : C::kLanes);
      Vec x = bias(index, row, at, count);
      if (p.allowed.given())
        x = C::Isa::select(allowed_row<C>(p.allowed,
                                          static_cast<const std::uint8_t*>(p.allowed.data) +
                                              p.allowed.offset(index, row.head, row.query, at),
                                          count),
                           x, C::Isa::set(kHidden<C>));
      if (p.blocks.given()) x = without_hidden<C>(x, p, task, row.query, at, count);
      C::Isa::store(some, x);
      for (int i = 0; i < C::kLanes; ++i) added[(key + i) * rows.lanes + r] = some[i];
    }
  }

  STROBE_INLINE Vec bias(std::int64_t index, const DecodeRow& row, std::int64_t key,
                         int count) const {
    if (!p.bias.given()) return C::Isa::zero();
    const std::int64_t offset = p.bias.offset(index, row.head, row.query, key);
    if constexpr (!std::is_same_v<typename C::Element, float>)
      if (p.bias.dtype != DType::f32)
        return bias_row<C>(p.bias, static_cast<const typename C::Element*>(p.bias.data) + offset,
                           count);
    return bias_row<C>(p.bias, static_cast<const float*>(p.bias.data) + offset, count);
  }
};

/// The largest over the keys of a vector, of each row.
template <class C>
STROBE_INLINE VecOf<C> most_of_rows(VecOf<C> most, int lanes) {
  alignas(64) RealOf<C> all[C::kLanes];
  C::Isa::store(all, most);
  for (int lane = lanes; lane < C::kLanes; ++lane)
    if (all[lane] > all[lane % lanes]) all[lane % lanes] = all[lane];
  repeat<C>(all, lanes);
  return C::Isa::load(all);
}

/// As update_max, for few rows. `o_pitch` numbers from row to row.
template <class C>
STROBE_NOINLINE void update_few(FewRows<C>& rows, const FewTile<C>& t, RealOf<C> scale,
                                int o_pitch) {
  using Vec = VecOf<C>;
  const int lanes = rows.lanes;
  Vec most = C::Isa::set(C::kMasked);
  for (int i = t.first_chunk * lanes; i < t.chunks_end * lanes; i += C::kLanes)
    most = C::Isa::max(most, C::Isa::load(t.s + i));
  most = most_of_rows<C>(most, lanes);
  alignas(64) RealOf<C> factor[C::kLanes];
  if (!rows.seen) {
    C::Isa::store(rows.row_max, C::Isa::max(C::Isa::set(C::kUnseen), most));
    C::Isa::store(rows.row_sum, C::Isa::zero());
    return;
  }
  const LazyMax<C> next = lazy_max<C>(C::Isa::load(rows.row_max), most, scale);
  if (!next.grows) return;
  C::Isa::store(factor, next.factor);
  C::Isa::store(rows.row_max, next.now);
  C::Isa::store(rows.row_sum, C::Isa::mul(next.factor, C::Isa::load(rows.row_sum)));
  for (int r = 0; r < rows.count; ++r)
    for (int dim = 0; dim < o_pitch; dim += C::kLanes) {
      RealOf<C>* const at = rows.o + r * o_pitch + dim;
      C::Isa::store(at, C::Isa::mul(C::Isa::set(factor[r]), C::Isa::load(at)));
    }
}

/// Two keys a word, in place: pack(even, odd).
template <class C, int L, class Pack>
STROBE_INLINE void pair_keys(const FewTile<C>& t, const Pack& pack) {
  auto* const words = reinterpret_cast<WordOf<C>*>(t.s);
  for (int i = t.first_chunk * L; i < t.chunks_end * L; i += 2 * C::kLanes) {
    VecOf<C> even, odd;
    C::Isa::template split_keys<L>(C::Isa::load(t.s + i), C::Isa::load(t.s + i + C::kLanes), even,
                                   odd);
    C::Isa::store(words + i / 2, pack(even, odd));
  }
}

/// p = exp2(s - row_max) in place, and the row sums: kChunk keys from zero, then added, as
/// SoftmaxChunk does.
template <class C, int L>
STROBE_INLINE void few_softmax(FewRows<C>& rows, const FewTile<C>& t, RealOf<C> scale) {
  using Few = typename C::Isa::template Few<L>;
  using Vec = VecOf<C>;
  const Vec row_max = C::Isa::load(rows.row_max), factor = C::Isa::set(scale);
  const ExpOf<C>* const constants = C::Isa::exp2_constants();
  for (int i = t.first_chunk * L; i < t.chunks_end * L; i += C::kLanes) {
    const Vec exponent = C::Isa::mul(C::Isa::sub(C::Isa::load(t.s + i), row_max), factor);
    if constexpr (C::kDot)
      C::Isa::store(t.s + i, C::Isa::exp2_coarse(exponent, constants));
    else
      C::Isa::store(t.s + i, C::Isa::exp2(exponent, constants));
  }
  auto total = Few::load(rows.row_sum);
  for (int chunk = t.first_chunk; chunk < t.chunks_end; chunk += C::kChunk) {
    const RealOf<C>* const e = t.s + chunk * L;
    auto sum = Few::zero();
    STROBE_UNROLL(16)
    for (int key = 0; key < C::kChunk; key += C::kPerWord) {
      if constexpr (C::kDot)
        sum = Few::add(sum, Few::add(Few::load(e + key * L), Few::load(e + (key + 1) * L)));
      else
        sum = Few::add(sum, Few::load(e + key * L));
    }
    total = Few::add(total, sum);
  }
  Few::store(rows.row_sum, total);
  if constexpr (C::kDot && !C::kIntegers)
    pair_keys<C, L>(t, [](Vec even, Vec odd) { return C::Isa::pack_pairs(even, odd); });
}

/// As round_probabilities, for few rows.
template <class C, int L>
STROBE_INLINE void round_few(const FewTile<C>& t, const CodeScales& scales, RealOf<C>* weight) {
  using Vec = VecOf<C>;
  Vec most = C::Isa::zero();
  for (int key = t.first_chunk; key < t.chunks_end; key += C::kLanes / L) {
    RealOf<C>* const at = t.s + key * L;
    const Vec p = C::Isa::mul(C::Isa::load(at), C::Isa::template spread<L>(scales.v + key));
    most = C::Isa::max(most, C::Isa::magnitude(p));
    C::Isa::store(at, p);
  }
  const ProbabilityUnit<C> unit = probability_unit<C>(most_of_rows<C>(most, L));
  C::Isa::store(weight, unit.weight);
  pair_keys<C, L>(t, [&](Vec even, Vec odd) {
    return C::Isa::pack_integers(C::Isa::times_power(even, unit.up),
                                 C::Isa::times_power(odd, unit.up));
  });
}

}  // namespace strobe::cpu::STROBE_ISA
