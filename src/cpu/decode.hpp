// Attention of few queries over many keys on the CPU: the steps of reference/forward.cpp for the
// leaves of a sequence, then their merge. Rows that share a key head share each pass over its keys.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <limits>
#include <new>

#include "cpu/combine.hpp"
#include "cpu/decode_task.hpp"
#include "cpu/tiles/block_rows.hpp"
#include "cpu/tiles/few_integers.hpp"
#include "cpu/tiles/few_scores.hpp"
#include "cpu/tiles/few_scratch.hpp"
#include "cpu/tiles/few_softmax.hpp"
#include "cpu/tiles/few_values.hpp"
#include "cpu/tiles/key_source.hpp"
#include "cpu/tiles/unpack.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::cpu::STROBE_ISA {

/// The leaves of one task, for one element type.
template <class C>
class DecodeTile {
  using Element = typename C::Element;
  using Kept = KeptOf<C>;
  using Real = RealOf<C>;
  using Word = WordOf<C>;
  using Vec = VecOf<C>;

 public:
  DecodeTile(const ForwardParams& p, const DecodeTask& task, std::byte* memory)
      : p_(p),
        task_(task),
        scratch_({p.head_dim, p.head_dim_v, most_rows(p, task), task.kv_heads,
                  p.kv_dtype != DType::none, task.members},
                 memory),
        source_(key_source(p, task.member[0].sequence, task.first_kv_head)),
        k_bytes_(bytes_of(source_.coded() ? source_.codes : dtype_of<Element>, p.head_dim)),
        v_bytes_(bytes_of(source_.coded() ? source_.codes : dtype_of<Element>, p.head_dim_v)),
        scale_(split_scale<C>(p.softmax_scale)) {
    for (std::int64_t d = 0; d < p.head_dim_v; ++d) scratch_.zeros[d] = Kept{};
  }

  void run() {
    open_rows();
    rules_ = rules_of<C>(p_, {task_.member[0].sequence, 0, 0, 0}, scale_.score);
    const std::int64_t end_block = (task_.first_leaf + task_.leaves) * kLeafBlocks;
    std::int64_t leaf = task_.first_leaf;
    int current = 0;
    find(blocks_[current], leaf * kLeafBlocks, end_block);
    fetch_first(blocks_[current]);
    while (blocks_[current].block != kNoBlock) {
      const BlockRows<C>& block = blocks_[current];
      find(blocks_[current ^ 1], block.block + 1, end_block);
      for (; leaf < block.block / kLeafBlocks; ++leaf) close_leaf(leaf);
      for (std::int64_t head = 0; head < task_.kv_heads; ++head)
        attend(block, head, blocks_[current ^ 1]);
      current ^= 1;
    }
    for (; leaf < task_.first_leaf + task_.leaves; ++leaf) close_leaf(leaf);
  }

 private:
  static std::int64_t rows_a_head(const ForwardParams& p, const DecodeMember& member) {
    return member.sequence.lengths.q * (p.num_heads / p.num_heads_kv);
  }
  static std::int64_t most_rows(const ForwardParams& p, const DecodeTask& task) {
    std::int64_t most = 0;
    for (int i = 0; i < task.members; ++i) {
      const std::int64_t rows = rows_a_head(p, task.member[i]);
      if (rows > most) most = rows;
    }
    return most;
  }

  /// Groups of a key head, those of all members; then of all key heads.
  std::int64_t groups_a_head() const { return scratch_.groups_a_head * task_.members; }
  std::int64_t groups() const { return groups_a_head() * task_.kv_heads; }

  /// Rows in groups, their q and what they see. A member with fewer rows than others has groups
  /// without any.
  void open_rows() {
    for (std::int64_t g = 0; g < groups(); ++g) {
      FewRows<C>& rows = *new (scratch_.rows + g) FewRows<C>;
      rows.of = task_.member + g % groups_a_head() / scratch_.groups_a_head;
      rows.kv_head = task_.first_kv_head + g / groups_a_head();
      rows.first = g % scratch_.groups_a_head * C::kLanes;
      const std::int64_t left = rows_a_head(p_, *rows.of) - rows.first;
      rows.count = left < 0 ? 0 : static_cast<int>(left < C::kLanes ? left : C::kLanes);
      if (rows.count == 0) continue;
      rows.lanes = C::Isa::kLeastRows;
      while (rows.lanes < rows.count) rows.lanes *= 2;
      rows.q = scratch_.q + g * scratch_.k_pitch * C::kLanes;
      rows.o = scratch_.o + g * scratch_.o_pitch * C::kLanes;
      rows.bounds = see_few(p_, rows.of->sequence, rows.kv_head, rows.first, rows.count, rows.keys);
      bounds_.add(rows.bounds);
      load_few<C>(rows, p_, scale_.q, scratch_.k_pitch);
    }
  }

