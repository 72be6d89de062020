// Ranks, types and shapes of the tensors of a decode call, against each other.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

constexpr const char* kNeeded = "q, o, k_cache, v_cache and cache_seqlens";

/// New keys come with their values, and have lengths only where they are.
void check_append(const DecodeTensors& t, const char* where) {
  if (t.k.given() != t.v.given()) {
    fail("append-pair", where,
         {t.k.given() ? "k is given without v" : "v is given without k",
          "; an append needs both, a call without new keys neither"});
  }
  if (t.k.given() || !t.seqlens_new.given()) return;
  fail("append-pair", where,
       {"seqlens_new is given without k and v; it says how many of their rows are appended, so ",
        "give them, or leave it out"});
}

void check_ranks(const DecodeTensors& t, const char* where) {
  const char* const cache_axes = t.cache.page_table.given()
                                     ? "pages, page_size, heads, dim (as page_table is given)"
                                     : "cache_batch, capacity, heads, dim (pages need page_table)";
  for (const Named& tensor : {Named{"q", t.q}, Named{"o", t.o}}) {
    check_given(tensor, kNeeded, where);
    check_rank(tensor, 4, "batch, seqlen_q, heads, dim", where);
  }
  for (const Named& tensor :
       {Named{"k_cache", t.cache.k_cache}, Named{"v_cache", t.cache.v_cache}}) {
    check_given(tensor, kNeeded, where);
    check_rank(tensor, 4, cache_axes, where);
  }
  check_given({"cache_seqlens", t.cache.cache_seqlens}, kNeeded, where);
  check_append(t, where);
  for (const Named& tensor : {Named{"k", t.k}, Named{"v", t.v}})
    if (tensor.view.given()) check_rank(tensor, 4, "batch, seqlen_new, heads, dim", where);
  if (!t.lse.given()) return;
  check_rank({"lse", t.lse}, 3, "batch, heads, seqlen_q", where);
  check_type({"lse", t.lse}, lse_dtype_of(t.q.dtype), where);
}

void check_cache_sizes(const DecodeTensors& t, const char* where) {
  const bool paged = t.cache.page_table.given();
  const Named q{"q", t.q}, o{"o", t.o};
  const Named k_cache{"k_cache", t.cache.k_cache}, v_cache{"v_cache", t.cache.v_cache};
  check_equal({"batch", 0, 0}, q, o, where);
  check_equal({"seqlen_q", 1, 1}, q, o, where);
  check_equal({"num_heads", 2, 2}, q, o, where);
  check_equal({paged ? "pages" : "cache_batch", 0, 0}, k_cache, v_cache, where);
  check_equal({paged ? "page_size" : "capacity", 1, 1}, k_cache, v_cache, where);
  check_equal({"num_heads_kv", 2, 2}, k_cache, v_cache, where);
  check_equal({"head_dim", 3, 3}, q, k_cache, where);
  check_equal({"head_dim_v", 3, 3}, v_cache, o, where);
  if (!t.lse.given()) return;
  const Named lse{"lse", t.lse};
  check_equal({"batch", 0, 0}, q, lse, where);
  check_equal({"num_heads", 2, 1}, q, lse, where);
  check_equal({"seqlen_q", 1, 2}, q, lse, where);
}

void check_new_sizes(const DecodeTensors& t, const char* where) {
  if (!t.k.given()) return;
  const Named k{"k", t.k}, v{"v", t.v};
  const Named k_cache{"k_cache", t.cache.k_cache}, v_cache{"v_cache", t.cache.v_cache};
  check_equal({"batch", 0, 0}, {"q", t.q}, k, where);
  check_equal({"batch", 0, 0}, {"q", t.q}, v, where);
  check_equal({"seqlen_new", 1, 1}, k, v, where);
  check_equal({"num_heads_kv", 2, 2}, k, k_cache, where);
  check_equal({"num_heads_kv", 2, 2}, v, v_cache, where);
  check_equal({"head_dim", 3, 3}, k, k_cache, where);
  check_equal({"head_dim_v", 3, 3}, v, v_cache, where);
}

/// Which entry or which pages each sequence has.
void check_places(const DecodeTensors& t, const char* where) {
  const KvCache& cache = t.cache;
  const std::int64_t batch = t.q.shape[0];
  check_seqlens_shape({"cache_batch_idx", cache.cache_batch_idx}, batch, where);
  if (cache.page_table.given()) {
    const Named table{"page_table", cache.page_table};
    check_rank(table, 2, "batch, max_pages", where);
    check_type(table, DType::i32, where);
    check_equal({"batch", 0, 0}, {"q", t.q}, table, where);
    if (cache.k_cache.shape[1] > 0) return;
    fail("size-range", where,
         {"page_size is 0 in k_cache ", cache.k_cache.shape, "; it must be at least 1"});
  }
  if (cache.cache_batch_idx.given() || cache.k_cache.shape[0] >= batch) return;
  fail("cache-entries", where,
       {"k_cache has ", cache.k_cache.shape[0], " entries and the batch ", batch,
        " sequences; each needs an entry of its own, or one named by cache_batch_idx"});
}

}  // namespace

Problem check_shapes(const DecodeTensors& t, const char* where) {
  check_ranks(t, where);
  check_cache_types(t, where);
  check_cache_sizes(t, where);
  check_new_sizes(t, where);
  check_places(t, where);

  Problem problem;
  problem.batch = t.q.shape[0];
  problem.num_heads = t.q.shape[2];
  problem.num_heads_kv = t.cache.k_cache.shape[2];
  problem.seqlen_q = t.q.shape[1];
  problem.head_dim = t.q.shape[3];
  problem.head_dim_v = t.cache.v_cache.shape[3];
  problem.dtype = t.q.dtype;
  problem.o_dtype = t.o.dtype;
  problem.storage = Storage::seqlens;
  if (t.q.strides[2] > t.q.strides[1]) problem.layout = Layout::bhsd;
  if (t.cache.page_table.given()) problem.page_size = t.cache.k_cache.shape[1];
  problem.cache_batch_idx = t.cache.cache_batch_idx.given();
  problem.leftpad_k = t.cache.leftpad_k.given();
  problem.kv_scales = check_kv_scales(t, where);
  if (problem.kv_scales != KvScales::none) problem.kv_dtype = t.cache.k_cache.dtype;
  for (const Named& lengths :
       {Named{"cache_seqlens", t.cache.cache_seqlens}, Named{"leftpad_k", t.cache.leftpad_k},
        Named{"seqlens_q", t.seqlens_q}, Named{"seqlens_new", t.seqlens_new}})
    check_seqlens_shape(lengths, problem.batch, where);
  check_pair_types(pair_views(t), problem, where);
  check_rotary_types(t, where);
  return problem;
}

}  // namespace strobe::api
