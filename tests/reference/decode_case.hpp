// A small decode call with its memory: one logical history, stored contiguously, by index or paged.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "reference/decode.hpp"
#include "semantics/number_formats.hpp"
#include "semantics/quantised_row.hpp"
#include "semantics/rotary.hpp"

namespace strobe::testing {

/// Elements of any floating-point type.
struct Elements {
  DType dtype = DType::f64;
  std::vector<std::byte> bytes{};

  Elements(DType type, std::int64_t count, double value)
      : dtype(type), bytes(static_cast<std::size_t>(count * size_of(type))) {
    for (std::int64_t i = 0; i < count; ++i) set(i, value);
  }
  static Elements nans(DType type, std::int64_t count) {
    return {type, count, std::numeric_limits<double>::quiet_NaN()};
  }
  /// Even in (-2, 2), rounded to the type.
  static Elements random(DType type, std::int64_t count, std::uint64_t seed) {
    Elements made(type, count, 0.0);
    std::mt19937_64 engine(seed);
    for (std::int64_t i = 0; i < count; ++i)
      made.set(i, static_cast<double>(engine() >> 11) * 0x1p-51 - 2);
    return made;
  }

  double get(std::int64_t i) const { return load_element(bytes.data(), dtype, i); }
  void set(std::int64_t i, double value) { store_element(bytes.data(), dtype, i, value); }
  std::int64_t count() const { return static_cast<std::int64_t>(bytes.size()) / size_of(dtype); }
  bool operator==(const Elements&) const = default;  ///< bit by bit, NaN too
};

/// What is asked; the batch is before.size().
struct DecodeSpec {
  DType dtype = DType::f64;
  std::int64_t num_heads = 4;
  std::int64_t num_heads_kv = 2;
  std::int64_t seqlen_q = 2;
  std::int64_t head_dim = 8;
  std::int64_t head_dim_v = 3;
  std::vector<std::int32_t> before{5, 0, 17};  ///< cache_seqlens
  std::int64_t seqlen_new = 0;
  std::vector<std::int32_t> seqlens_q{}, seqlens_new{}, leftpad{};
  Mask mask{.causal = true};
  Rotary rotary{};
  DType kv_dtype = DType::none;  ///< of the caches, where they are quantised
  KvScales kv_scales = KvScales::none;

  std::int64_t page_size = 0;                                ///< 0: contiguous
  bool indexed = false;                                      ///< by cache_batch_idx
  bool tables = false;                                       ///< cos and sin from memory
  double unused = std::numeric_limits<double>::quiet_NaN();  ///< what slots without a key hold
};

/// Keys of the history are as they were appended: turned. Outputs start as NaN.
class DecodeCase {
 public:
  DecodeSpec spec;
  std::int64_t batch = static_cast<std::int64_t>(spec.before.size());
  /// Slots of the longest sequence, new keys included, and one more.
  std::int64_t capacity = *std::ranges::max_element(spec.before) + spec.seqlen_new + 1;
  Elements q, k_history, v_history, k_new, v_new, o, lse;
  Elements k_cache{spec.dtype, 0, 0}, v_cache{spec.dtype, 0, 0}, cos{spec.dtype, 0, 0},
      sin{spec.dtype, 0, 0};
  std::vector<float> k_scale{}, v_scale{};
  std::vector<std::int32_t> entries{}, page_table{};
  std::int64_t max_pages = 0;

  explicit DecodeCase(const DecodeSpec& asked)
      : spec(asked),
        q(random(batch * spec.seqlen_q * spec.num_heads * spec.head_dim, 1)),
        k_history(random(batch * capacity * spec.num_heads_kv * spec.head_dim, 2)),
        v_history(random(batch * capacity * spec.num_heads_kv * spec.head_dim_v, 3)),
        k_new(random(batch * spec.seqlen_new * spec.num_heads_kv * spec.head_dim, 4)),
        v_new(random(batch * spec.seqlen_new * spec.num_heads_kv * spec.head_dim_v, 5)),
        o(Elements::nans(DType::f64, batch * spec.seqlen_q * spec.num_heads * spec.head_dim_v)),
        lse(Elements::nans(DType::f64, batch * spec.seqlen_q * spec.num_heads)) {
    if (spec.page_size > 0)
      lay_pages();
    else
      lay_entries();
    write_history();
    if (spec.tables) write_tables();
  }

  /// The params with this object's memory; a copy of the object has memory of its own.
  DecodeParams params() {
    DecodeParams p{.attention = attention()};
    if (spec.seqlen_new > 0) {
      p.k_new = k_new.bytes.data();
      p.v_new = v_new.bytes.data();
    }
    p.k_new_strides = strides(spec.seqlen_new, spec.num_heads_kv, spec.head_dim);
    p.v_new_strides = strides(spec.seqlen_new, spec.num_heads_kv, spec.head_dim_v);
    p.k_cache = k_cache.bytes.data();
    p.v_cache = v_cache.bytes.data();
    if (writes_scales()) {
      p.k_scale = k_scale.data();
      p.v_scale = v_scale.data();
    }
    p.rotary = spec.rotary;
    if (spec.tables) {
      p.rotary_cos = cos.bytes.data();
      p.rotary_sin = sin.bytes.data();
      p.rotary_dtype = spec.dtype;
      p.rotary_cos_stride = p.rotary_sin_stride = spec.rotary.dim / 2;
    }
    return p;
  }

