// The running softmax state of a query tile: maximum, sum, output; loaded from q, stored to o.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

#include "cpu/tiles/integers.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// (row_max, row_sum, o) of one query tile over some keys; p = 2^(scale * (s - row_max)).
template <class C>
struct TileState {
  using Real = RealOf<C>;
  Real* row_max = nullptr;  // [tile_q]
  Real* row_sum = nullptr;  // [tile_q]
  Real* o = nullptr;        // [dims][tile_q]
};

/// How scores become exponents of 2: q takes the sign and the power of two of scale * log2(e),
/// which change no digit of q, and the rest, in [1, 2), waits for exp2. Folding all of it into q
/// would save a multiplication (.4 to .8 % at 128, 64 dims) but round every element of q: the
/// largest errors were then up to 3.6 times those of standard attention, now 1.4 (bench/notes.md).
template <class C>
struct ScaleSplit {
  RealOf<C> q = 1;
  RealOf<C> score = 1;
};

/// scale * log2(e) = score * 2^e with score in [1, 2). A denormal factor counts as 0.
template <class C>
STROBE_INLINE ScaleSplit<C> split_scale(double softmax_scale) {
  using Real = RealOf<C>;
  constexpr double kLog2E = 1.4426950408889634;
  const double factor = softmax_scale * kLog2E;
  const double size = factor < 0 ? -factor : factor;
  const auto bits = __builtin_bit_cast(std::uint64_t, size);
  const double power = __builtin_bit_cast(double, bits & 0x7ff0000000000000u);
  return {static_cast<Real>(factor < 0 ? -power : power),
          power > 0 ? static_cast<Real>(size / power) : Real(1)};
}

/// q of one tile, transposed: [words][tile_q], lanes without a row are 0. `units` [tile_q] is
/// written for integers.
template <class C>
STROBE_NOINLINE void load_q(WordOf<C>* to, const typename C::Element* from, std::int64_t stride,
                            int rows, int head_dim, RealOf<C> factor, RealOf<C>* units) {
  constexpr int kStep = C::kLanes * C::kPerWord;  // elements of a vector
  VecOf<C> r[C::kLanes];
  RealOf<C> exponent[C::kLanes] = {};
  for (int lane = 0; lane < C::kTileQ; lane += C::kLanes) {
    if constexpr (C::kIntegers)
      for (int i = 0; i < C::kLanes; ++i) {
        QueryUnit unit;
        if (lane + i < rows) unit = query_unit(from + (lane + i) * stride, head_dim, factor);
        units[lane + i] = unit.unit;
        exponent[i] = unit.exponent;
      }
    for (int dim = 0; dim < head_dim; dim += kStep) {
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i) {
        const int left = lane + i < rows ? head_dim - dim : 0;
        const typename C::Element* row = from + (lane + i) * stride + dim;
        if constexpr (C::kIntegers) {
          r[i] = C::Isa::integer_pairs(C::Isa::load_pairs(row, left), C::Isa::set(exponent[i]));
        } else if constexpr (C::kDot) {
          r[i] = C::Isa::load_pairs(row, left);
          if (factor != 1) r[i] = C::Isa::scale_pairs(r[i], factor);
        } else {
          r[i] = C::Isa::mul(C::Isa::load_row(row, left), C::Isa::set(factor));
        }
      }
      C::Isa::transpose(r);
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        C::Isa::store(to + (dim / C::kPerWord + i) * C::kTileQ + lane, r[i]);
    }
  }
}

/// A maximum after another block, and what sums and outputs before it are multiplied by.
template <class C>
struct LazyMax {
  VecOf<C> now, factor;
  bool grows = false;  // in some lane; else every factor is 1
};

