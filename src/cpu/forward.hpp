// Attention forward on the CPU: the steps of reference/forward.cpp, a tile at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/dropout.hpp"
#include "cpu/tiles/fetch.hpp"
#include "cpu/tiles/rules.hpp"
#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/score_product.hpp"
#include "cpu/tiles/scratch.hpp"
#include "cpu/tiles/state.hpp"
#include "cpu/tiles/value_product.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::cpu::STROBE_ISA {

/// All that one task needs, for one element type.
template <class C>
class ForwardTile {
  using Element = typename C::Element;
  using Real = RealOf<C>;
  using Word = WordOf<C>;

 public:
  ForwardTile(const ForwardParams& p, const ForwardTask& task, int tiles, std::byte* memory)
      : p_(p), task_(task), scratch_(p.head_dim, p.head_dim_v, tiles, memory) {
    source_ = key_source(p, task.sequence, p.kv_head(task.head));
    beside_.fetch.open(source_, p.head_dim, p.head_dim_v, scratch_.numbers);
    scale_ = split_scale<C>(p.softmax_scale);
    rules_ = rules_of<C>(p, task, scale_.score);
    draws_ = draws_of<C>(p, task);
    for (int i = 0; i < tiles; ++i) {
      Real* sums = scratch_.sums + 4 * i * C::kTileQ;
      Real* o = scratch_.o + 2 * static_cast<std::size_t>(i) * scratch_.o_size;
      tiles_[i].leaf = {sums, sums + C::kTileQ, o};
      tiles_[i].total = {sums + 2 * C::kTileQ, sums + 3 * C::kTileQ, o + scratch_.o_size};
    }
  }

  void run() {
    const std::int64_t live = task_.sequence.lengths.q - task_.first_row;  // rows with a query
    if (live < task_.rows)
      clear_rows(p_, task_, task_.first_row + (live > 0 ? live : 0),
                 task_.rows - (live > 0 ? live : 0));
    if (live <= 0) return;
    bounds_ = see(p_, task_, C::kLanes, C::kGroups, scratch_.rows);
    const std::int64_t rows = live < task_.rows ? live : task_.rows;
    const int tiles = static_cast<int>(round_up(rows, C::kTileQ) / C::kTileQ);
    live_tiles_ = tiles;

    std::int64_t block = next_seen(bounds_, task_.first_row, rows, 0);
    fetch(block, 0);
    for (int buffer = 0; block != kNoBlock; buffer ^= 1) {
      beside_.fetch.finish();
      if constexpr (C::kIntegers) scales_[buffer].adjust_v(0, kTileK);
      const KeyBlock keys = key_block(block, buffer);
      const std::int64_t next = next_seen(bounds_, task_.first_row, rows, block + 1);
      bool fetching = false;
      for (int i = 0; i < tiles; ++i) {
        plan_runs<C>(p_, task_, scratch_.rows[i], block * kTileK, runs_[current_]);
        if (runs_[current_].count == 0) continue;
        scores(i, block, buffer, keys);          // s = q kT; p = exp2(s - max) of the tile before
        finish_pending();                        // o += p v of the tile before
        if (!fetching) fetch(next, buffer ^ 1);  // only now is that buffer free
        fetching = true;
        open(i, block, buffer, keys);  // row_max = max(row_max, s)
      }
      if (!fetching) {  // a block between the intervals of the rows: no tile had use for it
        finish_pending();
        fetch(next, buffer ^ 1);
      }
      block = next;
    }
    finish_pending();
    for (int i = 0; i < tiles; ++i) {
      if (tiles_[i].leaf_index < 0)
        clear_rows(p_, task_, scratch_.rows[i].first_row, scratch_.rows[i].count);
      else if (!tiles_[i].stored)  // the blocks that might have come last were empty
        store(i);
    }
  }

 private:
  /// The first block at or after `block` of which some of the rows may see a key.
  std::int64_t next_seen(const RowBounds& bounds, std::int64_t first_row, std::int64_t rows,
                         std::int64_t block) const {
    block = next_block(bounds, block, kTileK);
    while (p_.blocks.given() && block != kNoBlock &&
           block_tile(p_, task_, first_row, rows, {block * kTileK, (block + 1) * kTileK}) ==
               Tile::Empty)
      block = next_block(bounds, block + 1, kTileK);
    return block;
  }

  /// Rows are read where they lie when nothing is gained by copying: rows next to each other, whole
  /// words, no tail to fill with zeros.
  bool k_in_place(int end) const {
    return !source_.paged() && !source_.coded() &&
           sizeof(KeptOf<C>) * C::kPerWord == sizeof(Word) && p_.k_strides.row == p_.head_dim &&
           p_.head_dim % C::kPerWord == 0 && end % C::kChunk == 0;
  }
  bool v_in_place(int end) const {
    return !source_.paged() && !source_.coded() && sizeof(KeptOf<C>) == sizeof(Word) &&
           p_.v_strides.row == p_.head_dim_v && p_.head_dim_v % C::kRows == 0 &&
           end % C::kChunk == 0;
  }

