// Between product and softmax: softcap, bias, ALiBi and masks of single pairs, as one pass over a
// tile of scores while it is near. The steps of semantics/score_rule.hpp, a vector of rows a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <limits>

#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/state.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// The rules of one task in the kernel's units: its scores are natural ones times `unit`.
template <class C>
struct ScoreRules {
  RealOf<C> unit = 1;
  RealOf<C> cap = 0;    // in those units; 0: none
  RealOf<C> slope = 0;  // of ALiBi, likewise
  bool alibi = false;
  bool additive = false;  // bias or allowed; of a block map each run knows for itself

  bool any() const { return cap != 0 || alibi || additive; }
};

/// A slope or sink logit of a head: f32, or the type of f64 problems.
template <class C>
STROBE_INLINE RealOf<C> head_value(const PairTensor& tensor, std::int64_t batch,
                                   std::int64_t head) {
  const std::int64_t offset = tensor.offset(batch, head, 0, 0);
  if (tensor.dtype == DType::f32) return static_cast<const float*>(tensor.data)[offset];
  return static_cast<const RealOf<C>*>(tensor.data)[offset];
}

/// Scores are natural ones times log2(e) / score_factor.
template <class C>
STROBE_INLINE ScoreRules<C> rules_of(const ForwardParams& p, const ForwardTask& task,
                                     RealOf<C> score_factor) {
  constexpr RealOf<C> kLog2E = RealOf<C>(1.4426950408889634);
  ScoreRules<C> rules;
  rules.unit = kLog2E / score_factor;
  rules.cap = static_cast<RealOf<C>>(p.softcap) * rules.unit;
  rules.additive = p.bias.given() || p.allowed.given();
  rules.alibi = p.alibi_slopes.given();
  if (rules.alibi)
    rules.slope = rules.unit * head_value<C>(p.alibi_slopes, task.sequence.index, task.head);
  return rules;
}

template <class C>
STROBE_INLINE Sink<C> sink_of(const ForwardParams& p, std::int64_t head, RealOf<C> unit) {
  if (!p.sink_logits.given()) return {};
  const RealOf<C> logit = head_value<C>(p.sink_logits, 0, head);
  if (logit == -std::numeric_limits<RealOf<C>>::infinity()) return {};
  const RealOf<C> score = unit * logit;
  return {true, logit, score < C::kMasked ? C::kMasked : score};
}

/// cap * tanh(x / cap) in f32. tanh(y) / y is a quotient of polynomials in y^2 within 1.7e-8,
/// fitted by Lawson's method on [0, 7.9]; beyond, tanh is 1 in f32. Relative error 2.7e-7.
STROBE_INLINE typename Simd::Vec capped(typename Simd::Vec x, float cap) {
  using Vec = typename Simd::Vec;
  const Vec least = Simd::set(-7.9f), zero = Simd::zero();
  Vec y = Simd::max(least, Simd::mul(x, Simd::set(1.0f / cap)));
  y = Simd::sub(zero, Simd::max(least, Simd::sub(zero, y)));
  const Vec t = Simd::mul(y, y);
  Vec above = Simd::set(2.4105715687450235e-11f);
  for (const float c : {-1.4906476053511142e-08f, 9.939273695636075e-06f, 0.0029921073000878096f,
                        0.12984919548034668f, 1.0f})
    above = Simd::fma(above, t, Simd::set(c));
  Vec below = Simd::set(0.0002380882069701329f);
  for (const float c : {0.024053135886788368f, 0.46318235993385315f, 1.0f})
    below = Simd::fma(below, t, Simd::set(c));
  return Simd::mul(Simd::set(cap), Simd::div(Simd::mul(y, above), below));
}

/// The same in f64: tanh |y| = -m / (2 + m) with m = exp(-2 |y|) - 1, good to its last digits also
/// near 0.
template <class C>
STROBE_INLINE VecOf<C> capped_exactly(VecOf<C> x, double cap) {
  constexpr double kTwoLog2E = 2.8853900817779268;
  using S = typename C::Isa;
  const VecOf<C> zero = S::zero(), negative = S::sub(zero, x);
  const VecOf<C> size = S::max(x, negative);
  const VecOf<C> m = S::exp2_less_one(S::mul(size, S::set(-kTwoLog2E / cap)));
  const VecOf<C> tanh = S::div(S::sub(zero, m), S::add(S::set(2), m));
  return S::mul(S::select(S::greater(zero, x), S::set(-cap), S::set(cap)), tanh);
}

/// x of f32, or of f64, capped.
template <class C>
STROBE_INLINE VecOf<C> cap_scores(VecOf<C> x, RealOf<C> cap) {
  if constexpr (std::is_same_v<RealOf<C>, double>)
    return capped_exactly<C>(x, cap);
  else
    return capped(x, cap);
}

