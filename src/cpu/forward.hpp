// Attention forward on the CPU: the steps of reference/forward.cpp, a tile at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>

#include "cpu/tiles/fetch.hpp"
#include "cpu/tiles/runs.hpp"
#include "cpu/tiles/score_product.hpp"
#include "cpu/tiles/state.hpp"
#include "cpu/tiles/value_product.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::cpu::STROBE_ISA {

/// One worker's memory. Query tiles stay for the whole task; keys pass in blocks.
///   q      [tiles][words][tile_q]    o [2][tiles][dims][tile_q]: the open leaf, closed leaves
///   s      [2][tile_k][tile_q]       k, v [2][tile_k][pitch]: this block and the next
template <class C>
struct Scratch {
  int words, dims, k_pitch, v_pitch;
  std::size_t q_size, o_size, k_size, v_size;  // 32-bit words of one of each
  Word* q = nullptr;
  float *o = nullptr, *s = nullptr, *sums = nullptr;
  Word *k = nullptr, *v = nullptr;
  TileRows* rows = nullptr;
  std::size_t bytes = 0;

  Scratch(std::int64_t head_dim, std::int64_t head_dim_v, int tiles, std::byte* memory) {
    words = static_cast<int>(round_up(head_dim, C::kPerWord) / C::kPerWord);
    dims = static_cast<int>(round_up(head_dim_v, C::kRows));
    k_pitch = static_cast<int>(round_up(words, C::kLanes));
    v_pitch = static_cast<int>(round_up(head_dim_v, 2 * C::kLanes));
    q_size = static_cast<std::size_t>(k_pitch) * C::kTileQ;  // load_q writes whole vectors
    o_size = static_cast<std::size_t>(dims) * C::kTileQ;
    k_size = static_cast<std::size_t>(k_pitch) * kTileK;
    v_size = static_cast<std::size_t>(v_pitch) * kTileK / C::kPerWord;
    const auto n = static_cast<std::size_t>(tiles);
    take(memory, q, n * q_size);
    take(memory, o, 2 * n * o_size);
    take(memory, s, 2 * kTileK * C::kTileQ);
    take(memory, k, 2 * k_size);
    take(memory, v, 2 * v_size);
    take(memory, sums, 4 * n * C::kTileQ);
    take(memory, rows, n);
  }

 private:
  template <class T>
  void take(std::byte* memory, T*& part, std::size_t count) {
    part = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + bytes);
    bytes += (count * sizeof(T) + 63) / 64 * 64;
  }
};

/// A query tile on its way over the keys.
struct QueryTile {
  TileState leaf, total;
  std::int64_t leaf_index = -1;  // of the open leaf; -1: no key seen yet
  bool has_total = false;        // some leaf is closed
};

/// All that one task needs, for one element type.
template <class C>
class ForwardTile {
  using Element = typename C::Element;

