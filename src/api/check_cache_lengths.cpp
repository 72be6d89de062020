// Lengths, page table and indices of a decode call: never trusted, as they decide what memory is
// read and written.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

/// Slots that a sequence may fill.
std::int64_t slots_of(const KvCache& cache) {
  if (!cache.page_table.given()) return cache.k_cache.shape[1];
  std::int64_t slots = 0;
  if (__builtin_mul_overflow(cache.page_table.shape[1], cache.k_cache.shape[1], &slots))
    return std::numeric_limits<std::int64_t>::max();
  return slots;
}

/// `cache_seqlens[b]` old and `added` new keys have a slot each. Returns their sum.
std::int64_t check_room(const KvCache& cache, std::int64_t b, std::int64_t added,
                        const char* where) {
  const std::int64_t old = entries(cache.cache_seqlens)[b], slots = slots_of(cache);
  const bool paged = cache.page_table.given();
  if (old < 0 || old > slots) {
    fail("cache-length", where,
         {"cache_seqlens[", b, "] is ", old, " and a sequence has ", slots,
          paged ? " slots in its row of page_table" : " slots in k_cache",
          "; it counts the keys before the call, from 0 to that"});
  }
  if (added > slots - old) {
    fail("cache-full", where,
         {"sequence ", b, " has ", old, " keys and gets ", added, " new ones, and the cache ends ",
          "at ", slots, " slots; ",
          paged ? "add pages to its row of page_table" : "make k_cache and v_cache longer",
          ", or drop old keys"});
  }
  return old + added;
}

void check_pages(const KvCache& cache, std::int64_t b, std::int64_t length, const char* where) {
  const std::int64_t pages = cache.k_cache.shape[0], page_size = cache.k_cache.shape[1];
  const std::int64_t used = length / page_size + (length % page_size != 0 ? 1 : 0);
  const std::int32_t* const table = entries(cache.page_table) + b * cache.page_table.strides[0];
  for (std::int64_t i = 0; i < used; ++i) {
    if (table[i] >= 0 && table[i] < pages) continue;
    fail("page-table-entry", where,
         {"page_table[", b, ", ", i, "] is ", table[i], " and k_cache has ", pages, " pages; the ",
          length, " slots of sequence ", b, " reach ", used, " entries, which must be from 0 to ",
          pages - 1});
  }
}

void check_entry(const KvCache& cache, std::int64_t b, const char* where) {
  const std::int32_t entry = entries(cache.cache_batch_idx)[b];
  if (entry >= 0 && entry < cache.k_cache.shape[0]) return;
  fail("cache-batch-idx", where,
       {"cache_batch_idx[", b, "] is ", entry, " and k_cache has ", cache.k_cache.shape[0],
        " entries; they count from 0"});
}

void check_leftpad(const KvCache& cache, std::int64_t b, std::int64_t length, const char* where) {
  const std::int32_t leftpad = entries(cache.leftpad_k)[b];
  if (leftpad >= 0 && leftpad <= length) return;
  fail("leftpad-value", where,
       {"leftpad_k[", b, "] is ", leftpad, " and the sequence has ", length,
        " slots in use; padding is the first of these, from 0 to all of them"});
}

}  // namespace

Side query_side(const DecodeTensors& t) {
  return {"q", "", "seqlens_q", t.q.shape[1], nullptr, entries(t.seqlens_q), t.q.shape[0]};
}

Side new_key_side(const DecodeTensors& t) {
  const std::int64_t rows = t.k.given() ? t.k.shape[1] : 0;
  return {"k", "", "seqlens_new", rows, nullptr, entries(t.seqlens_new), t.q.shape[0]};
}

CacheLengths check_cache_lengths(const DecodeTensors& t, const char* where) {
  const Side added = new_key_side(t);
  check_side(added, where);
  CacheLengths longest{{check_side(query_side(t), where), 0}, 0};
  for (std::int64_t b = 0; b < added.batch; ++b) {
    const std::int64_t length = check_room(t.cache, b, added.length(b), where);
    if (t.cache.page_table.given()) check_pages(t.cache, b, length, where);
    if (t.cache.cache_batch_idx.given()) check_entry(t.cache, b, where);
    if (t.cache.leftpad_k.given()) check_leftpad(t.cache, b, length, where);
    longest.lengths.k = std::max(longest.lengths.k, length);
    longest.seqlen_new = std::max(longest.seqlen_new, added.length(b));
  }
  return longest;
}

}  // namespace strobe::api
