// Keys and values kept from call to call: contiguous or in pages.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "strobe/export.h"
#include "strobe/tensor.hpp"

namespace strobe {

/// A view of the caller's cache. Without a page table every sequence of the batch has an entry of
/// its own, [cache_batch, capacity, ...]; with one, slot s of sequence b lies in page page_table[b]
/// [s / page_size], at place s % page_size. Any page may serve several sequences. Slots beyond a
/// sequence's length and pages that no length reaches are never read, whatever they and their page
/// table entries hold.
struct KvCache {
  TensorView k_cache{};  ///< [cache_batch, capacity, num_heads_kv, head_dim], or in pages
                         ///< [pages, page_size, num_heads_kv, head_dim]; written where k is given
  TensorView v_cache{};  ///< likewise, with head_dim_v
  ConstTensorView page_table{};       ///< i32 [batch, max_pages]; given: the cache is paged
  ConstTensorView cache_seqlens{};    ///< i32 [batch]: keys of each sequence before the call
  ConstTensorView cache_batch_idx{};  ///< i32 [batch]: entry of the cache that a sequence has; not
                                      ///< given: entry b; contiguous caches only
  ConstTensorView leftpad_k{};        ///< i32 [batch]: the first slots that hold no key

  // Of a quantised cache, whose type is e4m3, e5m2, i8 or i4: value = code * scale. Both or
  // neither, f32, of one granularity (KvScales), which their shape tells.
  TensorView k_scale{};  ///< [1], [num_heads_kv], or k_cache's shape without dim, or with
                         ///< ceil(dim / 32) for dim; the last two are written where k is given
  TensorView v_scale{};  ///< likewise, for v_cache
};

/// One page's content to another.
struct PageCopy {
  std::int32_t from = 0;
  std::int32_t to = 0;
};

/// Copies pages of k_cache and v_cache, one after the other in the order given: what a sequence
/// needs that goes on where another ends in the middle of a page. Scales of tokens and groups lie
/// in pages too: as [pages, page_size, heads, 1 or groups] they are copied by another call. Throws
/// Error(invalid_argument), before anything is written, for a page that is not there.
STROBE_API void copy_pages(const TensorView& k_cache, const TensorView& v_cache,
                           std::span<const PageCopy> copies);

}  // namespace strobe
