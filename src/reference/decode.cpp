// A decode call in float64, step by step: write the new keys and values, turn the queries, attend.
// SPDX-License-Identifier: Apache-2.0
#include "reference/decode.hpp"

#include "reference/forward.hpp"
#include "semantics/number_formats.hpp"
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

/// q turned lies row-major, rows of the call's heads after each other.
Strides turned_strides(const ForwardParams& p) {
  return {.batch = p.seqlen_q * p.num_heads * p.head_dim,
          .row = p.num_heads * p.head_dim,
          .head = p.head_dim};
}

}  // namespace

void append(const DecodeParams& p) {
  const ForwardParams& a = p.attention;
  for (std::int64_t b = 0; b < a.batch; ++b) {
    const Sequence s = sequence(a, b);
    for (std::int64_t i = 0; i < p.new_keys(b); ++i)
      for (std::int64_t h = 0; h < a.num_heads_kv; ++h) {
        const std::int64_t slot = a.cache_seqlens[b] + i;  // also the key's position
        turn_row(p, slot, {p.k_new, p.k_new_strides.offset(b, i, h)},
                 {p.k_cache, key_offset(a, s, a.k_strides, slot, h)});
        copy_row(a.dtype, a.head_dim_v, {p.v_new, p.v_new_strides.offset(b, i, h)},
                 {p.v_cache, key_offset(a, s, a.v_strides, slot, h)});
      }
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
