// A decode call in float64, step by step: write the new keys and values, turn the queries, attend.
// SPDX-License-Identifier: Apache-2.0
#include "reference/decode.hpp"

#include "reference/forward.hpp"
#include "semantics/number_formats.hpp"
#include "semantics/quantised_row.hpp"
#include "semantics/rotary.hpp"

namespace strobe::reference {
namespace {

/// Where a row of one head starts.
struct Place {
  void* data = nullptr;
  std::int64_t first = 0;
};
struct ConstPlace {
  const void* data = nullptr;
  std::int64_t first = 0;
};

void copy_row(DType dtype, std::int64_t dims, ConstPlace from, Place to) {
  for (std::int64_t d = 0; d < dims; ++d)
    store_element(to.data, dtype, to.first + d, load_element(from.data, dtype, from.first + d));
}

/// A row of q or k with its first rotary.dim dimensions turned, rounded once.
void turn_row(const DecodeParams& p, std::int64_t position, ConstPlace from, Place to) {
  const DType dtype = p.attention.dtype;
  copy_row(dtype, p.attention.head_dim, from, to);
  for (std::int64_t pair = 0; pair < p.rotary.dim / 2; ++pair) {
    const auto [a, b] = rotary_pair(p.rotary, pair);
    const auto x =
        turned(rotary_turn(p, position, pair), {load_element(from.data, dtype, from.first + a),
                                                load_element(from.data, dtype, from.first + b)});
    store_element(to.data, dtype, to.first + a, x.a);
    store_element(to.data, dtype, to.first + b, x.b);
  }
}

/// A row of q's type, as codes into place `row` of `to`.
void store_row(const ForwardParams& a, ConstPlace from, std::int64_t dims, const KeyRow& row,
               const Codes& to) {
  std::vector<float> x;
  for (std::int64_t d = 0; d < dims; ++d)
    x.push_back(static_cast<float>(load_element(from.data, a.dtype, from.first + d)));
  quantise_row(x, a.kv_scales, row, to);
}

/// One head's new key and value, and the slot that they go to.
struct NewKey {
  ConstPlace k{}, v{};
  std::int64_t slot = 0;  ///< also the key's position
  std::int64_t head = 0;
};

/// Turns the key; into a quantised cache both go by way of q's type.
void append_key(const DecodeParams& p, const Sequence& s, const NewKey& key) {
  const ForwardParams& a = p.attention;
  const KeyRow k_row = key_row(a, s, key.slot, key.head);
  const KeyRow v_row = value_row(a, s, key.slot, key.head);
  if (a.kv_dtype == DType::none) {
    turn_row(p, key.slot, key.k, {p.k_cache, k_row.first});
    copy_row(a.dtype, a.head_dim_v, key.v, {p.v_cache, v_row.first});
    return;
  }
  std::vector<std::byte> turned(static_cast<std::size_t>(a.head_dim * size_of(a.dtype)));
  turn_row(p, key.slot, key.k, {turned.data(), 0});
  store_row(a, {turned.data(), 0}, a.head_dim, k_row, {p.k_cache, p.k_scale});
  store_row(a, key.v, a.head_dim_v, v_row, {p.v_cache, p.v_scale});
}

}  // namespace

void append(const DecodeParams& p) {
  const ForwardParams& a = p.attention;
  for (std::int64_t b = 0; b < a.batch; ++b) {
    const Sequence s = sequence(a, b);
    for (std::int64_t i = 0; i < p.new_keys(b); ++i)
      for (std::int64_t h = 0; h < a.num_heads_kv; ++h)
        append_key(p, s,
                   {.k = {p.k_new, p.k_new_strides.offset(b, i, h)},
                    .v = {p.v_new, p.v_new_strides.offset(b, i, h)},
                    .slot = a.cache_seqlens[b] + i,
                    .head = h});
  }
}

std::vector<std::byte> turn_queries(const DecodeParams& p) {
  if (p.rotary.dim == 0) return {};
  const ForwardParams& a = p.attention;
  const Strides strides = turned_strides(a);
  std::vector<std::byte> q(static_cast<std::size_t>(a.batch * strides.batch * size_of(a.dtype)));
  for (std::int64_t b = 0; b < a.batch; ++b) {
    const Lengths lengths = sequence(a, b).lengths;
    for (std::int64_t row = 0; row < lengths.q; ++row)
      for (std::int64_t h = 0; h < a.num_heads; ++h)
        turn_row(p, a.mask.position(row, lengths), {a.q, a.q_strides.offset(b, row, h)},
                 {q.data(), strides.offset(b, row, h)});
  }
  return q;
}

ForwardParams turned_params(const DecodeParams& p, const std::vector<std::byte>& turned) {
  ForwardParams attention = p.attention;
  if (turned.empty()) return attention;
  attention.q = turned.data();
  attention.q_strides = turned_strides(attention);
  return attention;
}

void decode(const DecodeParams& p) {
  append(p);
  const std::vector<std::byte> q = turn_queries(p);
  forward(turned_params(p, q));
}

}  // namespace strobe::reference