/// The maximum is lazy: it moves only when it grows by more than 4, so p <= 2^(4 scale) <= 256, and
/// o is rarely rescaled.
template <class C>
STROBE_INLINE LazyMax<C> lazy_max(VecOf<C> old, VecOf<C> most, RealOf<C> scale) {
  const auto more = C::Isa::greater(most, C::Isa::add(old, C::Isa::set(4)));
  const VecOf<C> now = C::Isa::select(more, most, old);
  return {now, C::Isa::exp2_exact_one(C::Isa::mul(C::Isa::sub(old, now), C::Isa::set(scale))),
          C::Isa::any(more)};
}

/// Takes in the maxima of a new score block, lane by lane.
template <class C>
STROBE_NOINLINE void update_max(const TileState<C>& state, const RealOf<C>* block_max,
                                RealOf<C> scale, int dims, bool first) {
  using Vec = VecOf<C>;
  Vec factor[C::kGroups];
  bool grows = false;
  for (int g = 0; g < C::kGroups; ++g) {
    const int lane = g * C::kLanes;
    const Vec most = C::Isa::load(block_max + lane);
    if (first) {
      C::Isa::store(state.row_max + lane, C::Isa::max(C::Isa::set(C::kUnseen), most));
      C::Isa::store(state.row_sum + lane, C::Isa::zero());
      continue;
    }
    const LazyMax<C> next = lazy_max<C>(C::Isa::load(state.row_max + lane), most, scale);
    grows |= next.grows;
    factor[g] = next.factor;
    C::Isa::store(state.row_max + lane, next.now);
    C::Isa::store(state.row_sum + lane, C::Isa::mul(factor[g], C::Isa::load(state.row_sum + lane)));
  }
  if (!grows) return;
  for (int dim = 0; dim < dims; ++dim)
    for (int g = 0; g < C::kGroups; ++g) {
      RealOf<C>* at = state.o + dim * C::kTileQ + g * C::kLanes;
      C::Isa::store(at, C::Isa::mul(factor[g], C::Isa::load(at)));
    }
}

/// The maximum of two states of a row, and what their sums and outputs are multiplied by.
template <class C>
struct MergeWeights {
  VecOf<C> now, a, b;
};

template <class C>
STROBE_INLINE MergeWeights<C> merge_weights(VecOf<C> old, VecOf<C> other, RealOf<C> scale) {
  const VecOf<C> now = C::Isa::max(old, other), factor = C::Isa::set(scale);
  return {now, C::Isa::exp2_exact_one(C::Isa::mul(C::Isa::sub(old, now), factor)),
          C::Isa::exp2_exact_one(C::Isa::mul(C::Isa::sub(other, now), factor))};
}