  /// The keys of a block that some row of the task may see, relative to its first key.
  Range seen(std::int64_t block) const {
    std::int64_t begin = bounds_.begin_min, end = bounds_.end_max;
    if (bounds_.sink_begin_min < begin) begin = bounds_.sink_begin_min;
    if (bounds_.sink_end_max > end) end = bounds_.sink_end_max;
    begin -= block * kTileK;
    end -= block * kTileK;
    return {begin < 0 ? 0 : begin / C::kChunk * C::kChunk, end > kTileK ? kTileK : end};
  }

  void fetch(std::int64_t block, int buffer) {
    finite_[buffer] = Finite::unknown;
    if (block == kNoBlock) return;
    const Range keys = seen(block);
    const int begin = static_cast<int>(keys.begin), end = static_cast<int>(keys.end);
    beside_.fetch.start(
        block * kTileK, begin, end,
        {k_in_place(end) ? nullptr : scratch_.k + buffer * scratch_.k_size, scratch_.k_pitch,
         v_in_place(end) ? nullptr : scratch_.v + buffer * scratch_.v_size, scratch_.v_pitch,
         &scales_[buffer]});
  }

  KeyBlock<C> key_block(std::int64_t block, int buffer) const {
    const int end = static_cast<int>(seen(block).end);
    KeyBlock<C> keys{scratch_.k + buffer * scratch_.k_size, scratch_.v + buffer * scratch_.v_size,
                     scratch_.k_pitch, scratch_.v_pitch};
    if (k_in_place(end)) {
      keys.k = reinterpret_cast<const Word*>(source_.k_row(block * kTileK).data);
      keys.k_pitch = p_.head_dim / C::kPerWord;
    }
    if (v_in_place(end)) {
      keys.v = reinterpret_cast<const Word*>(source_.v_row(block * kTileK).data);
      keys.v_pitch = p_.head_dim_v;
    }
    return keys;
  }

  Word* q_tile(int i) { return scratch_.q + static_cast<std::size_t>(i) * scratch_.q_size; }
  Real* q_units(int i) { return C::kIntegers ? scratch_.units + i * C::kTileQ : nullptr; }
  Real* s_tile() { return scratch_.s + current_ * kTileK * C::kTileQ; }

  void scores(int i, std::int64_t block, int buffer, const KeyBlock<C>& keys) {
    const TileRows& rows = scratch_.rows[i];
    if (tiles_[i].leaf_index < 0) {
      load_q<C>(q_tile(i), q_row(rows.first_row), p_.q_strides.row, rows.count,
                static_cast<int>(p_.head_dim), scale_.q, q_units(i));
      touch_next_q(i + 1);
    }
    if (pending_tile_ >= 0 && pending_next_ == kNoBlock) touch_o(pending_tile_);
    touch_pairs(beside_.bias, p_.bias, rows, block);
    touch_pairs(beside_.allowed, p_.allowed, rows, block);
    masked_[current_] = rules_.additive;
    bool blocks = false;
    for (int r = 0; r < runs_[current_].count; ++r) {
      masked_[current_] |= runs_[current_].run[r].masked;
      blocks |= runs_[current_].run[r].blocks;
    }
    masked_[current_] |= blocks;
    if (masked_[current_]) set_limits<C>(rows, block * kTileK, limits_[current_]);
    const ScoreTile<C> tile{keys.k,    keys.k_pitch, q_tile(i),          scratch_.words,
                            s_tile(),  block_max_,   &limits_[current_], &scales_[buffer],
                            q_units(i)};
    constexpr int kSteps = SoftmaxChunk<C>::kSteps;
    if (scratch_.words == 4 * kSteps)
      score_tile<C, 4>(tile, runs_[current_], beside_);
    else if (scratch_.words == 8 * kSteps)
      score_tile<C, 8>(tile, runs_[current_], beside_);
    else
      score_tile<C, 0>(tile, runs_[current_], beside_);
    if (rules_.any() || blocks) {
      const RuleTile<C> ruled{p_, task_, rows, rules_, limits_[current_], block * kTileK, s_tile()};
      ruled.apply(runs_[current_], block_max_);
    }
  }