  DecodeCase& run() {
    reference::decode(params());
    return *this;
  }

  std::int64_t new_keys(std::int64_t b) const {
    if (spec.seqlens_new.empty()) return spec.seqlen_new;
    return spec.seqlens_new[static_cast<std::size_t>(b)];
  }
  std::int64_t length(std::int64_t b) const {
    return spec.before[static_cast<std::size_t>(b)] + new_keys(b);
  }
  /// [rows, heads, dim] of each sequence, row-major.
  static Strides strides(std::int64_t rows, std::int64_t heads, std::int64_t dim) {
    return {.batch = rows * heads * dim, .row = heads * dim, .head = dim};
  }
  Strides q_strides() const { return strides(spec.seqlen_q, spec.num_heads, spec.head_dim); }
  Strides history_strides(std::int64_t dim) const {
    return strides(capacity, spec.num_heads_kv, dim);
  }

  /// Places of the key or value in slot `slot` of sequence b, wherever it is stored.
  std::int64_t k_place(std::int64_t b, std::int64_t slot, std::int64_t head) {
    const ForwardParams p = attention();
    return key_offset(p, sequence(p, b), p.k_strides, slot, head);
  }
  /// What attention reads in dimension d of that key or value.
  double k_value(std::int64_t b, std::int64_t slot, std::int64_t head, std::int64_t d) {
    const ForwardParams p = attention();
    return key_row(p, sequence(p, b), slot, head)[d];
  }
  double v_value(std::int64_t b, std::int64_t slot, std::int64_t head, std::int64_t d) {
    const ForwardParams p = attention();
    return value_row(p, sequence(p, b), slot, head)[d];
  }
  std::int64_t v_place(std::int64_t b, std::int64_t slot, std::int64_t head) {
    const ForwardParams p = attention();
    return key_offset(p, sequence(p, b), p.v_strides, slot, head);
  }

 private:
  Elements random(std::int64_t count, std::uint64_t seed) const {
    return Elements::random(spec.dtype, count, seed);
  }

  ForwardParams attention() {
    ForwardParams p;
    p.q = q.bytes.data();
    p.k = k_cache.bytes.data();
    p.v = v_cache.bytes.data();
    p.o = o.bytes.data();
    p.lse = lse.bytes.data();
    p.dtype = spec.dtype;
    p.o_dtype = p.lse_dtype = DType::f64;
    p.batch = batch;
    p.num_heads = spec.num_heads;
    p.num_heads_kv = spec.num_heads_kv;
    p.seqlen_q = spec.seqlen_q;
    p.seqlen_k = capacity;
    p.head_dim = spec.head_dim;
    p.head_dim_v = spec.head_dim_v;
    p.q_strides = q_strides();
    p.o_strides = strides(spec.seqlen_q, spec.num_heads, spec.head_dim_v);
    p.lse_strides = {.batch = spec.num_heads * spec.seqlen_q, .row = 1, .head = spec.seqlen_q};
    const std::int64_t rows = spec.page_size > 0 ? spec.page_size : capacity;
    p.k_strides = strides(rows, spec.num_heads_kv, spec.head_dim);
    p.v_strides = strides(rows, spec.num_heads_kv, spec.head_dim_v);
    const auto data = [](const std::vector<std::int32_t>& entries) {
      return entries.empty() ? nullptr : entries.data();
    };
    p.cache_seqlens = data(spec.before);
    p.seqlens_q = data(spec.seqlens_q);
    p.seqlens_new = data(spec.seqlens_new);
    p.leftpad_k = data(spec.leftpad);
    p.cache_batch_idx = data(entries);
    p.page_table = data(page_table);
    p.page_table_stride = max_pages;
    p.page_size = spec.page_size;
    p.seqlen_new = spec.seqlen_new;
    p.kv_dtype = spec.kv_dtype;
    p.kv_scales = spec.kv_scales;
    if (spec.kv_dtype != DType::none) {
      p.k_scales = scales(k_scale, rows, groups(spec.head_dim));
      p.v_scales = scales(v_scale, rows, groups(spec.head_dim_v));
    }
    p.mask = spec.mask;
    p.softmax_scale = 0.4;
    return p;
  }

  /// Two entries more than sequences; by index, the last sequence has the second one.
  void lay_entries() {
    make_caches(batch + 2, capacity);
    if (!spec.indexed) return;
    for (std::int64_t b = 0; b < batch; ++b)
      entries.push_back(static_cast<std::int32_t>(batch - b));
  }