  /// The first block at or after `block` of which some row sees a key.
  void find(BlockRows<C>& rows, std::int64_t block, std::int64_t end_block) const {
    block = next_block(bounds_, block, kTileK);
    rows.block = kNoBlock;
    if (block != kNoBlock && block < end_block) rows.find(source_, block, bounds_);
  }

  void fetch_first(const BlockRows<C>& block) {
    if (block.block == kNoBlock) return;
    start_ahead(block, 0);
    ahead_.finish();
  }

  void start_ahead(const BlockRows<C>& block, std::int64_t head) {
    ahead_.start(block.k + block.begin, head * source_.k.head, k_bytes_, block.v + block.begin,
                 head * source_.v.head, v_bytes_, block.end - block.begin);
  }

  /// All rows of one key head over one block. The keys and values that come after, of the next head
  /// or of the first head of the next block, are fetched beside.
  void attend(const BlockRows<C>& block, std::int64_t head, const BlockRows<C>& next) {
    if (head + 1 < task_.kv_heads)
      start_ahead(block, head + 1);
    else if (next.block != kNoBlock)
      start_ahead(next, 0);
    else
      start_ahead(block, head);  // nothing comes after: lines that are near already
    const Range keys{block.block * kTileK + block.begin, block.block * kTileK + block.end};
    if constexpr (C::kIntegers)
      find_scales(block, head);
    else if (source_.coded())
      unpack(block, head);
    for (std::int64_t g = 0; g < groups_a_head(); ++g) {
      FewRows<C>& rows = scratch_.rows[head * groups_a_head() + g];
      if (rows.count == 0) continue;
      const Tile seen = classify(rows.bounds, keys);
      if (seen != Tile::Empty) attend(rows, block, head, seen == Tile::Partial);
    }
    ahead_.finish();
  }

  /// The scales of a block of codes that are not unpacked.
  void find_scales(const BlockRows<C>& block, std::int64_t head) {
    const int first = block.first_chunk(), end = block.chunks_end();
    const std::int64_t of_k = head * source_.k.scale_head, of_v = head * source_.v.scale_head;
    for (int key = first; key < end; ++key) {
      scales_.k[key] = block.k[key].scales[of_k];
      scales_.v[key] = block.v[key].scales[of_v];
    }
    scales_.adjust_v(first, end);
  }

  /// The codes of a block become numbers; later rows are fetched beside.
  STROBE_NOINLINE void unpack(const BlockRows<C>& block, std::int64_t head) {
    typename Ahead<C>::Cursor later = ahead_.cursor();
    for (int key = block.begin; key < block.end; ++key) {
      beside_row(soon(block, key, block.k) + source_.k.head * head, k_bytes_, later);
      unpack_row(k_numbers(key), source_.codes, source_.k.of_head(block.k[key], head),
                 source_.k.group, static_cast<int>(p_.head_dim));
    }
    for (int key = block.begin; key < block.end; ++key) {
      beside_row(soon(block, key, block.v) + source_.v.head * head, v_bytes_, later);
      unpack_row(v_numbers(key), source_.codes, source_.v.of_head(block.v[key], head),
                 source_.v.group, static_cast<int>(p_.head_dim_v));
    }
    ahead_.go_on(later);
  }
  /// A row that comes soon.
  static STROBE_INLINE const std::byte* soon(const BlockRows<C>& block, int key,
                                             const KeptRow* rows) {
    return rows[key + C::kChunk < block.end ? key + C::kChunk : block.end - 1].data;
  }
  /// Asks for two lines of later rows, and again for one that comes soon: see kAgain.
  static STROBE_INLINE void beside_row(const std::byte* next, std::int64_t bytes,
                                       typename Ahead<C>::Cursor& later) {
    later.step();
    later.step();
    for (std::int64_t at = 0; at < bytes; at += 64) C::Isa::prefetch(next + at);
  }
  Kept* k_numbers(int key) const { return scratch_.numbers + key * scratch_.k_numbers; }
  Kept* v_numbers(int key) const {
    return scratch_.numbers + kTileK * scratch_.k_numbers + key * scratch_.v_numbers;
  }

  /// Key `key` of a block, and its value; of codes those of the block and head unpacked last. Keys
  /// that no row sees are others that some row does.
  const Kept* key_row(const BlockRows<C>& block, int key, std::int64_t head) const {
    if (C::kIntegers || !source_.coded())
      return reinterpret_cast<const Kept*>(block.k[key].data + head * source_.k.head);
    return k_numbers(key < block.begin ? block.begin : key < block.end ? key : block.end - 1);
  }
  const Kept* value_row(const BlockRows<C>& block, int key, std::int64_t head) const {
    if (C::kIntegers || !source_.coded())
      return reinterpret_cast<const Kept*>(block.v[key].data + head * source_.v.head);
    return v_numbers(key);
  }