  /// The new scores' maxima enter the state of their tile; its softmax becomes the pending one.
  void open(int i, std::int64_t block, int buffer, const KeyBlock<C>& keys) {
    QueryTile<C>& tile = tiles_[i];
    const std::int64_t leaf = block / kLeafBlocks;
    const bool first = leaf != tile.leaf_index;
    if (first && tile.leaf_index >= 0) close(tile);
    tile.leaf_index = leaf;
    update_max<C>(tile.leaf, block_max_, scale_.score, scratch_.dims, first);
    pending_ = {keys.v,      keys.v_pitch,  reinterpret_cast<const Word*>(s_tile()),
                tile.leaf.o, scratch_.dims, first,
                weight_};
    pending_tile_ = i;
    pending_block_ = block;
    pending_buffer_ = buffer;
    const TileRows& rows = scratch_.rows[i];
    pending_next_ = next_seen(rows.all, rows.first_row, rows.count, block + 1);
    beside_.softmax.start(s_tile(), tile.leaf.row_max, tile.leaf.row_sum, scale_.score,
                          runs_[current_]);
    current_ ^= 1;
  }

  void finish_pending() {
    if (pending_tile_ < 0) return;
    beside_.softmax.finish();
    const int last = current_ ^ 1;  // the buffer of the pending tile
    const int i = pending_tile_;
    if constexpr (C::kIntegers) round_p(i, last);
    if (draws_.threshold > 0)
      drop<C>(draws_, scratch_.rows[i].first_row, pending_block_ * kTileK, runs_[last],
              const_cast<Word*>(pending_.p));
    if (!C::kIntegers && masked_[last] && suspicious())
      guarded_values(i, last);
    else
      value_tile<C>(pending_, runs_[last]);
    if (pending_next_ == kNoBlock) store(i);
    pending_tile_ = -1;
  }

  void guarded_values(int i, int last) {
    std::uint64_t pairs[kTileK];
    value_tile_guarded<C>(pending_, runs_[last], seen_pairs(i, last, pairs));
  }
  /// What the rows of the pending tile see.
  Seen seen_pairs(int i, int last, std::uint64_t* pairs) const {
    if (!p_.masks_pairs()) return {limits_[last], nullptr};
    for (int key = 0; key < kTileK; ++key)
      pairs[key] = pair_bits(p_, task_, scratch_.rows[i], pending_block_ * kTileK + key);
    return {limits_[last], pairs};
  }

  /// p as integers. A row that sees a value whose scale is not finite gets no number.
  void round_p(int i, int last) {
    const CodeScales& scales = scales_[pending_buffer_];
    Real* const s = scratch_.s + last * kTileK * C::kTileQ;
    round_probabilities<C>(s, runs_[last], scales, weight_);
    if (scales.lost == 0) return;
    std::uint64_t pairs[kTileK];
    if (!masked_[last]) set_limits<C>(scratch_.rows[i], pending_block_ * kTileK, limits_[last]);
    const Seen seen = seen_pairs(i, last, pairs);
    const auto none = C::Isa::set(std::numeric_limits<Real>::quiet_NaN());
    for (int n = 0; n < scales.lost; ++n)
      for (int lane = 0; lane < C::kTileQ; lane += C::kLanes)
        C::Isa::store(weight_ + lane, C::Isa::select(visible<C>(seen, lane, scales.lost_key[n]),
                                                     none, C::Isa::load(weight_ + lane)));
  }

  /// Is some value of the pending tile's block not finite? Looked up once a block, by the first
  /// tile that masks it.
  bool suspicious() {
    Finite& known = finite_[pending_buffer_];
    if (known == Finite::unknown) {
      const Range keys = seen(pending_block_);
      const auto end = static_cast<int>(round_up(keys.end, C::kChunk));
      known =
          any_nonfinite<C>(pending_, static_cast<int>(keys.begin), end) ? Finite::no : Finite::yes;
    }
    return known == Finite::no;
  }

  /// The open leaf is complete: it becomes, or is folded into, the state of all closed leaves.
  void close(QueryTile<C>& tile) {
    if (tile.has_total) return fold<C>(tile.total, tile.leaf, scale_.score, scratch_.dims);
    const TileState<C> leaf = tile.leaf;
    tile.leaf = tile.total;
    tile.total = leaf;
    tile.has_total = true;
  }

  /// Closes the last leaf and writes the rows of a tile.
  void store(int i) {
    close(tiles_[i]);
    tiles_[i].stored = true;
    const TileRows& rows = scratch_.rows[i];
    const TileState<C>& state = tiles_[i].total;
    const Sink<C> sink = sink_of<C>(p_, task_.head, rules_.unit);
    if (sink.given) add_sink<C>(state, sink, scale_.score, scratch_.dims);
    const Sequence& n = task_.sequence;
    const std::int64_t row = n.first_q + rows.first_row;
    const std::int64_t offset = p_.o_strides.offset(n.batch, row, task_.head);
    if (p_.o_dtype == DType::f32)
      store_rows(state, static_cast<float*>(p_.o) + offset, rows.count);
    else
      store_rows(state, static_cast<Element*>(p_.o) + offset, rows.count);
    if (p_.lse == nullptr) return;
    Real* const lse = static_cast<Real*>(p_.lse) + p_.lse_strides.offset(n.batch, row, task_.head);
    store_lse<C>(state, scale_.score, sink, {lse, p_.lse_strides.row, rows.count});
  }