  /// Pages in a shuffled order, three of them unused; table entries that no length reaches are
  /// none.
  void lay_pages() {
    const auto pages_of = [&](std::int64_t slots) {
      return (slots + spec.page_size - 1) / spec.page_size;
    };
    std::int64_t pages = 3;
    for (std::int64_t b = 0; b < batch; ++b) pages += pages_of(length(b));
    std::vector<std::int32_t> order(static_cast<std::size_t>(pages));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(7));
    max_pages = pages_of(capacity) + 1;
    std::size_t next = 0;
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t i = 0; i < max_pages; ++i)
        page_table.push_back(i < pages_of(length(b)) ? order[next++]
                                                     : std::numeric_limits<std::int32_t>::max());
    make_caches(pages, spec.page_size);
  }

  void make_caches(std::int64_t blocks, std::int64_t rows) {
    const std::int64_t heads = blocks * rows * spec.num_heads_kv;
    const DType dtype = spec.kv_dtype != DType::none ? spec.kv_dtype : spec.dtype;
    k_cache = {dtype, heads * spec.head_dim, spec.unused};
    v_cache = {dtype, heads * spec.head_dim_v, spec.unused};
    if (spec.kv_dtype == DType::none) return;
    k_scale = made_scales(heads, groups(spec.head_dim));
    v_scale = made_scales(heads, groups(spec.head_dim_v));
  }

  bool writes_scales() const {
    return spec.kv_scales == KvScales::token || spec.kv_scales == KvScales::group;
  }
  std::int64_t groups(std::int64_t dim) const {
    return spec.kv_scales == KvScales::group ? (dim + kScaleGroup - 1) / kScaleGroup : 1;
  }
  /// Given ones are near enough to all numbers' largest, another one for each head.
  std::vector<float> made_scales(std::int64_t heads, std::int64_t groups) const {
    if (writes_scales())
      return std::vector<float>(static_cast<std::size_t>(heads * groups),
                                static_cast<float>(spec.unused));
    std::vector<float> given(static_cast<std::size_t>(spec.num_heads_kv));
    for (std::size_t h = 0; h < given.size(); ++h)
      given[h] = 2.0f / largest_code(spec.kv_dtype) / static_cast<float>(h + 1);
    return given;
  }
  /// Of a tensor of scales: all of it is the first head's.
  Scales scales(const std::vector<float>& all, std::int64_t rows, std::int64_t groups) const {
    if (spec.kv_scales == KvScales::tensor) return {.data = all.data()};
    if (spec.kv_scales == KvScales::head) return {.data = all.data(), .strides = {.head = 1}};
    return {.data = all.data(),
            .strides = strides(rows, spec.num_heads_kv, groups),
            .group = groups > 1 ? 1 : 0};
  }

  /// A cache and its scales, to be written.
  struct Written {
    Elements& cache;
    std::vector<float>& scales;
    std::int64_t dims;
  };
  /// A row of the history into its place, as codes where the cache has these.
  void write_row(const Elements& from, std::int64_t first, const KeyRow& row, const Written& to) {
    std::vector<float> x;
    for (std::int64_t d = 0; d < to.dims; ++d) {
      if (spec.kv_dtype == DType::none)
        to.cache.set(row.first + d, from.get(first + d));
      else
        x.push_back(static_cast<float>(from.get(first + d)));
    }
    if (x.empty()) return;
    quantise_row(x, spec.kv_scales, row,
                 {to.cache.bytes.data(), writes_scales() ? to.scales.data() : nullptr});
  }

  void write_history() {
    const auto pad = [&](std::size_t b) { return spec.leftpad.empty() ? 0 : spec.leftpad[b]; };
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t slot = pad(static_cast<std::size_t>(b)); slot < length(b) - new_keys(b);
           ++slot)
        for (std::int64_t h = 0; h < spec.num_heads_kv; ++h) {
          const ForwardParams p = attention();
          const Sequence at = sequence(p, static_cast<std::int64_t>(b));
          write_row(k_history, history_strides(spec.head_dim).offset(b, slot, h),
                    key_row(p, at, slot, h), {k_cache, k_scale, spec.head_dim});
          write_row(v_history, history_strides(spec.head_dim_v).offset(b, slot, h),
                    value_row(p, at, slot, h), {v_cache, v_scale, spec.head_dim_v});
        }
  }

  void write_tables() {
    const std::int64_t pairs = spec.rotary.dim / 2, positions = capacity + spec.seqlen_q;
    cos = sin = Elements::nans(spec.dtype, positions * pairs);
    for (std::int64_t i = 0; i < positions * pairs; ++i) {
      const Turn turn =
          turn_by(static_cast<double>(i / pairs) * rotary_step(spec.rotary, i % pairs));
      cos.set(i, turn.cos);
      sin.set(i, turn.sin);
    }
  }
};

}  // namespace strobe::testing