/// total <- total + leaf: the merge of semantics/softmax_state.hpp, a vector of rows at a time.
template <class C>
STROBE_NOINLINE void fold(const TileState<C>& total, const TileState<C>& leaf, RealOf<C> scale,
                          int dims) {
  for (int g = 0; g < C::kGroups; ++g) {
    const int lane = g * C::kLanes;
    const auto [now, a, b] = merge_weights<C>(C::Isa::load(total.row_max + lane),
                                              C::Isa::load(leaf.row_max + lane), scale);
    C::Isa::store(total.row_max + lane, now);
    C::Isa::store(total.row_sum + lane,
                  C::Isa::fma(a, C::Isa::load(total.row_sum + lane),
                              C::Isa::mul(b, C::Isa::load(leaf.row_sum + lane))));
    for (int dim = 0; dim < dims; ++dim) {
      const int at = dim * C::kTileQ + lane;
      C::Isa::store(total.o + at, C::Isa::fma(a, C::Isa::load(total.o + at),
                                              C::Isa::mul(b, C::Isa::load(leaf.o + at))));
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

/// What turns sums into outputs: gain / row_sum; an empty row divides by nothing and stays 0.
template <class C>
STROBE_INLINE VecOf<C> inverse_of(VecOf<C> row_sum, RealOf<C> gain) {
  return C::Isa::select(C::Isa::equal(row_sum, C::Isa::zero()), C::Isa::zero(),
                        C::Isa::div(C::Isa::set(gain), row_sum));
}

/// Zeros lose their sign: it would tell how many masked keys of a tile were added as 0 * v.
template <class C>
STROBE_INLINE VecOf<C> output_of(VecOf<C> sum, VecOf<C> inverse) {
  return C::Isa::add(C::Isa::mul(sum, inverse), C::Isa::zero());
}

/// gain * o / row_sum as rows of Out.
template <class C, class Out>
STROBE_NOINLINE void store_o(const TileState<C>& state, const Destination<Out>& out, int head_dim_v,
                             RealOf<C> gain) {
  using Vec = VecOf<C>;
  Vec r[C::kLanes];
  for (int lane = 0; lane < out.rows; lane += C::kLanes) {
    const Vec inverse = inverse_of<C>(C::Isa::load(state.row_sum + lane), gain);
    for (int dim = 0; dim < head_dim_v; dim += C::kLanes) {
      const int left = head_dim_v - dim < C::kLanes ? head_dim_v - dim : C::kLanes;
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        r[i] = i < left
                   ? output_of<C>(C::Isa::load(state.o + (dim + i) * C::kTileQ + lane), inverse)
                   : C::Isa::zero();
      C::Isa::transpose(r);
      STROBE_UNROLL(16)
      for (int i = 0; i < C::kLanes; ++i)
        if (lane + i < out.rows)
          C::Isa::store_row(out.to + (lane + i) * out.stride + dim, r[i], left);
    }
  }
}

/// A sink logit, and the same in the kernel's units.
template <class C>
struct Sink {
  bool given = false;
  RealOf<C> logit = -std::numeric_limits<RealOf<C>>::infinity();
  RealOf<C> score = C::kMasked;
};

/// Rows that a sink joins.
template <class C>
struct SinkSums {
  VecOf<C> row_max, row_sum;

  /// What o is multiplied by. A row that saw nothing stays as it is, also beside a sink of
  /// infinity or NaN: its o is 0.
  STROBE_INLINE VecOf<C> add(const Sink<C>& sink, RealOf<C> scale) {
    const auto [now, a, b] = merge_weights<C>(row_max, C::Isa::set(sink.score), scale);
    const auto empty = C::Isa::equal(row_sum, C::Isa::zero());
    row_max = C::Isa::select(empty, row_max, now);
    row_sum = C::Isa::select(empty, row_sum, C::Isa::fma(a, row_sum, b));
    return C::Isa::select(empty, C::Isa::set(1), a);
  }
};

/// lse = ln 2 * (scale * row_max + log2 row_sum); a row that saw nothing has the sink logit, -inf
/// where there is none.
template <class C>
STROBE_INLINE VecOf<C> lse_of(VecOf<C> row_max, VecOf<C> row_sum, RealOf<C> scale,
                              const Sink<C>& sink) {
  using Vec = VecOf<C>;
  const Vec log2 = C::Isa::fma(row_max, C::Isa::set(scale), C::Isa::log2(row_sum));
  const Vec natural = C::Isa::mul(log2, C::Isa::set(RealOf<C>(0.69314718055994531)));
  return C::Isa::select(C::Isa::equal(row_sum, C::Isa::zero()), C::Isa::set(sink.logit), natural);
}

template <class C>
STROBE_NOINLINE void store_lse(const TileState<C>& state, RealOf<C> scale, const Sink<C>& sink,
                               const Destination<RealOf<C>>& out) {
  alignas(64) RealOf<C> lse[C::kLanes];
  for (int lane = 0; lane < out.rows; lane += C::kLanes) {
    C::Isa::store(lse, lse_of<C>(C::Isa::load(state.row_max + lane),
                                 C::Isa::load(state.row_sum + lane), scale, sink));
    for (int i = 0; i < C::kLanes && lane + i < out.rows; ++i)
      out.to[(lane + i) * out.stride] = lse[i];
  }
}

}  // namespace strobe::cpu::STROBE_ISA
