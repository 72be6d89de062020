// Rows of new keys, values and queries, turned for all heads by one set of cos and sin.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/append.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/threads.hpp"
#include "semantics/quantised_row.hpp"
#include "semantics/rotary.hpp"

namespace strobe::cpu {
namespace {

/// cos and sin of every pair at one position.
struct RowTurns {
  std::span<double> cos{};
  std::span<double> sin{};
};

/// The scratch of a call: steps, computed once, then each worker's cos and sin.
class Turns {
 public:
  Turns(const DecodeParams& p, std::span<double> scratch)
      : p_(p), pairs_(static_cast<std::size_t>(p.rotary.dim / 2)), scratch_(scratch) {
    if (p.rotary_cos != nullptr) return;
    for (std::size_t pair = 0; pair < pairs_; ++pair)
      scratch[pair] = rotary_step(p.rotary, static_cast<std::int64_t>(pair));
  }

  RowTurns at(std::int64_t position, int worker) const {
    const std::size_t first = (1 + 2 * static_cast<std::size_t>(worker)) * pairs_;
    const RowTurns turns{scratch_.subspan(first, pairs_), scratch_.subspan(first + pairs_, pairs_)};
    for (std::size_t pair = 0; pair < pairs_; ++pair) {
      const Turn turn = p_.rotary_cos != nullptr
                            ? table_turn(p_, position, static_cast<std::int64_t>(pair))
                            : turn_by(static_cast<double>(position) * scratch_[pair]);
      turns.cos[pair] = turn.cos;
      turns.sin[pair] = turn.sin;
    }
    return turns;
  }

