// Where the keys and values of one key head lie: side by side, or in pages; numbers, or codes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "cpu/tiles/tiling.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::cpu::STROBE_ISA {

/// A row of a key or value: numbers, or codes and where their scales are.
struct KeptRow {
  const std::byte* data = nullptr;
  const float* scales = nullptr;  // of codes: that of group 0
};

/// Rows of keys or of values, and how far apart they lie.
struct KeptRows {
  KeptRow first{};
  std::int64_t row = 0, page = 0, head = 0;                    // bytes
  std::int64_t scale_row = 0, scale_page = 0, scale_head = 0;  // scales
  std::int64_t group = 0;                                      // scales from group to group

  STROBE_INLINE KeptRow at(std::int64_t page_index, std::int64_t slot) const {
    return {first.data + page_index * page + slot * row,
            first.scales + page_index * scale_page + slot * scale_row};
  }
  /// The same row of a key head `heads` later.
  STROBE_INLINE KeptRow of_head(const KeptRow& at, std::int64_t heads) const {
    return {at.data + heads * head, at.scales + heads * scale_head};
  }
};

/// Rows of keys and values. Of pages only those are looked up that hold an existing key.
struct KeySource {
  KeptRows k, v;
  DType codes = DType::none;            // none: rows are numbers
  const std::int32_t* pages = nullptr;  // null: keys lie side by side
  std::int64_t page_size = 1;

  STROBE_INLINE bool paged() const { return pages != nullptr; }
  STROBE_INLINE bool coded() const { return codes != DType::none; }
  STROBE_INLINE KeptRow k_row(std::int64_t key) const { return row(k, key); }
  STROBE_INLINE KeptRow v_row(std::int64_t key) const { return row(v, key); }

 private:
  STROBE_INLINE KeptRow row(const KeptRows& rows, std::int64_t key) const {
    if (pages == nullptr) return rows.at(0, key);
    return rows.at(pages[key / page_size], key % page_size);
  }
};

/// Keys or values of a call.
struct KeptTensor {
  const void* data;
  const Strides& strides;
  const Scales& scales;
};

STROBE_INLINE KeptRows kept_rows(const ForwardParams& p, const Sequence& n, std::int64_t kv_head,
                                 const KeptTensor& kept) {
  const auto& [data, strides, scales] = kept;
  const DType dtype = p.kv_dtype != DType::none ? p.kv_dtype : p.dtype;
  const std::int64_t entry = n.pages != nullptr ? 0 : n.k_batch;
  KeptRows rows;
  if (data == nullptr) return rows;  // there is no key
  rows.first.data = static_cast<const std::byte*>(data) +
                    bytes_of(dtype, strides.offset(entry, n.first_k, kv_head));
  rows.row = bytes_of(dtype, strides.row);
  rows.page = bytes_of(dtype, strides.batch);
  rows.head = bytes_of(dtype, strides.head);
  if (scales.data == nullptr) return rows;
  rows.first.scales = scales.data + scales.strides.offset(entry, n.first_k, kv_head);
  rows.scale_row = scales.strides.row;
  rows.scale_page = scales.strides.batch;
  rows.scale_head = scales.strides.head;
  rows.group = scales.group;
  return rows;
}

STROBE_INLINE KeySource key_source(const ForwardParams& p, const Sequence& n,
                                   std::int64_t kv_head) {
  KeySource source;
  source.k = kept_rows(p, n, kv_head, {p.k, p.k_strides, p.k_scales});
  source.v = kept_rows(p, n, kv_head, {p.v, p.v_strides, p.v_scales});
  source.codes = p.kv_dtype;
  source.pages = n.pages;
  source.page_size = p.page_size;
  return source;
}

/// Calls f(K{}) with the type of which the products see the keys and values of a call.
template <class T, class F>
STROBE_INLINE void with_kept(const ForwardParams& p, const F& f) {
  if constexpr (!std::is_same_v<FromInt8<T>, FromCodes<T>>)
    if (p.kv_dtype == DType::i8 && p.k_scales.group == 0 && p.v_scales.group == 0)
      return f(FromInt8<T>{});
  if constexpr (!std::is_same_v<FromCodes<T>, T>)
    if (p.kv_dtype != DType::none) return f(FromCodes<T>{});
  f(T{});
}

}  // namespace strobe::cpu::STROBE_ISA