  void attend(FewRows<C>& rows, const BlockRows<C>& block, std::int64_t head, bool partial) {
    const FewTile<C> tile{block.block * kTileK, block.begin,        block.end,
                          block.first_chunk(),  block.chunks_end(), scratch_.s};
    with_lanes(rows.lanes, [&]<int L>() { score_rows<L>(rows, tile, block, head); });  // s = q kT
    const bool pairs = apply_rules(rows, tile);  // softcap, bias, masks of pairs, ALiBi
    mask_few<C>(rows, tile, partial);
    update_few<C>(rows, tile, scale_.score, scratch_.o_pitch);         // row_max = max(row_max, s)
    with_lanes(rows.lanes, [&]<int L>() { softmax<L>(rows, tile); });  // p = exp2(s - row_max)
    values(rows, tile, block, head, partial || pairs);                 // o += p v
    rows.seen = true;
  }

  /// Calls f<L>() for the group's number of lanes.
  template <int L = C::Isa::kLeastRows, class F>
  static STROBE_INLINE void with_lanes(int lanes, const F& f) {
    if (lanes == L) return f.template operator()<L>();
    if constexpr (L < C::kLanes) with_lanes<2 * L>(lanes, f);
  }

  template <int L>
  STROBE_NOINLINE void score_rows(const FewRows<C>& rows, const FewTile<C>& tile,
                                  const BlockRows<C>& block, std::int64_t head) {
    using Few = FewKeys<C, L>;
    const int words = scratch_.k_pitch, dims = static_cast<int>(p_.head_dim);
    const int first = block.first_chunk(), end = block.chunks_end();
    const Kept* keys[kTileK + C::kChunk];  // what is fetched again may lie behind the last
    for (int key = first; key < end; ++key) keys[key] = key_row(block, key, head);
    for (int key = end; key < end + C::kChunk; ++key) keys[key] = keys[end - 1];
    if constexpr (C::kIntegers)
      return integer_scores<C, L>({keys, first, end, rows.q, words, dims, &scales_, tile.s},
                                  rows.count, rows.unit, ahead_);
    Word* const packed = scratch_.k;
    for (int column = 0; column < words; column += Few::kColumns)
      for (int g = 0; g < Few::kGroups; ++g)
        pack_group<C, L>(packed, keys + first, g, column, dims - column * C::kPerWord);
    for (int chunk = first; chunk < end; chunk += C::kChunk) {
      const Kept* const* next = chunk + C::kChunk < end ? keys + chunk + C::kChunk : nullptr;
      few_product<C, L>(packed, rows.q, words, scratch_.s + chunk * L, next, dims, ahead_);
    }
  }

  /// Were single pairs masked?
  bool apply_rules(const FewRows<C>& rows, const FewTile<C>& tile) {
    const bool blocks = p_.blocks.given();
    if (!rules_.any() && !blocks) return false;
    const bool additive = rules_.additive || blocks;
    Real* const added = scratch_.s + kTileK * C::kLanes;
    FewRules<C>{p_, rules_, rows, tile, additive, added}.apply();
    return additive;
  }

  template <int L>
  STROBE_NOINLINE void softmax(FewRows<C>& rows, const FewTile<C>& tile) {
    few_softmax<C, L>(rows, tile, scale_.score);
    if constexpr (C::kIntegers) round_few<C, L>(tile, scales_, weight_);
  }

  void values(FewRows<C>& rows, const FewTile<C>& tile, const BlockRows<C>& block,
              std::int64_t head, bool masked) {
    const Kept* row[kTileK + kAgain + 2];  // of this head; what shares a word with a key is zeros
    for (int key = block.begin; key < block.end; ++key) row[key] = value_row(block, key, head);
    if (block.begin % C::kPerWord != 0) row[block.begin - 1] = scratch_.zeros;
    for (int key = block.end; key < block.end + kAgain + 2; ++key) row[key] = scratch_.zeros;
    FewValues<C> t;
    t.v = row;
    t.begin = block.begin;
    t.end = block.end;
    t.p = reinterpret_cast<const Word*>(scratch_.s);
    t.p_pitch = rows.lanes;
    t.o = rows.o;
    t.o_pitch = scratch_.o_pitch;
    t.head_dim_v = static_cast<int>(p_.head_dim_v);
    t.first = !rows.seen;
    t.weight = weight_;
    if constexpr (C::kIntegers) lose_rows(rows, tile);
    if (!C::kIntegers && masked && nonfinite(t))
      guarded_values(rows, block.block * kTileK, t);
    else
      few_values<C>(t, rows.count, ahead_);
  }

