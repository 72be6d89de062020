// s = k q for few rows: rows sit in the lanes of a short vector, sixteen keys at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/score_product.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Rows of the next keys or values on their way into L2, a cache line at a time.
template <class C>
class Ahead {
  using Element = typename C::Element;

 public:
  void start(const Element* const* rows, std::int64_t offset, int count, std::int64_t length) {
    rows_ = rows;
    offset_ = offset;
    left_ = count;
    bytes_ = length * static_cast<std::int64_t>(sizeof(Element));
    at_ = 0;
  }

  template <int kLines>
  STROBE_INLINE void step() {
    STROBE_UNROLL(8)
    for (int i = 0; i < kLines; ++i) {
      if (left_ <= 0) return;
      Simd::prefetch_far(reinterpret_cast<const char*>(*rows_ + offset_) + at_);
      at_ += 64;
      if (at_ < bytes_) continue;
      at_ = 0;
      ++rows_;
      --left_;
    }
  }

  STROBE_INLINE void finish() {
    while (left_ > 0) step<1>();
  }

 private:
  const Element* const* rows_ = nullptr;
  std::int64_t offset_ = 0;
  std::int64_t at_ = 0, bytes_ = 0;
  int left_ = 0;
};

/// Keys whose scores are summed at once.
template <class C>
inline constexpr int kFewKeys = C::kRows* C::kGroups >= C::kChunk ? C::kChunk : C::kChunk / 2;

/// One word of kFewKeys keys against the same word of all rows.
template <class C, int L>
STROBE_INLINE void few_column(typename C::Isa::template Few<L>::Vec (&acc)[kFewKeys<C>],
                              const WordOf<C>* const (&rows)[kFewKeys<C> / 4], std::int64_t pitch,
                              const WordOf<C>* q, int word) {
  using Few = typename C::Isa::template Few<L>;
  const auto query = Few::load(q + word * L);
  STROBE_UNROLL(16)
  for (int r = 0; r < kFewKeys<C>; ++r) {
    const auto key = Few::broadcast(rows[r / 4] + r % 4 * pitch + word);
    if constexpr (C::kDot)
      acc[r] = Few::dot(key, query, acc[r]);
    else
      acc[r] = Few::fma(key, query, acc[r]);
  }
}

/// s[key][L] of kFewKeys keys whose rows lie `pitch` words apart. Sums run over the dimensions in
/// their order, as in score_product: the bits are the same.
template <class C, int L>
STROBE_INLINE void few_product(const WordOf<C>* k, std::int64_t pitch, const WordOf<C>* q,
                               int words, RealOf<C>* s, Ahead<C>& ahead) {
  using Few = typename C::Isa::template Few<L>;
  constexpr int kKeys = kFewKeys<C>;
  constexpr int kUnroll = 4;
  // Lines that kUnroll words of kKeys rows have.
  constexpr int kLines = kKeys * kUnroll * C::kPerWord * int{sizeof(typename C::Element)} / 64;
  typename Few::Vec acc[kKeys];
  STROBE_UNROLL(16)
  for (int r = 0; r < kKeys; ++r) acc[r] = Few::zero();
  const WordOf<C>* rows[kKeys / 4];  // every fourth: few enough pointers to stay in registers
  STROBE_UNROLL(4)
  for (int i = 0; i < kKeys / 4; ++i) rows[i] = k + 4 * i * pitch;
  int word = 0;
  for (; word + kUnroll <= words; word += kUnroll) {
    ahead.template step<(kLines > 0 ? kLines : 1)>();
    STROBE_UNROLL(4)
    for (int i = 0; i < kUnroll; ++i) few_column<C, L>(acc, rows, pitch, q, word + i);
  }
  for (; word < words; ++word) few_column<C, L>(acc, rows, pitch, q, word);
  STROBE_UNROLL(16)
  for (int r = 0; r < kKeys; ++r) Few::store(s + r * L, acc[r]);
}

}  // namespace strobe::cpu::STROBE_ISA
