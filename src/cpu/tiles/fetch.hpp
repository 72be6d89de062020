// Brings the next block of keys and values near, a few rows beside every product tile.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/integers.hpp"
#include "cpu/tiles/key_source.hpp"
#include "cpu/tiles/tiling.hpp"
#include "cpu/tiles/unpack.hpp"

namespace strobe::cpu::STROBE_ISA {

/// A block of keys and values as the products want it: words, one row every `pitch` of them.
/// Values of bf16 dot products come as pairs of keys.
template <class C>
struct KeyBlock {
  const WordOf<C>* k = nullptr;
  const WordOf<C>* v = nullptr;
  std::int64_t k_pitch = 0;
  std::int64_t v_pitch = 0;
};

/// `count` elements as a vector of words; what is missing is 0 and its memory not touched.
template <class C>
STROBE_INLINE VecOf<C> load(const KeptOf<C>* from, int count) {
  if constexpr (C::kDot)
    return C::Isa::load_pairs(from, count);
  else
    return C::Isa::load_row(from, count);
}

/// One row of `count` elements to words, zeros up to `pitch`: copied, or widened.
template <class C>
STROBE_INLINE void copy_row(WordOf<C>* to, const KeptOf<C>* from, int count, int pitch) {
  constexpr int kStep = C::kLanes * C::kPerWord;  // elements of a vector
  int i = 0;
  for (; (i + 1) * kStep <= count; ++i)
    C::Isa::store(to + i * C::kLanes, load<C>(from + i * kStep, kStep));
  for (; i * C::kLanes < pitch; ++i) {
    const int left = count - i * kStep;
    C::Isa::store(to + i * C::kLanes, load<C>(from + i * kStep, left < 0 ? 0 : left));
  }
}

/// Two rows of values to one row of words (bf16 dot products).
template <class C>
STROBE_INLINE void interleave_rows(WordOf<C>* to, const KeptOf<C>* a, const KeptOf<C>* b, int count,
                                   int pitch) {
  constexpr int kStep = 2 * C::kLanes;
  int i = 0;
  if (a != nullptr && b != nullptr)
    for (; i + kStep <= count; i += kStep)
      C::Isa::interleave(to + i, load<C>(a + i, kStep), load<C>(b + i, kStep));
  for (; i < pitch; i += kStep)
    C::Isa::interleave(to + i, load<C>(a + i, a == nullptr ? 0 : count - i),
                       load<C>(b + i, b == nullptr ? 0 : count - i));
}

template <class C>
class Fetch {
  using Element = typename C::Element;
  using Kept = KeptOf<C>;
  using Word = WordOf<C>;

 public:
  /// Where rows go. Without a destination they are only prefetched where they lie.
  struct Destinations {
    Word* k = nullptr;
    int k_pitch = 0;
    Word* v = nullptr;
    int v_pitch = 0;
    CodeScales* scales = nullptr;  // of integers
  };

  /// `numbers`: two rows that codes become.
  void open(const KeySource& source, std::int64_t head_dim, std::int64_t head_dim_v,
            Kept* numbers) {
    const DType kept = source.coded() ? source.codes : dtype_of<Element>;
    source_ = source;
    head_dim_ = static_cast<int>(head_dim);
    head_dim_v_ = static_cast<int>(head_dim_v);
    k_bytes_ = static_cast<int>(bytes_of(kept, head_dim));
    v_bytes_ = static_cast<int>(bytes_of(kept, head_dim_v));
    numbers_ = numbers;
  }

  /// Keys [begin, end) of a block; rows up to the next multiple of 16 become zeros.
  void start(std::int64_t block_begin, int begin, int end, const Destinations& to) {
    to_ = to;
    first_ = block_begin;
    row_ = begin_ = begin;
    end_ = end;
    stop_ = static_cast<int>(round_up(end, C::kChunk));
    values_ = false;
  }

  /// The next two rows: all of k, then all of v. Rows of one head may lie a power of two apart and
  /// share a few cache sets, so that one stream at a time is what L1 can hold.
  STROBE_INLINE void step() {
    if (row_ < stop_) advance();
  }

  void finish() {
    while (row_ < stop_) advance();
  }

 private:
  static constexpr int kAhead = 4;  // rows prefetched before they are copied