  /// A row that sees a value whose scale is not finite gets no number.
  void lose_rows(const FewRows<C>& rows, const FewTile<C>& tile) {
    for (int n = 0; n < scales_.lost; ++n)
      for (int r = 0; r < rows.count; ++r)
        if (sees(p_, rows.of->sequence, decode_row(p_, rows.kv_head, rows.first + r), rows.keys[r],
                 tile.block_begin + scales_.lost_key[n]))
          weight_[r] = std::numeric_limits<Real>::quiet_NaN();
  }

  /// Does some value of the block hold NaN or infinity?
  static STROBE_NOINLINE bool nonfinite(const FewValues<C>& t) {
    constexpr int kStep = C::kLanes * C::kPerWord;
    for (int key = t.begin; key < t.end; ++key)
      for (int dim = 0; dim < t.head_dim_v; dim += kStep) {
        const Vec words = load<C>(t.v[key] + dim, t.head_dim_v - dim);
        if constexpr (C::kDot) {
          if (C::Isa::nonfinite_pairs(words)) return true;
        } else {
          if (C::Isa::nonfinite(words)) return true;
        }
      }
    return false;
  }

  /// The slow way for blocks whose values are not all finite: a value meets only the rows that see
  /// its key, because 0 * NaN is NaN.
  STROBE_NOINLINE void guarded_values(const FewRows<C>& rows, std::int64_t block_begin,
                                      const FewValues<C>& t) {
    const Kept* row[kTileK + kAgain + 2];
    FewValues<C> guarded = t;
    guarded.v = row;
    for (int r = 0; r < rows.count; ++r) {
      const DecodeRow which = decode_row(p_, rows.kv_head, rows.first + r);
      for (int key = 0; key < kTileK + kAgain + 2; ++key) {
        const bool inside = key >= t.begin && key < t.end;
        row[key] = inside && sees(p_, rows.of->sequence, which, rows.keys[r], block_begin + key)
                       ? t.v[key]
                       : scratch_.zeros;
      }
      few_value_rows<C, 1>(guarded, r, ahead_);
    }
  }

  /// The state of every row over leaf `leaf` goes to memory.
  void close_leaf(std::int64_t leaf) {
    for (std::int64_t g = 0; g < groups(); ++g) {
      FewRows<C>& rows = scratch_.rows[g];
      auto* const o = static_cast<Real*>(rows.of->states.o);
      auto* const sums = static_cast<Real*>(rows.of->states.sums);
      for (int r = 0; r < rows.count; ++r) {
        const std::int64_t at =
            (leaf * p_.num_heads_kv + rows.kv_head) * rows_a_head(p_, *rows.of) + rows.first + r;
        sums[2 * at] = rows.seen ? rows.row_max[r] : C::kUnseen;
        sums[2 * at + 1] = rows.seen ? rows.row_sum[r] : Real(0);
        if (!rows.seen) continue;
        for (int dim = 0; dim < p_.head_dim_v; dim += C::kLanes)
          C::Isa::store_row(o + at * p_.head_dim_v + dim,
                            C::Isa::load(rows.o + r * scratch_.o_pitch + dim),
                            static_cast<int>(p_.head_dim_v) - dim);
      }
      rows.seen = false;
    }
  }

  const ForwardParams& p_;
  const DecodeTask& task_;
  DecodeScratch<C> scratch_;
  KeySource source_;
  std::int64_t k_bytes_, v_bytes_;  // of a row in memory
  ScaleSplit<C> scale_;
  ScoreRules<C> rules_;
  RowBounds bounds_;
  BlockRows<C> blocks_[2];
  Ahead<C> ahead_;
  CodeScales scales_;                   // of a block and head, of integers
  alignas(64) Real weight_[C::kLanes];  // of sums of values, of integers
};

template <class T>
std::size_t decode_scratch_bytes(const DecodeShape& shape) {
  if (!shape.coded) return DecodeScratch<Tiling<T>>(shape, nullptr).bytes;
  return std::max(DecodeScratch<Tiling<T, FromCodes<T>>>(shape, nullptr).bytes,
                  DecodeScratch<Tiling<T, FromInt8<T>>>(shape, nullptr).bytes);
}

template <class T>
void decode_run(const ForwardParams& p, const DecodeTask& task, std::byte* scratch) {
  with_kept<T>(p, [&]<class K>(K) { DecodeTile<Tiling<T, K>>(p, task, scratch).run(); });
}

template <class T>
void decode_combine(const ForwardParams& p, const DecodeTask& task, std::byte* scratch) {
  Combine<Tiling<T>>(p, task, scratch).run();
}

template <class T>
constexpr DecodeKernel decode_kernel(const char* arithmetic) {
  return {dtype_of<T>,
          arithmetic,
          &decode_scratch_bytes<T>,
          sizeof(RealOf<Tiling<T>>),
          &decode_run<T>,
          &decode_combine<T>,
          Tiling<T, FromInt8<T>>::kIntegers};
}

}  // namespace strobe::cpu::STROBE_ISA
