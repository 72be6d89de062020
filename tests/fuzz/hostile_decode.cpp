// A decode call made of a fuzzer's bytes.
// SPDX-License-Identifier: Apache-2.0
#include "hostile_decode.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace strobe::fuzz {

HostileDecode::HostileDecode(Bytes& bytes) {
  draw_dtype(bytes);
  draw_sizes(bytes);
  draw_options(bytes);
  if (!bytes.one_in(10)) {  // what decode refuses
    options_.dropout = {};
    options_.max_seqlen_q = options_.max_seqlen_k = 0;
  }
  draw_rotary(bytes);
  draw_codes(bytes);
  add_tensors(bytes);
  add_cache(bytes);
  add_tables(bytes);
  add_pair_tensors(bytes);
  spoil_and_fill(bytes);
}

void HostileDecode::draw_sizes(Bytes& bytes) {
  batch_ = bytes.in(0, 3);
  heads_kv_ = bytes.in(1, 2);
  heads_ = heads_kv_ * bytes.in(1, 5);
  rows_ = bytes.one_in(4) ? bytes.in(0, 40) : bytes.in(0, 4);
  dim_ = bytes.in(1, bytes.one_in(4) ? 80 : 20);
  dim_v_ = bytes.one_in(2) ? dim_ : bytes.in(1, 40);
  paged_ = bytes.one_in(2);
  appends_ = bytes.one_in(2);
  shuffled_ = bytes.one_in(4);
  added_ = appends_ ? bytes.in(0, 6) : 0;
  if (paged_) {
    place_size_ = bytes.in(bytes.one_in(20) ? 0 : 1, 20);
    max_pages_ = bytes.in(0, 6);
    places_ = batch_ * max_pages_ + bytes.in(bytes.one_in(8) ? -4 : 0, 3);
  } else {
    place_size_ = bytes.in(0, bytes.one_in(4) ? 160 : 30);
    places_ = batch_ + bytes.in(0, 2);
  }
  places_ = std::max<std::int64_t>(places_, 0);
  keys_ = paged_ ? place_size_ * max_pages_ : place_size_;
}

void HostileDecode::draw_rotary(Bytes& bytes) {
  if (!bytes.one_in(3)) return;
  Rotary& rotary = options_.rotary;
  rotary.dim = 2 * bytes.in(0, dim_ / 2);
  rotary.interleaved = bytes.one_in(2);
  if (bytes.one_in(4)) rotary.base = option_fraction(bytes) * 1e4;
  if (bytes.one_in(20)) rotary.dim = hostile_number(bytes);
}

/// i4 mostly with rows of whole bytes.
void HostileDecode::draw_codes(Bytes& bytes) {
  cache_dtype_ = dtype_;
  if (!bytes.one_in(3)) return;
  constexpr std::array kCodes = {DType::e4m3, DType::e5m2, DType::i8, DType::i4};
  cache_dtype_ = kCodes[static_cast<std::size_t>(bytes.in(0, kCodes.size() - 1))];
  scales_ = bytes.in(0, 3);
  if (cache_dtype_ != DType::i4 || bytes.one_in(20)) return;
  dim_ += dim_ % 2;
  dim_v_ += dim_v_ % 2;
}

void HostileDecode::add_tensors(Bytes& bytes) {
  add("q", dtype_, {batch_, rows_, heads_, dim_});
  add("k", dtype_, {batch_, added_, heads_kv_, dim_}, appends_);
  add("v", dtype_, {batch_, added_, heads_kv_, dim_v_}, appends_);
  add("o", bytes.one_in(2) ? dtype_ : DType::f32, {batch_, rows_, heads_, dim_v_});
  last().use = Use::output;
  add("lse", lse_dtype_of(dtype_), {batch_, heads_, rows_}, bytes.one_in(2));
  last().use = Use::output;
  add("seqlens_q", DType::i32, {batch_}, bytes.one_in(4));
  add("seqlens_new", DType::i32, {batch_}, appends_ && bytes.one_in(2));
}