/// ALiBi: slope * |position - key|.
template <class C>
STROBE_INLINE VecOf<C> alibi_of(VecOf<C> position, VecOf<C> key, VecOf<C> slope) {
  const VecOf<C> ahead = C::Isa::sub(position, key);
  return C::Isa::mul(C::Isa::max(ahead, C::Isa::sub(C::Isa::zero(), ahead)), slope);
}

/// What is added to a score of a masked pair.
template <class C>
inline constexpr RealOf<C> kHidden = -std::numeric_limits<RealOf<C>>::infinity();

/// The bias of kLanes keys of a row, of which `count` exist; 0 past them.
template <class C, class T>
STROBE_INLINE VecOf<C> bias_row(const PairTensor& bias, const T* from, int count) {
  if (bias.key != 0) return C::Isa::load_row(from, count);
  alignas(64) RealOf<C> one[C::kLanes];
  C::Isa::store(one, C::Isa::load_row(from, count < 1 ? count : 1));
  return C::Isa::set(one[0]);
}

/// Which of kLanes keys a row of `allowed` lets through; bytes past `count` are not read.
template <class C>
STROBE_INLINE BitsOf<C> allowed_row(const PairTensor& allowed, const std::uint8_t* bytes,
                                    int count) {
  if (allowed.key != 0 && count == C::kLanes) return C::Isa::nonzero(bytes);
  std::uint8_t copy[C::kLanes] = {};  // at the end of a sequence, or one for all
  for (int i = 0; i < count; ++i) copy[i] = bytes[i * allowed.key];
  return C::Isa::nonzero(copy);
}

/// x of kLanes keys, and -inf for those that the block map hides from the row.
template <class C>
STROBE_INLINE VecOf<C> without_hidden(VecOf<C> x, const ForwardParams& p, const ForwardTask& task,
                                      std::int64_t row, std::int64_t key, int count) {
  alignas(64) RealOf<C> hidden[C::kLanes];
  const std::uint32_t bits = hidden_keys(p, task, row, {key, key + count});
  for (int i = 0; i < C::kLanes; ++i) hidden[i] = (bits >> i & 1) != 0 ? kHidden<C> : RealOf<C>(0);
  const VecOf<C> mask = C::Isa::load(hidden);
  return C::Isa::select(C::Isa::equal(mask, C::Isa::zero()), x, mask);
}

/// A tile of scores, where it lies in its sequence, and what is to be done with it.
template <class C>
struct RuleTile {
  using Vec = VecOf<C>;
  using Real = RealOf<C>;
  const ForwardParams& p;
  const ForwardTask& task;
  const TileRows& rows;
  const ScoreRules<C>& rules;
  const Limits& limits;
  std::int64_t block_begin = 0;  // its first key
  Real* s = nullptr;             // [tile_k][tile_q]

  /// Applies the rules and finds the row maxima anew.
  STROBE_NOINLINE void apply(const Runs& runs, Real* row_max) const {
    for (int lane = 0; lane < C::kTileQ; lane += C::kLanes) {
      const Group group = group_of(lane);
      Vec most = C::Isa::set(C::kMasked);
      for (int i = 0; i < runs.count; ++i) {
        const Run& run = runs.run[i];
        if (!run.covers(lane / C::kLanes)) continue;
        most = C::Isa::max(most, rules.additive || run.blocks ? choose<true>(run, group)
                                                              : choose<false>(run, group));
      }
      C::Isa::store(row_max + lane, most);
    }
  }

 private:
  /// A lane group, and where its rows lie in what the rules read: found once for all keys.
  struct Group {
    int lane = 0;
    const std::byte* bias[C::kLanes] = {};  // of the tile's first key
    const std::uint8_t* allowed[C::kLanes] = {};
    alignas(64) Real position[C::kLanes] = {};  // relative to the tile's first key
  };

  STROBE_INLINE Group group_of(int lane) const {
    Group group;
    group.lane = lane;
    const std::int64_t index = task.sequence.index, bias_size = p.bias.dtype == DType::f32
                                                                    ? sizeof(float)
                                                                    : sizeof(typename C::Element);
    for (int i = 0; i < C::kLanes; ++i) {
      const std::int64_t at = row(lane + i);
      if (p.bias.given())
        group.bias[i] = static_cast<const std::byte*>(p.bias.data) +
                        p.bias.offset(index, task.head, at, block_begin) * bias_size;
      if (p.allowed.given())
        group.allowed[i] = static_cast<const std::uint8_t*>(p.allowed.data) +
                           p.allowed.offset(index, task.head, at, block_begin);
      group.position[i] =
          static_cast<Real>(p.mask.position(at, task.sequence.lengths) - block_begin);
    }
    return group;
  }

  /// Lanes behind the last row repeat it.
  STROBE_INLINE std::int64_t row(int lane) const {
    return rows.first_row + (lane < rows.count ? lane : rows.count - 1);
  }

  template <bool kAdds>
  STROBE_INLINE Vec choose(const Run& run, const Group& group) const {
    if (rules.cap != 0)
      return rules.alibi ? keys<kAdds, true, true>(run, group)
                         : keys<kAdds, true, false>(run, group);
    return rules.alibi ? keys<kAdds, false, true>(run, group)
                       : keys<kAdds, false, false>(run, group);
  }

