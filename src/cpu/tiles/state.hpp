// The running softmax state of a query tile: maximum, sum, output; loaded from q, stored to o.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// (row_max, row_sum, o) of one query tile over some keys; p = 2^(scale * (s - row_max)).
struct TileState {
  float* row_max = nullptr;  // [tile_q]
  float* row_sum = nullptr;  // [tile_q]
  float* o = nullptr;        // [dims][tile_q]
};

/// How scores become exponents of 2: q takes the sign and the power of two of scale * log2(e),
/// which change no digit of q, and the rest, in [1, 2), waits for exp2. Folding all of it into q
/// would save a multiplication (.4 to .8 % at 128, 64 dims) but round every element of q: the
/// largest errors were then up to 3.6 times those of standard attention, now 1.4 (bench/notes.md).
struct ScaleSplit {
  float q = 1.0f;
  float score = 1.0f;
};

/// q of one tile, transposed: [words][tile_q], lanes without a row are 0.
template <class C>
STROBE_NOINLINE void load_q(Word* to, const typename C::Element* from, std::int64_t stride,
                            int rows, int head_dim, float factor) {
  constexpr int kStep = C::kLanes * C::kPerWord;  // elements of a vector
  typename Simd::Vec r[C::kLanes];
  for (int lane = 0; lane < C::kTileQ; lane += C::kLanes)
    for (int dim = 0; dim < head_dim; dim += kStep) {
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i) {
        const int left = lane + i < rows ? head_dim - dim : 0;
        const typename C::Element* row = from + (lane + i) * stride + dim;
        if constexpr (C::kDot) {
          r[i] = C::Isa::load_pairs(row, left);
          if (factor != 1.0f) r[i] = C::Isa::scale_pairs(r[i], factor);
        } else {
          r[i] = Simd::mul(Simd::load_row(row, left), Simd::set(factor));
        }
      }
      Simd::transpose(r);
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        Simd::store(to + (dim / C::kPerWord + i) * C::kTileQ + lane, r[i]);
    }
}

/// Takes in the maxima of a new score block, lane by lane. The maximum is lazy: it moves only when
/// it grows by more than 4, so p <= 2^(4 scale) <= 256, and o is rarely rescaled.
template <class C>
STROBE_NOINLINE void update_max(const TileState& state, const float* block_max, float scale,
                                int dims, bool first) {
  using Vec = typename Simd::Vec;
  Vec factor[C::kGroups];
  bool grows = false;
  for (int g = 0; g < C::kGroups; ++g) {
    const int lane = g * C::kLanes;
    const Vec most = Simd::load(block_max + lane);
    if (first) {
      Simd::store(state.row_max + lane, Simd::max(Simd::set(kUnseen), most));
      Simd::store(state.row_sum + lane, Simd::zero());
      continue;
    }
    const Vec old = Simd::load(state.row_max + lane);
    const auto more = Simd::greater(most, Simd::add(old, Simd::set(4.0f)));
    grows |= Simd::any(more);
    const Vec now = Simd::select(more, most, old);
    factor[g] = Simd::exp2_exact_one(Simd::mul(Simd::sub(old, now), Simd::set(scale)));
    Simd::store(state.row_max + lane, now);
    Simd::store(state.row_sum + lane, Simd::mul(factor[g], Simd::load(state.row_sum + lane)));
  }
  if (!grows) return;
  for (int dim = 0; dim < dims; ++dim)
    for (int g = 0; g < C::kGroups; ++g) {
      float* at = state.o + dim * C::kTileQ + g * C::kLanes;
      Simd::store(at, Simd::mul(factor[g], Simd::load(at)));
    }
}