  template <class Out>
  void store_rows(const TileState<C>& state, Out* to, int rows) const {
    const Destination<Out> out{to, p_.o_strides.row, rows};
    store_o<C>(state, out, static_cast<int>(p_.head_dim_v),
               static_cast<Real>(p_.dropout.keep_scale()));
  }

  /// The rows of the query tile that is loaded next, and of the output tile that is stored next,
  /// come near while the products of this one run: worth 2 points at 1024 keys.
  void touch_next_q(int i) {
    if (i >= live_tiles_) return;
    const TileRows& rows = scratch_.rows[i];
    beside_.next_q.start(q_row(rows.first_row), p_.q_strides.row * size_of(p_.dtype), rows.count,
                         static_cast<int>(p_.head_dim * size_of(p_.dtype)), 2, false);
  }
  /// What the rules read comes near while the product runs: without it, a bias costs more than
  /// twice as much (bench/notes.md).
  void touch_pairs(Touch& touch, const PairTensor& tensor, const TileRows& rows,
                   std::int64_t block) const {
    if (!tensor.given()) return;
    const std::int64_t left = task_.sequence.lengths.k - block * kTileK;
    const std::int64_t keys = tensor.key == 0 ? 1 : left < kTileK ? left : kTileK;
    const std::int64_t size = size_of(tensor.dtype);
    const std::int64_t offset =
        tensor.offset(task_.sequence.index, task_.head, rows.first_row, block * kTileK);
    touch.start(static_cast<const std::byte*>(tensor.data) + offset * size, tensor.row * size,
                tensor.row == 0 ? 1 : rows.count, static_cast<int>(keys * size), 2, false);
  }
  void touch_o(int i) {
    const TileRows& rows = scratch_.rows[i];
    const Sequence& n = task_.sequence;
    const std::int64_t bytes = size_of(p_.o_dtype);
    const std::int64_t row = n.first_q + rows.first_row;
    beside_.next_o.start(
        static_cast<const std::byte*>(p_.o) + p_.o_strides.offset(n.batch, row, task_.head) * bytes,
        p_.o_strides.row * bytes, rows.count, static_cast<int>(p_.head_dim_v * bytes), 4, true);
  }

  const Element* q_row(std::int64_t row) const {
    const Sequence& n = task_.sequence;
    return static_cast<const Element*>(p_.q) +
           p_.q_strides.offset(n.batch, n.first_q + row, task_.head);
  }

  const ForwardParams& p_;
  const ForwardTask& task_;
  Scratch<C> scratch_;
  KeySource source_;
  ScaleSplit<C> scale_;
  ScoreRules<C> rules_;
  Draws draws_;
  RowBounds bounds_;
  Beside<C> beside_;

  enum class Finite { unknown, yes, no };
  Finite finite_[2] = {};  // the values of the two key blocks

  // Two score tiles alternate: the one being filled, `current_`, and the pending one.
  alignas(64) Real block_max_[C::kTileQ];
  alignas(64) Real weight_[C::kTileQ];  // of the pending tile, of integers
  CodeScales scales_[2] = {};           // of the two key blocks, of integers
  Limits limits_[2];
  Runs runs_[2];
  bool masked_[2] = {};
  int current_ = 0;
  ValueTile<C> pending_{};
  int pending_tile_ = -1;
  int pending_buffer_ = 0;
  std::int64_t pending_block_ = kNoBlock;
  std::int64_t pending_next_ = kNoBlock;  // the next block of the pending tile

  QueryTile<C> tiles_[kMaxTiles];
  int live_tiles_ = 0;
};

template <class T>
std::size_t forward_scratch_bytes(std::int64_t head_dim, std::int64_t head_dim_v, int tiles) {
  return std::max(Scratch<Tiling<T, FromCodes<T>>>(head_dim, head_dim_v, tiles, nullptr).bytes,
                  Scratch<Tiling<T, FromInt8<T>>>(head_dim, head_dim_v, tiles, nullptr).bytes);
}

template <class T>
void forward_run(const ForwardParams& p, const ForwardTask& task, int tiles, std::byte* scratch) {
  with_kept<T>(p, [&]<class K>(K) { ForwardTile<Tiling<T, K>>(p, task, tiles, scratch).run(); });
}

template <class T>
constexpr ForwardKernel forward_kernel(const char* arithmetic) {
  return {dtype_of<T>,
          arithmetic,
          Tiling<T>::kTileQ,
          kTileK,
          &forward_scratch_bytes<T>,
          &forward_run<T>,
          Tiling<T, FromInt8<T>>::kIntegers};
}

}  // namespace strobe::cpu::STROBE_ISA