  /// The keys of a run for one lane group; returns their maxima. What there is to do is known at
  /// compile time: asking at every key costs 8 to 18 % of the whole (bench/notes.md).
  template <bool kAdds, bool kCap, bool kAlibi>
  STROBE_NOINLINE Vec keys(const Run& run, const Group& group) const {
    const Vec masked = C::Isa::set(C::kMasked), least = C::Isa::set(C::kLeastScore);
    Vec most = masked;
    for (int first = run.begin; first < run.end; first += C::kLanes) {
      Vec additive[C::kLanes];
      if constexpr (kAdds) load_additive(group, first, run.blocks, additive);
      STROBE_UNROLL(8)
      for (int j = 0; j < C::kLanes; ++j) {
        Real* const at = s + (first + j) * C::kTileQ + group.lane;
        Vec x = C::Isa::load(at);
        if constexpr (kCap) x = cap_scores<C>(x, rules.cap);
        if constexpr (kAdds) x = C::Isa::fma(additive[j], C::Isa::set(rules.unit), x);
        if constexpr (kAlibi) x = C::Isa::sub(x, alibi(group, first + j));
        x = C::Isa::max(least, x);
        if constexpr (kAdds)
          x = C::Isa::select(C::Isa::equal(additive[j], C::Isa::set(kHidden<C>)), masked, x);
        if (run.masked) x = C::Isa::select(visible<C>(limits, group.lane, first + j), x, masked);
        C::Isa::store(at, x);
        most = C::Isa::max(most, x);
      }
    }
    return most;
  }

  STROBE_INLINE Vec alibi(const Group& group, int key) const {
    return alibi_of<C>(C::Isa::load(group.position), C::Isa::set(static_cast<Real>(key)),
                       C::Isa::set(rules.slope));
  }

  /// The bias of kLanes keys from `key` on, one vector of rows a key; -inf where the pair is
  /// masked. Rows are read as they lie and transposed.
  STROBE_INLINE void load_additive(const Group& group, int key, bool blocks, Vec* columns) const {
    const std::int64_t left = task.sequence.lengths.k - block_begin - key;
    const int count = static_cast<int>(left < 0 ? 0 : left < C::kLanes ? left : C::kLanes);
    load_bias(group, key, count, columns);
    if (p.allowed.given())
      for (int i = 0; i < C::kLanes; ++i)
        columns[i] =
            C::Isa::select(allowed_row<C>(p.allowed, group.allowed[i] + key * p.allowed.key, count),
                           columns[i], C::Isa::set(kHidden<C>));
    if (blocks)
      for (int i = 0; i < C::kLanes; ++i)
        columns[i] =
            without_hidden<C>(columns[i], p, task, row(group.lane + i), block_begin + key, count);
    C::Isa::transpose(columns);
  }

  STROBE_INLINE void load_bias(const Group& group, int key, int count, Vec* columns) const {
    if (!p.bias.given()) {
      for (int i = 0; i < C::kLanes; ++i) columns[i] = C::Isa::zero();
      return;
    }
    if constexpr (!std::is_same_v<typename C::Element, float>)
      if (p.bias.dtype != DType::f32)
        return load_bias_of<typename C::Element>(group, key, count, columns);
    load_bias_of<float>(group, key, count, columns);
  }

  /// kLanes values of each row of the bias; 0 past `count`.
  template <class T>
  STROBE_INLINE void load_bias_of(const Group& group, int key, int count, Vec* columns) const {
    if (count == C::kLanes && p.bias.key != 0) {
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        columns[i] = C::Isa::load_row(reinterpret_cast<const T*>(group.bias[i]) + key, C::kLanes);
      return;
    }
    for (int i = 0; i < C::kLanes; ++i)
      columns[i] =
          bias_row<C>(p.bias, reinterpret_cast<const T*>(group.bias[i]) + key * p.bias.key, count);
  }
};

/// The sink logit of a head enters the sums of finished rows as one more score without a value.
template <class C>
STROBE_NOINLINE void add_sink(const TileState<C>& state, const Sink<C>& sink, RealOf<C> scale,
                              int dims) {
  for (int lane = 0; lane < C::kTileQ; lane += C::kLanes) {
    SinkSums<C> sums{C::Isa::load(state.row_max + lane), C::Isa::load(state.row_sum + lane)};
    const VecOf<C> factor = sums.add(sink, scale);
    C::Isa::store(state.row_max + lane, sums.row_max);
    C::Isa::store(state.row_sum + lane, sums.row_sum);
    for (int dim = 0; dim < dims; ++dim) {
      RealOf<C>* const at = state.o + dim * C::kTileQ + lane;
      C::Isa::store(at, C::Isa::mul(factor, C::Isa::load(at)));
    }
  }
}

}  // namespace strobe::cpu::STROBE_ISA
