// Where the keys and values of one key head lie: side by side, or in pages.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/tiling.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Rows of keys and values. Of pages only those are looked up that hold an existing key.
template <class T>
struct KeySource {
  const T* k = nullptr;
  const T* v = nullptr;
  std::int64_t k_stride = 0;  // elements from key to key
  std::int64_t v_stride = 0;
  const std::int32_t* pages = nullptr;  // null: keys lie side by side
  std::int64_t page_size = 1;
  std::int64_t k_page = 0;  // elements from page to page
  std::int64_t v_page = 0;

  STROBE_INLINE bool paged() const { return pages != nullptr; }
  STROBE_INLINE const T* k_row(std::int64_t key) const { return row(k, k_page, k_stride, key); }
  STROBE_INLINE const T* v_row(std::int64_t key) const { return row(v, v_page, v_stride, key); }

 private:
  STROBE_INLINE const T* row(const T* base, std::int64_t page, std::int64_t stride,
                             std::int64_t key) const {
    if (pages == nullptr) return base + key * stride;
    return base + pages[key / page_size] * page + key % page_size * stride;
  }
};

template <class T>
STROBE_INLINE KeySource<T> key_source(const ForwardParams& p, const Sequence& n,
                                      std::int64_t kv_head) {
  KeySource<T> source;
  source.k_stride = p.k_strides.row;
  source.v_stride = p.v_strides.row;
  source.pages = n.pages;
  source.page_size = p.page_size;
  source.k_page = p.k_strides.batch;
  source.v_page = p.v_strides.batch;
  const std::int64_t entry = n.pages != nullptr ? 0 : n.k_batch;
  source.k = static_cast<const T*>(p.k) + p.k_strides.offset(entry, n.first_k, kv_head);
  source.v = static_cast<const T*>(p.v) + p.v_strides.offset(entry, n.first_k, kv_head);
  return source;
}

}  // namespace strobe::cpu::STROBE_ISA