 private:
  const DecodeParams& p_;
  std::size_t pairs_;
  std::span<double> scratch_;
};

template <class T>
void copy_row(const T* from, T* to, std::int64_t dims) {
  std::memcpy(to, from, static_cast<std::size_t>(dims) * sizeof(T));
}

/// One head's row of q or k.
template <class T>
void turn_row(const DecodeParams& p, const RowTurns& turns, const T* from, T* to) {
  const Rotary& rotary = p.rotary;
  for (std::size_t pair = 0; pair < turns.cos.size(); ++pair) {
    const auto [a, b] = rotary_pair(rotary, static_cast<std::int64_t>(pair));
    const auto x = turned({turns.cos[pair], turns.sin[pair]},
                          {load_element(from, dtype_of<T>, a), load_element(from, dtype_of<T>, b)});
    store_element(to, dtype_of<T>, a, x.a);
    store_element(to, dtype_of<T>, b, x.b);
  }
  copy_row(from + rotary.dim, to + rotary.dim, p.attention.head_dim - rotary.dim);
}

/// A call's items are the rows [batch, rows] of its new keys or of its queries, all heads of each.
struct Item {
  std::int64_t batch = 0;
  std::int64_t row = 0;
  int worker = 0;
};

/// A row as codes into place `row` of `to`.
template <class T>
void store_row(const ForwardParams& a, const T* from, std::int64_t dims, const KeyRow& row,
               const Codes& to) {
  std::array<float, kMostHeadDim> x;
  std::transform(from, from + dims, x.begin(), [](T value) { return static_cast<float>(value); });
  quantise_row(std::span(x).first(static_cast<std::size_t>(dims)), a.kv_scales, row, to);
}

/// One head's new key and value, and where they go.
template <class T>
struct NewKey {
  const T* k;
  const T* v;
  KeyRow k_row;
  KeyRow v_row;
};

/// Turns the key; into a quantised cache both go by way of q's type.
template <class T>
void append_key(const DecodeParams& p, const RowTurns& turns, const NewKey<T>& key) {
  const ForwardParams& a = p.attention;
  if (a.kv_dtype == DType::none) {
    turn_row(p, turns, key.k, static_cast<T*>(p.k_cache) + key.k_row.first);
    copy_row(key.v, static_cast<T*>(p.v_cache) + key.v_row.first, a.head_dim_v);
    return;
  }
  std::array<T, kMostHeadDim> k;
  turn_row(p, turns, key.k, k.data());
  store_row(a, k.data(), a.head_dim, key.k_row, {p.k_cache, p.k_scale});
  store_row(a, key.v, a.head_dim_v, key.v_row, {p.v_cache, p.v_scale});
}

template <class T>
void append_item(const DecodeParams& p, const Turns& turns, const Item& item) {
  if (item.row >= p.new_keys(item.batch)) return;
  const ForwardParams& a = p.attention;
  const Sequence s = sequence(a, item.batch);
  const std::int64_t slot = a.cache_seqlens[item.batch] + item.row;  // also the key's position
  const RowTurns row_turns = turns.at(slot, item.worker);
  const auto* const k = static_cast<const T*>(p.k_new);
  const auto* const v = static_cast<const T*>(p.v_new);
  for (std::int64_t h = 0; h < a.num_heads_kv; ++h)
    append_key<T>(p, row_turns,
                  {k + p.k_new_strides.offset(item.batch, item.row, h),
                   v + p.v_new_strides.offset(item.batch, item.row, h), key_row(a, s, slot, h),
                   value_row(a, s, slot, h)});
}

template <class T>
void turn_item(const DecodeParams& p, void* q, const Turns& turns, const Item& item) {
  const ForwardParams& a = p.attention;
  const Lengths lengths = sequence(a, item.batch).lengths;
  if (item.row >= lengths.q) return;
  const RowTurns row_turns = turns.at(a.mask.position(item.row, lengths), item.worker);
  const Strides strides = turned_strides(a);
  for (std::int64_t h = 0; h < a.num_heads; ++h)
    turn_row(p, row_turns, static_cast<const T*>(a.q) + a.q_strides.offset(item.batch, item.row, h),
             static_cast<T*>(q) + strides.offset(item.batch, item.row, h));
}

/// Calls run(T{}) for the C++ type of a call's elements.
template <class Run>
void with_type_of(DType dtype, Run&& run) {
  switch (dtype) {
    case DType::f32: return run(float{});
    case DType::f16: return run(float16{});
    case DType::bf16: return run(bfloat16{});
    case DType::f64: return run(double{});
    default: return;
  }
}

/// k may have many more rows than any sequence appends.
std::int64_t most_new_keys(const DecodeParams& p) {
  std::int64_t most = 0;
  for (std::int64_t b = 0; b < p.attention.batch; ++b) most = std::max(most, p.new_keys(b));
  return most;
}

}  // namespace

std::size_t rotary_scratch(const Rotary& rotary, int threads) {
  const auto pairs = static_cast<std::size_t>(rotary.dim / 2);
  return (1 + 2 * static_cast<std::size_t>(threads)) * pairs;
}

void append(const DecodeParams& p, const Parallel& parallel, int threads,
            std::span<double> scratch) {
  if (p.k_new == nullptr) return;
  const Turns turns(p, scratch);
  const std::int64_t rows = most_new_keys(p);
  with_type_of(p.attention.dtype, [&]<class T>(T) {
    run_items(parallel, threads, p.attention.batch * rows, [&](std::int64_t item, int worker) {
      append_item<T>(p, turns, {item / rows, item % rows, worker});
    });
  });
}

void turn_queries(const DecodeParams& p, void* q, const Parallel& parallel, int threads,
                  std::span<double> scratch) {
  const Turns turns(p, scratch);
  const std::int64_t rows = p.attention.seqlen_q;
  with_type_of(p.attention.dtype, [&]<class T>(T) {
    run_items(parallel, threads, p.attention.batch * rows, [&](std::int64_t item, int worker) {
      turn_item<T>(p, q, turns, {item / rows, item % rows, worker});
    });
  });
}

}  // namespace strobe::cpu
