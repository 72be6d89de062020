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

/// A score that is seen is at least this much, whatever its bias: far above kMasked, and above
/// kUnseen, so that a row of nothing but such scores still has a maximum.
inline constexpr float kLeastScore = -0.65e38f;

/// The rules of one task in the kernel's units: its scores are natural ones times `unit`.
struct ScoreRules {
  float unit = 1.0f;
  float cap = 0.0f;    // in those units; 0: none
  float slope = 0.0f;  // of ALiBi, likewise
  bool alibi = false;
  bool additive = false;  // bias or allowed; of a block map each run knows for itself

  bool any() const { return cap != 0.0f || alibi || additive; }
};

/// Scores are natural ones times log2(e) / score_factor.
template <class C>
STROBE_INLINE ScoreRules rules_of(const ForwardParams& p, const ForwardTask& task,
                                  float score_factor) {
  constexpr float kLog2E = 1.44269504f;
  ScoreRules rules;
  rules.unit = kLog2E / score_factor;
  rules.cap = static_cast<float>(p.softcap) * rules.unit;
  rules.additive = p.bias.given() || p.allowed.given();
  rules.alibi = p.alibi_slopes.given();
  if (rules.alibi)
    rules.slope =
        rules.unit *
        static_cast<const float*>(
            p.alibi_slopes.data)[p.alibi_slopes.offset(task.sequence.index, task.head, 0, 0)];
  return rules;
}

template <class C>
STROBE_INLINE Sink sink_of(const ForwardParams& p, std::int64_t head, float unit) {
  if (!p.sink_logits.given()) return {};
  const float logit =
      static_cast<const float*>(p.sink_logits.data)[p.sink_logits.offset(0, head, 0, 0)];
  const float score = unit * logit;
  return {logit, score < kMasked ? kMasked : score};
}

/// cap * tanh(x / cap). tanh(y) / y is a quotient of polynomials in y^2 within 1.7e-8, fitted by
/// Lawson's method on [0, 7.9]; beyond, tanh is 1 in f32. Relative error of the whole 2.7e-7.
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

/// A tile of scores, where it lies in its sequence, and what is to be done with it.
template <class C>
struct RuleTile {
  using Vec = typename Simd::Vec;
  const ForwardParams& p;
  const ForwardTask& task;
  const TileRows& rows;
  const ScoreRules& rules;
  const Limits& limits;
  std::int64_t block_begin = 0;  // its first key
  float* s = nullptr;            // [tile_k][tile_q]

  /// Applies the rules and finds the row maxima anew.
  STROBE_NOINLINE void apply(const Runs& runs, float* row_max) const {
    for (int lane = 0; lane < C::kTileQ; lane += C::kLanes) {
      Vec most = Simd::set(kMasked);
      for (int i = 0; i < runs.count; ++i) {
        const Run& run = runs.run[i];
        if (!run.covers(lane / C::kLanes)) continue;
        for (int key = run.begin; key < run.end; key += C::kLanes)
          most = block(run, lane, key, most);
      }
      Simd::store(row_max + lane, most);
    }
  }

 private:
  static constexpr float kHidden = -std::numeric_limits<float>::infinity();

  /// Lanes behind the last row repeat it.
  STROBE_INLINE std::int64_t row(int lane) const {
    return rows.first_row + (lane < rows.count ? lane : rows.count - 1);
  }

  /// kLanes keys from `key` on for one lane group; returns the larger of their maxima and `most`.
  STROBE_INLINE Vec block(const Run& run, int lane, int key, Vec most) const {
    Vec additive[C::kLanes];
    const bool adds = rules.additive || run.blocks;
    if (adds) load_additive(lane, key, run.blocks, additive);
    alignas(64) float position[C::kLanes];
    if (rules.alibi)
      for (int i = 0; i < C::kLanes; ++i)
        position[i] =
            static_cast<float>(p.mask.position(row(lane + i), task.sequence.lengths) - block_begin);
    for (int j = 0; j < C::kLanes; ++j) {
      float* const at = s + (key + j) * C::kTileQ + lane;
      Vec x = Simd::load(at);
      if (rules.cap != 0.0f) x = capped(x, rules.cap);
      if (adds) x = Simd::add(x, additive[j]);
      if (rules.alibi) {
        const Vec ahead = Simd::sub(Simd::load(position), Simd::set(static_cast<float>(key + j)));
        const Vec distance = Simd::max(ahead, Simd::sub(Simd::zero(), ahead));
        x = Simd::sub(x, Simd::mul(distance, Simd::set(rules.slope)));
      }
      x = Simd::max(Simd::set(kLeastScore), x);
      if (adds)
        x = Simd::select(Simd::equal(additive[j], Simd::set(kHidden)), Simd::set(kMasked), x);
      if (run.masked) x = Simd::select(limits.visible(lane, key + j), x, Simd::set(kMasked));
      Simd::store(at, x);
      most = Simd::max(most, x);
    }
    return most;
  }