  STROBE_NOINLINE void advance() {
    if (!values_) {
      const int ahead = row_ahead(to_.k != nullptr);
      touch(k_row(ahead), k_row(ahead + 1), k_bytes_);
      if (to_.k != nullptr)
        for (int r = row_; r < row_ + 2; ++r)
          copy_row<C>(to_.k + r * to_.k_pitch, k_numbers(r), r < end_ ? head_dim_ : 0, to_.k_pitch);
      if constexpr (C::kIntegers)
        for (int r = row_; r < row_ + 2; ++r) to_.scales->k[r] = r < end_ ? *k_row(r).scales : 0.0f;
    } else {
      const int ahead = row_ahead(to_.v != nullptr);
      touch(v_row(ahead), v_row(ahead + 1), v_bytes_);
      if (to_.v != nullptr) copy_values();
      if constexpr (C::kIntegers)
        for (int r = row_; r < row_ + 2; ++r) to_.scales->v[r] = r < end_ ? *v_row(r).scales : 0.0f;
    }
    row_ += 2;
    if (row_ >= stop_ && !values_) {
      values_ = true;
      row_ = begin_;
    }
  }

  STROBE_INLINE void copy_values() {
    if constexpr (C::kDot) {
      interleave_rows<C>(to_.v + row_ / 2 * to_.v_pitch, row_ < end_ ? v_numbers(row_) : nullptr,
                         row_ + 1 < end_ ? v_numbers(row_ + 1) : nullptr, head_dim_v_, to_.v_pitch);
    } else {
      for (int r = row_; r < row_ + 2; ++r)
        copy_row<C>(to_.v + r * to_.v_pitch, v_numbers(r), r < end_ ? head_dim_v_ : 0, to_.v_pitch);
    }
  }

  /// Rows past the block's keys repeat the last one where they lie in pages: the page table says
  /// nothing of them. Elsewhere their addresses are the first rows of the block that follows.
  STROBE_INLINE int known(int row) const { return source_.paged() && row >= end_ ? end_ - 1 : row; }
  STROBE_INLINE KeptRow k_row(int row) const { return source_.k_row(first_ + known(row)); }
  STROBE_INLINE KeptRow v_row(int row) const { return source_.v_row(first_ + known(row)); }
  /// Two rows that follow each other may be read together.
  STROBE_INLINE const Kept* k_numbers(int row) const {
    return numbers(row, k_row(row), source_.k.group, head_dim_);
  }
  STROBE_INLINE const Kept* v_numbers(int row) const {
    return numbers(row, v_row(row), source_.v.group, head_dim_v_);
  }
  STROBE_INLINE const Kept* numbers(int row, const KeptRow& from, std::int64_t group,
                                    int dims) const {
    if constexpr (C::kIntegers) {
      return reinterpret_cast<const Kept*>(from.data);
    } else {
      if (!source_.coded()) return reinterpret_cast<const Kept*>(from.data);
      Kept* const to =
          numbers_ + row % 2 * unpacked(head_dim_ > head_dim_v_ ? head_dim_ : head_dim_v_);
      if (row < end_) unpack_row(to, source_.codes, from, group, dims);
      return to;
    }
  }
  STROBE_INLINE int row_ahead(bool copied) const { return row_ + (copied ? kAhead : 0); }

  /// Prefetching into L1 is what pays; into L2 it was useless for strided rows (bench/notes.md).
  STROBE_INLINE void touch(const KeptRow& row, const KeptRow& next, int bytes) {
    for (int i = 0; i < bytes; i += 64) {
      C::Isa::prefetch(row.data + i);
      C::Isa::prefetch(next.data + i);
    }
  }

  KeySource source_{};
  Kept* numbers_ = nullptr;
  int k_bytes_ = 0, v_bytes_ = 0;  // of a row in memory
  std::int64_t first_ = 0;         // the block's first key
  Destinations to_{};
  int head_dim_ = 0, head_dim_v_ = 0;
  int begin_ = 0, row_ = 0, end_ = 0, stop_ = 0;
  bool values_ = false;
};

/// The rows of the output tile that is stored next, or of the query tile that is loaded next.
class Touch {
 public:
  void start(const void* first, std::int64_t stride_bytes, int rows, int row_bytes, int rate,
             bool write) {
    at_ = static_cast<const char*>(first);
    stride_ = stride_bytes;
    rows_ = rows;
    row_bytes_ = row_bytes;
    rate_ = rate;
    write_ = write;
  }
  void stop() { rows_ = 0; }

  STROBE_INLINE void step() {
    for (int i = 0; i < rate_ && rows_ > 0; ++i, --rows_, at_ += stride_)
      for (int byte = 0; byte < row_bytes_; byte += 64)
        if (write_)
          Simd::prefetch_write(at_ + byte);
        else
          Simd::prefetch_far(at_ + byte);
  }

 private:
  const char* at_ = nullptr;
  std::int64_t stride_ = 0;
  int rows_ = 0, row_bytes_ = 0, rate_ = 0;
  bool write_ = false;
};

}  // namespace strobe::cpu::STROBE_ISA
