// p = exp2(s - row_max) and its row sums, in pieces small enough to hide inside a product tile.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Sixteen keys of one lane group, held in registers. Their sum starts from zero and is added once:
/// one running sum would lose many small p beside a large one, all in the same direction. p
/// overwrites s: in place; bf16 as pairs of keys, so that row r and r + 1 of s become row r / 2
/// of p.
template <class C>
struct SoftmaxChunk {
  using Vec = VecOf<C>;
  using Real = RealOf<C>;
  using Word = WordOf<C>;
  static constexpr int kSteps = C::kChunk / C::kPerWord;

  Real* s = nullptr;
  Word* p = nullptr;
  Vec row_max, row_sum, scale;

  STROBE_INLINE void step(const ExpOf<C>* c) {
    if constexpr (C::kDot) {
      const Vec a = C::Isa::exp2_coarse(exponent(s), c);
      const Vec b = C::Isa::exp2_coarse(exponent(s + C::kTileQ), c);
      row_sum = C::Isa::add(row_sum, C::Isa::add(a, b));
      if constexpr (C::kIntegers) {  // rounded when the largest is known
        C::Isa::store(s, a);
        C::Isa::store(s + C::kTileQ, b);
      } else {
        C::Isa::store(p, C::Isa::pack_pairs(a, b));
      }
      s += 2 * C::kTileQ;
      p += C::kTileQ;
    } else {
      const Vec e = C::Isa::exp2(exponent(s), c);
      C::Isa::store(s, e);
      row_sum = C::Isa::add(row_sum, e);
      s += C::kTileQ;
    }
  }

  /// Subtracting first makes the largest exponent 0 exactly, however large the scores.
  STROBE_INLINE Vec exponent(const Real* at) const {
    return C::Isa::mul(C::Isa::sub(C::Isa::load(at), row_max), scale);
  }
};

/// The softmax of one score tile, still to be done: lane group by lane group, chunk by chunk.
template <class C>
class PendingSoftmax {
  using Real = RealOf<C>;
  using Word = WordOf<C>;

 public:
  void start(Real* s, const Real* row_max, Real* row_sum, Real scale, const Runs& runs) {
    s_ = s;
    row_max_ = row_max;
    row_sum_ = row_sum;
    scale_ = scale;
    runs_ = &runs;
    group_ = 0;
    run_ = -1;
    key_ = 0;
    next_run();
  }

  STROBE_INLINE bool pending() const { return group_ < C::kGroups; }

  STROBE_INLINE SoftmaxChunk<C> open() const {
    const int lane = group_ * C::kLanes;
    SoftmaxChunk<C> chunk;
    chunk.s = s_ + key_ * C::kTileQ + lane;
    chunk.p = reinterpret_cast<Word*>(s_) + key_ / C::kPerWord * C::kTileQ + lane;
    chunk.row_max = C::Isa::load(row_max_ + lane);
    chunk.row_sum = C::Isa::zero();
    chunk.scale = C::Isa::set(scale_);
    return chunk;
  }

  STROBE_INLINE void close(const SoftmaxChunk<C>& chunk) {
    Real* const sum = row_sum_ + group_ * C::kLanes;
    C::Isa::store(sum, C::Isa::add(C::Isa::load(sum), chunk.row_sum));
    key_ += C::kChunk;
    if (key_ >= runs_->run[run_].end) next_run();
  }

  STROBE_NOINLINE void finish() {
    while (pending()) {
      SoftmaxChunk<C> chunk = open();
      STROBE_UNROLL(4)
      for (int i = 0; i < SoftmaxChunk<C>::kSteps; ++i) chunk.step(C::Isa::exp2_constants());
      close(chunk);
    }
  }

 private:
  /// The next run of this group, or the first of the next group that has one.
  void next_run() {
    for (; group_ < C::kGroups; ++group_, run_ = -1)
      while (++run_ < runs_->count)
        if (runs_->run[run_].covers(group_)) {
          key_ = runs_->run[run_].begin;
          return;
        }
  }

  Real* s_ = nullptr;
  const Real* row_max_ = nullptr;
  Real* row_sum_ = nullptr;
  Real scale_ = 1;
  const Runs* runs_ = nullptr;
  int group_ = C::kGroups;
  int run_ = 0;
  int key_ = 0;
};

}  // namespace strobe::cpu::STROBE_ISA
