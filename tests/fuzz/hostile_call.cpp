// A forward call made of a fuzzer's bytes.
// SPDX-License-Identifier: Apache-2.0
#include "hostile_call.hpp"

#include <algorithm>
#include <string_view>

namespace strobe::fuzz {

HostileCall::HostileCall(Bytes& bytes) {
  draw_dtype(bytes);
  draw_sizes(bytes);
  draw_options(bytes);
  add_tensors(bytes);
  add_pair_tensors(bytes);
  add("dropout_state", DType::u64, {2}, bytes.one_in(8));
  spoil_and_fill(bytes);
}

void HostileCall::draw_sizes(Bytes& bytes) {
  packed_ = bytes.one_in(3);
  batch_ = bytes.in(0, 3);
  heads_kv_ = bytes.in(1, 2);
  heads_ = heads_kv_ * bytes.in(1, 3);
  rows_ = bytes.in(0, bytes.one_in(4) ? 90 : 20);
  keys_ = bytes.in(0, bytes.one_in(4) ? 200 : 40);
  dim_ = bytes.in(1, bytes.one_in(4) ? 80 : 20);
  dim_v_ = bytes.one_in(2) ? dim_ : bytes.in(1, 40);
}

void HostileCall::add_tensors(Bytes& bytes) {
  const auto rows_of = [this](std::int64_t rows, std::int64_t heads, std::int64_t dim) {
    return packed_ ? Shape{rows, heads, dim} : Shape{batch_, rows, heads, dim};
  };
  add("q", dtype_, rows_of(rows_, heads_, dim_));
  add("k", dtype_, rows_of(keys_, heads_kv_, dim_));
  add("v", dtype_, rows_of(keys_, heads_kv_, dim_v_));
  add("o", bytes.one_in(2) ? dtype_ : DType::f32, rows_of(rows_, heads_, dim_v_));
  last().use = Use::output;
  add("lse", lse_dtype_of(dtype_), packed_ ? Shape{heads_, rows_} : Shape{batch_, heads_, rows_},
      bytes.one_in(2));
  last().use = Use::output;
  add("cu_seqlens_q", DType::i32, {batch_ + 1}, packed_);
  add("cu_seqlens_k", DType::i32, {batch_ + 1}, packed_);
  add("seqlens_q", DType::i32, {batch_}, bytes.one_in(4));
  add("seqlens_k", DType::i32, {batch_}, bytes.one_in(4));
}

/// Lengths, and sums of lengths half as long on average.
std::int64_t HostileCall::number_of(const Slot& slot, std::size_t index, Bytes& bytes) const {
  const std::string_view name = slot.name;
  const std::int64_t most = name.ends_with("_q") ? rows_ : keys_;
  const std::int64_t number = bytes.in(0, most);
  if (!name.starts_with("cu_")) return number;
  const std::int64_t before = index > 0 ? number_in(slot, index - 1) : 0;
  return std::min(most, before + number / 2);
}

ForwardTensors HostileCall::tensors() const {
  return {.q = in("q"),
          .k = in("k"),
          .v = in("v"),
          .o = out("o"),
          .lse = out("lse"),
          .cu_seqlens_q = in("cu_seqlens_q"),
          .cu_seqlens_k = in("cu_seqlens_k"),
          .seqlens_q = in("seqlens_q"),
          .seqlens_k = in("seqlens_k"),
          .key_begin = in("key_begin"),
          .key_end = in("key_end"),
          .allowed = in("allowed"),
          .blocks = in("blocks"),
          .bias = in("bias"),
          .alibi_slopes = in("alibi_slopes"),
          .sink_logits = in("sink_logits"),
          .dropout_state = in("dropout_state")};
}

}  // namespace strobe::fuzz