/// total <- total + leaf: the merge of semantics/softmax_state.hpp, a vector of rows at a time.
template <class C>
STROBE_NOINLINE void fold(const TileState& total, const TileState& leaf, float scale, int dims) {
  using Vec = typename Simd::Vec;
  for (int g = 0; g < C::kGroups; ++g) {
    const int lane = g * C::kLanes;
    const Vec old = Simd::load(total.row_max + lane), other = Simd::load(leaf.row_max + lane);
    const Vec now = Simd::max(old, other);
    const Vec a = Simd::exp2_exact_one(Simd::mul(Simd::sub(old, now), Simd::set(scale)));
    const Vec b = Simd::exp2_exact_one(Simd::mul(Simd::sub(other, now), Simd::set(scale)));
    Simd::store(total.row_max + lane, now);
    Simd::store(total.row_sum + lane, Simd::fma(a, Simd::load(total.row_sum + lane),
                                                Simd::mul(b, Simd::load(leaf.row_sum + lane))));
    for (int dim = 0; dim < dims; ++dim) {
      const int at = dim * C::kTileQ + lane;
      Simd::store(total.o + at,
                  Simd::fma(a, Simd::load(total.o + at), Simd::mul(b, Simd::load(leaf.o + at))));
    }
  }
}

/// Rows of an output.
template <class Out>
struct Destination {
  Out* to = nullptr;
  std::int64_t stride = 0;  // elements
  int rows = 0;
};

/// gain * o / row_sum as rows of Out; an empty row divides by nothing and stays 0.
template <class C, class Out>
STROBE_NOINLINE void store_o(const TileState& state, const Destination<Out>& out, int head_dim_v,
                             float gain) {
  using Vec = typename Simd::Vec;
  Vec r[C::kLanes];
  for (int lane = 0; lane < out.rows; lane += C::kLanes) {
    const Vec sum = Simd::load(state.row_sum + lane);
    const Vec inverse =
        Simd::select(Simd::equal(sum, Simd::zero()), Simd::zero(), Simd::div(Simd::set(gain), sum));
    for (int dim = 0; dim < head_dim_v; dim += C::kLanes) {
      const int left = head_dim_v - dim < C::kLanes ? head_dim_v - dim : C::kLanes;
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        r[i] = i < left ? Simd::mul(Simd::load(state.o + (dim + i) * C::kTileQ + lane), inverse)
                        : Simd::zero();
      Simd::transpose(r);
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        if (lane + i < out.rows)
          Simd::store_row(out.to + (lane + i) * out.stride + dim, r[i], left);
    }
  }
}

/// A sink logit, and the same in the kernel's units.
struct Sink {
  float logit = 0.0f;
  float score = kMasked;  // not above kMasked: none
};

/// lse = ln 2 * (scale * row_max + log2 row_sum); a row that saw nothing has -inf, or exactly the
/// sink logit.
template <class C>
STROBE_NOINLINE void store_lse(const TileState& state, float scale, const Sink& sink,
                               const Destination<float>& out) {
  using Vec = typename Simd::Vec;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  alignas(64) float lse[C::kLanes];
  for (int lane = 0; lane < out.rows; lane += C::kLanes) {
    const Vec sum = Simd::load(state.row_sum + lane);
    const Vec row_max = Simd::load(state.row_max + lane);
    const Vec log2 = Simd::fma(row_max, Simd::set(scale), Simd::log2(sum));
    Vec natural = Simd::mul(log2, Simd::set(0.693147181f));
    if (sink.score > kMasked) {
      const Vec alone =
          Simd::select(Simd::equal(sum, Simd::set(1.0f)), Simd::set(sink.logit), natural);
      natural = Simd::select(Simd::equal(row_max, Simd::set(sink.score)), alone, natural);
    }
    Simd::store(lse, Simd::select(Simd::equal(sum, Simd::zero()), Simd::set(-kInfinity), natural));
    for (int i = 0; i < C::kLanes && lane + i < out.rows; ++i)
      out.to[(lane + i) * out.stride] = lse[i];
  }
}

}  // namespace strobe::cpu::STROBE_ISA
