// The inputs of a decode case: the keys and values of a forward case, laid into a cache.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "harness/hard_values.hpp"
#include "harness/tensor_map.hpp"
#include "strobe/problem.hpp"

namespace strobe::harness {

/// The forward problem over the same sequences: the same sizes and options, without what decode
/// alone knows.
Problem without_cache(Problem problem);

/// Tensors of a decode call from those of a forward call of without_cache(problem). Slot s of
/// sequence b holds row s of k and v, so that whatever the pages and the append, the call attends
/// to the same keys as forward. Lengths are forward's seqlens_k, or all full.
///
/// k_cache, v_cache  [batch, seqlen_k, heads_kv, dim], with cache_batch_idx two entries more; with
///                   a page_size [pages, page_size, heads_kv, dim]; in the problem's layout
/// cache_seqlens     the lengths without the new keys
/// page_table        [batch, pages of seqlen_k + 1], pages drawn without order; beyond a length
///                   numbers that are no page's
/// k, v              where seqlen_new > 0: [batch, seqlen_new, heads_kv, dim], the last rows of
///                   each sequence; seqlens_new, drawn evenly up to that (the first full) or up to
///                   the sequence's length, where forward's tensors have seqlens_k
/// cache_batch_idx   entries without order
/// leftpad_k         drawn up to 40, or to the length before the call
/// k_scale, v_scale  where the cache is quantised, which k_cache and v_cache then are: see
///                   quantise_cache.hpp
///
/// Every slot that holds no key is NaN: new slots, padding, slots beyond the lengths, spare entries
/// and three spare pages; so are unused rows of k and v. What is drawn depends on the seed, the
/// tensor's name and the sequence alone.
/// Throws Error(invalid_argument) where there are more pages than an i32 counts.
TensorMap in_cache(const Problem& problem, std::uint64_t seed, TensorMap forward);

/// in_cache() of the forward case's drawn_tensors().
TensorMap drawn_decode_tensors(const Problem& problem, const Draw& draw);

}  // namespace strobe::harness