  /// What is added to the scores of kLanes keys from `key` on, one vector of rows a key; -inf where
  /// the pair is masked. Rows are read as they lie and transposed.
  STROBE_INLINE void load_additive(int lane, int key, bool blocks, Vec* columns) const {
    const std::int64_t first = block_begin + key;
    const std::int64_t left = task.sequence.lengths.k - first;
    const int count = static_cast<int>(left < 0 ? 0 : left < C::kLanes ? left : C::kLanes);
    for (int i = 0; i < C::kLanes; ++i) {
      columns[i] = bias_row(row(lane + i), first, count);
      if (p.allowed.given() || blocks)
        columns[i] = masked_row(columns[i], row(lane + i), {first, first + count}, blocks);
    }
    Simd::transpose(columns);
  }

  /// kLanes values of a row of the bias, in the kernel's units; 0 past `count`.
  STROBE_INLINE Vec bias_row(std::int64_t row, std::int64_t key, int count) const {
    if (!p.bias.given()) return Simd::zero();
    const std::int64_t offset = p.bias.offset(task.sequence.index, task.head, row, key);
    const Vec values =
        p.bias.dtype == DType::f32
            ? bias_values(static_cast<const float*>(p.bias.data) + offset, count)
            : bias_values(static_cast<const typename C::Element*>(p.bias.data) + offset, count);
    return Simd::mul(values, Simd::set(rules.unit));
  }
  template <class T>
  STROBE_INLINE Vec bias_values(const T* from, int count) const {
    if (p.bias.key != 0) return Simd::load_row(from, count);
    alignas(64) float one[C::kLanes];
    Simd::store(one, Simd::load_row(from, count < 1 ? count : 1));
    return Simd::set(one[0]);
  }

  /// x where the row may see a key, -inf elsewhere: `allowed`, and the block map where it is mixed.
  STROBE_INLINE Vec masked_row(Vec x, std::int64_t row, Range keys, bool blocks) const {
    const int count = static_cast<int>(keys.end - keys.begin);
    if (p.allowed.given()) {
      const auto* bytes = static_cast<const std::uint8_t*>(p.allowed.data) +
                          p.allowed.offset(task.sequence.index, task.head, row, keys.begin);
      std::uint8_t copy[C::kLanes] = {};  // at the end of a sequence, or one for all
      if (p.allowed.key == 0 || count < C::kLanes) {
        for (int i = 0; i < count; ++i) copy[i] = bytes[i * p.allowed.key];
        bytes = copy;
      }
      x = Simd::select(Simd::nonzero(bytes), x, Simd::set(kHidden));
    }
    if (!blocks) return x;
    alignas(64) float hidden[C::kLanes] = {};
    hide_blocks(p, task, row, keys, hidden);
    const Vec mask = Simd::load(hidden);
    return Simd::select(Simd::equal(mask, Simd::zero()), x, mask);
  }
};

/// The sink logit of a head enters the sums of finished rows as one more score without a value.
template <class C>
STROBE_NOINLINE void add_sink(const TileState& state, const Sink& given, float scale, int dims) {
  using Vec = typename Simd::Vec;
  const Vec sink = Simd::set(given.score);
  for (int lane = 0; lane < C::kTileQ; lane += C::kLanes) {
    const Vec old = Simd::load(state.row_max + lane);
    const Vec now = Simd::max(old, sink);
    const Vec a = Simd::exp2_exact_one(Simd::mul(Simd::sub(old, now), Simd::set(scale)));
    const Vec b = Simd::exp2_exact_one(Simd::mul(Simd::sub(sink, now), Simd::set(scale)));
    Simd::store(state.row_max + lane, now);
    Simd::store(state.row_sum + lane, Simd::fma(a, Simd::load(state.row_sum + lane), b));
    for (int dim = 0; dim < dims; ++dim) {
      float* const at = state.o + dim * C::kTileQ + lane;
      Simd::store(at, Simd::mul(a, Simd::load(at)));
    }
  }
}

}  // namespace strobe::cpu::STROBE_ISA