void HostileDecode::add_cache(Bytes& bytes) {
  add("k_cache", cache_dtype_, {places_, place_size_, heads_kv_, dim_});
  last().use = Use::cache;
  add("v_cache", cache_dtype_, {places_, place_size_, heads_kv_, dim_v_});
  last().use = Use::cache;
  for (const auto& [name, dim] : {std::pair{"k_scale", dim_}, std::pair{"v_scale", dim_v_}}) {
    const Shape shapes[] = {{1},
                            {heads_kv_},
                            {places_, place_size_, heads_kv_},
                            {places_, place_size_, heads_kv_, (dim + 31) / 32}};
    add(name, DType::f32, shapes[scales_], cache_dtype_ != dtype_);
    last().use = Use::cache;
  }
  add("page_table", DType::i32, {batch_, max_pages_}, paged_);
  add("cache_seqlens", DType::i32, {batch_});
  add("cache_batch_idx", DType::i32, {batch_}, !paged_ && bytes.one_in(3));
  add("leftpad_k", DType::i32, {batch_}, bytes.one_in(4));
}

/// Tables long enough for every slot, or as many positions as the bytes say.
void HostileDecode::add_tables(Bytes& bytes) {
  const std::int64_t dim = options_.rotary.dim;
  const bool given = dim > 0 && dim <= dim_ && bytes.one_in(2);
  const DType dtype = bytes.one_in(2) ? dtype_ : DType::f32;
  const Shape shape{bytes.one_in(4) ? bytes.in(0, 30) : keys_ + rows_, given ? dim / 2 : 1};
  add("rotary_cos", dtype, shape, given);
  add("rotary_sin", dtype, shape, given);
}

/// The page or entry `at` of `count`: each its own unless they are shuffled.
std::int64_t place(std::size_t at, std::int64_t count, bool shuffled, Bytes& bytes) {
  const std::int64_t drawn = bytes.in(0, 255);
  const std::int64_t number = shuffled ? drawn : static_cast<std::int64_t>(at) * 5 + 3;
  return count > 0 ? number % count : 0;
}

std::int64_t HostileDecode::number_of(const Slot& slot, std::size_t index, Bytes& bytes) const {
  const std::string_view name = slot.name;
  if (name == "page_table" || name == "cache_batch_idx")
    return place(index, places_, shuffled_, bytes);
  if (name == "seqlens_q") return bytes.in(0, rows_);
  if (name == "seqlens_new") return bytes.in(0, added_);
  if (name == "leftpad_k")
    return bytes.in(0, std::max(number_in(this->slot("cache_seqlens"), index), 0));
  return bytes.in(0, std::max<std::int64_t>(keys_ - added_, 0));
}

DecodeTensors HostileDecode::tensors() const {
  return {.q = in("q"),
          .k = in("k"),
          .v = in("v"),
          .o = out("o"),
          .lse = out("lse"),
          .cache = {.k_cache = out("k_cache"),
                    .v_cache = out("v_cache"),
                    .page_table = in("page_table"),
                    .cache_seqlens = in("cache_seqlens"),
                    .cache_batch_idx = in("cache_batch_idx"),
                    .leftpad_k = in("leftpad_k"),
                    .k_scale = out("k_scale"),
                    .v_scale = out("v_scale")},
          .seqlens_q = in("seqlens_q"),
          .seqlens_new = in("seqlens_new"),
          .rotary_cos = in("rotary_cos"),
          .rotary_sin = in("rotary_sin"),
          .key_begin = in("key_begin"),
          .key_end = in("key_end"),
          .allowed = in("allowed"),
          .blocks = in("blocks"),
          .bias = in("bias"),
          .alibi_slopes = in("alibi_slopes"),
          .sink_logits = in("sink_logits")};
}

}  // namespace strobe::fuzz