 public:
  ForwardTile(const ForwardParams& p, const ForwardTask& task, int tiles, std::byte* memory)
      : p_(p), task_(task), scratch_(p.head_dim, p.head_dim_v, tiles, memory) {
    const Sequence& n = task.sequence;
    const std::int64_t kv_head = p.kv_head(task.head);
    source_ = {at<Element>(p.k, p.k_strides.offset(n.batch, n.first_k, kv_head)),
               at<Element>(p.v, p.v_strides.offset(n.batch, n.first_k, kv_head)), p.k_strides.row,
               p.v_strides.row};
    split_scale();
    for (int i = 0; i < tiles; ++i) {
      float* sums = scratch_.sums + 4 * i * C::kTileQ;
      float* o = scratch_.o + 2 * static_cast<std::size_t>(i) * scratch_.o_size;
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

    std::int64_t block = next_block(bounds_, 0, kTileK);
    fetch(block, 0);
    for (int buffer = 0; block != kNoBlock; buffer ^= 1) {
      beside_.fetch.finish();
      const KeyBlock keys = key_block(block, buffer);
      const std::int64_t next = next_block(bounds_, block + 1, kTileK);
      bool fetching = false;
      for (int i = 0; i < tiles; ++i) {
        plan_runs<C>(scratch_.rows[i], block * kTileK, runs_[current_]);
        if (runs_[current_].count == 0) continue;
        scores(i, block, keys);                  // s = q kT; p = exp2(s - max) of the tile before
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
    for (int i = 0; i < tiles; ++i)
      if (tiles_[i].leaf_index < 0)
        clear_rows(p_, task_, scratch_.rows[i].first_row, scratch_.rows[i].count);
  }

 private:
  template <class T>
  static const T* at(const void* base, std::int64_t offset) {
    return static_cast<const T*>(base) + offset;
  }

  /// scale * log2(e) = score * 2^e with score in [1, 2). A denormal factor counts as 0.
  void split_scale() {
    constexpr double kLog2E = 1.4426950408889634;
    const double factor = p_.softmax_scale * kLog2E;
    const double size = factor < 0 ? -factor : factor;
    const auto bits = std::bit_cast<std::uint64_t>(size);
    const double power = std::bit_cast<double>(bits & 0x7ff0000000000000u);
    scale_.q = static_cast<float>(factor < 0 ? -power : power);
    scale_.score = power > 0 ? static_cast<float>(size / power) : 1.0f;
  }

  /// Rows are read where they lie when nothing is gained by copying: rows next to each other, whole
  /// words, no tail to fill with zeros.
  bool k_in_place(int end) const {
    return sizeof(Element) * C::kPerWord == sizeof(Word) && p_.k_strides.row == p_.head_dim &&
           p_.head_dim % C::kPerWord == 0 && end % C::kChunk == 0;
  }
  bool v_in_place(int end) const {
    return sizeof(Element) == sizeof(Word) && p_.v_strides.row == p_.head_dim_v &&
           p_.head_dim_v % C::kRows == 0 && end % C::kChunk == 0;
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
        source_, block * kTileK, begin, end, static_cast<int>(p_.head_dim),
        static_cast<int>(p_.head_dim_v),
        k_in_place(end) ? nullptr : scratch_.k + buffer * scratch_.k_size, scratch_.k_pitch,
        v_in_place(end) ? nullptr : scratch_.v + buffer * scratch_.v_size, scratch_.v_pitch);
  }

  KeyBlock key_block(std::int64_t block, int buffer) const {
    const int end = static_cast<int>(seen(block).end);
    KeyBlock keys{scratch_.k + buffer * scratch_.k_size, scratch_.v + buffer * scratch_.v_size,
                  scratch_.k_pitch, scratch_.v_pitch};
    if (k_in_place(end)) {
      keys.k = reinterpret_cast<const Word*>(source_.k_row(block * kTileK));
      keys.k_pitch = p_.head_dim / C::kPerWord;
    }
    if (v_in_place(end)) {
      keys.v = reinterpret_cast<const Word*>(source_.v_row(block * kTileK));
      keys.v_pitch = p_.head_dim_v;
    }
    return keys;
  }

  Word* q_tile(int i) { return scratch_.q + static_cast<std::size_t>(i) * scratch_.q_size; }
  float* s_tile() { return scratch_.s + current_ * kTileK * C::kTileQ; }

  void scores(int i, std::int64_t block, const KeyBlock& keys) {
    const TileRows& rows = scratch_.rows[i];
    if (tiles_[i].leaf_index < 0) {
      load_q<C>(q_tile(i), q_row(rows.first_row), p_.q_strides.row, rows.count,
                static_cast<int>(p_.head_dim), scale_.q);
      touch_next_q(i + 1);
    }
    if (pending_tile_ >= 0 && pending_next_ == kNoBlock) touch_o(pending_tile_);
    masked_[current_] = false;
    for (int r = 0; r < runs_[current_].count; ++r)
      masked_[current_] |= runs_[current_].run[r].masked;
    if (masked_[current_]) set_limits<C>(rows, block * kTileK, limits_[current_]);
    const ScoreTile<C> tile{keys.k,   keys.k_pitch, q_tile(i),         scratch_.words,
                            s_tile(), block_max_,   &limits_[current_]};
    constexpr int kSteps = SoftmaxChunk<C>::kSteps;
    if (scratch_.words == 4 * kSteps)
      score_tile<C, 4>(tile, runs_[current_], beside_);
    else if (scratch_.words == 8 * kSteps)
      score_tile<C, 8>(tile, runs_[current_], beside_);
    else
      score_tile<C, 0>(tile, runs_[current_], beside_);
  }

  /// The new scores' maxima enter the state of their tile; its softmax becomes the pending one.
  void open(int i, std::int64_t block, int buffer, const KeyBlock& keys) {
    QueryTile& tile = tiles_[i];
    const std::int64_t leaf = block / kLeafBlocks;
    const bool first = leaf != tile.leaf_index;
    tile.leaf_index = leaf;
    update_max<C>(tile.leaf, block_max_, scale_.score, scratch_.dims, first);
    pending_ = {keys.v,      keys.v_pitch,  reinterpret_cast<const Word*>(s_tile()),
                tile.leaf.o, scratch_.dims, first};
    pending_tile_ = i;
    pending_block_ = block;
    pending_buffer_ = buffer;
    pending_next_ = next_block(scratch_.rows[i].all, block + 1, kTileK);
    beside_.softmax.start(s_tile(), tile.leaf.row_max, tile.leaf.row_sum, scale_.score,
                          runs_[current_]);
    current_ ^= 1;
  }

  void finish_pending() {
    if (pending_tile_ < 0) return;
    beside_.softmax.finish();
    const int last = current_ ^ 1;  // the buffer of the pending tile
    const int i = pending_tile_;
    if (masked_[last] && suspicious())
      value_tile_guarded<C>(pending_, runs_[last], limits_[last]);
    else
      value_tile<C>(pending_, runs_[last]);
    QueryTile& tile = tiles_[i];
    if (pending_next_ == kNoBlock || pending_next_ / kLeafBlocks != tile.leaf_index) close(tile);
    if (pending_next_ == kNoBlock) store(i);
    pending_tile_ = -1;
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
  void close(QueryTile& tile) {
    if (tile.has_total) return fold<C>(tile.total, tile.leaf, scale_.score, scratch_.dims);
    const TileState leaf = tile.leaf;
    tile.leaf = tile.total;
    tile.total = leaf;
    tile.has_total = true;
  }

  void store(int i) {
    const TileRows& rows = scratch_.rows[i];
    const TileState& state = tiles_[i].total;
    const Sequence& n = task_.sequence;
    const std::int64_t row = n.first_q + rows.first_row;
    const std::int64_t offset = p_.o_strides.offset(n.batch, row, task_.head);
    const int dims = static_cast<int>(p_.head_dim_v);
    if (p_.o_dtype == DType::f32)
      store_o<C>(state, static_cast<float*>(p_.o) + offset, p_.o_strides.row, rows.count, dims);
    else
      store_o<C>(state, static_cast<Element*>(p_.o) + offset, p_.o_strides.row, rows.count, dims);
    if (p_.lse != nullptr)
      store_lse<C>(state, scale_.score,
                   static_cast<float*>(p_.lse) + p_.lse_strides.offset(n.batch, row, task_.head),
                   p_.lse_strides.row, rows.count);
  }

  /// The rows of the query tile that is loaded next, and of the output tile that is stored next,
  /// come near while the products of this one run: worth 2 points at 1024 keys.
  void touch_next_q(int i) {
    if (i >= live_tiles_) return;
    const TileRows& rows = scratch_.rows[i];
    beside_.next_q.start(q_row(rows.first_row), p_.q_strides.row * size_of(p_.dtype), rows.count,
                         static_cast<int>(p_.head_dim * size_of(p_.dtype)), 2, false);
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
    return at<Element>(p_.q, p_.q_strides.offset(n.batch, n.first_q + row, task_.head));
  }

  const ForwardParams& p_;
  const ForwardTask& task_;
  Scratch<C> scratch_;
  KeySource<Element> source_;
  ScaleSplit scale_;
  RowBounds bounds_;
  Beside<C> beside_;

  enum class Finite { unknown, yes, no };
  Finite finite_[2] = {};  // the values of the two key blocks

  // Two score tiles alternate: the one being filled, `current_`, and the pending one.
  alignas(64) float block_max_[C::kTileQ];
  Limits limits_[2];
  Runs runs_[2];
  bool masked_[2] = {};
  int current_ = 0;
  ValueTile<C> pending_{};
  int pending_tile_ = -1;
  int pending_buffer_ = 0;
  std::int64_t pending_block_ = kNoBlock;
  std::int64_t pending_next_ = kNoBlock;  // the next block of the pending tile

  QueryTile tiles_[kMaxTiles];
  int live_tiles_ = 0;
};

template <class T>
std::size_t forward_scratch_bytes(std::int64_t head_dim, std::int64_t head_dim_v, int tiles) {
  return Scratch<Tiling<T>>(head_dim, head_dim_v, tiles, nullptr).bytes;
}

template <class T>
void forward_run(const ForwardParams& p, const ForwardTask& task, int tiles, std::byte* scratch) {
  ForwardTile<Tiling<T>>(p, task, tiles, scratch).run();
}

template <class T>
constexpr ForwardKernel forward_kernel(const char* arithmetic) {
  return {dtype_of<T>,    arithmetic, Tiling<T>::kTileQ, kTileK, &forward_scratch_bytes<T>,
          &forward_run<T>};
}

}  // namespace strobe::cpu::STROBE_ISA
