// Documents, prefix language models and masks of a sequence's or head's own as key_begin, key_end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "strobe/mask.hpp"

namespace strobe {

/// Writes key_begin and key_end of one sequence, or of one head of it, into memory of the caller:
/// an entry in each for every query. At first a row sees the keys that a mask shows; every call
/// after that takes keys away, so several may follow each other:
///
///   KeyIntervals(key_begin, key_end, seqlen_k, {.left = windows[head]}).documents(cu_seqlens);
///
/// Options::mask acts as well when attention is computed: what one of the two hides the other does
/// not show. Each call checks what it is given before it writes. Throws Error.
class KeyIntervals {
 public:
  /// `mask` holds what this sequence or head has of its own, {.causal = true, .prefix = prompt};
  /// what all have in common is cheaper in Options::mask. It leaves one interval a row: sink tokens
  /// and block maps are refused here. Its align says where the queries sit among the keys.
  KeyIntervals(std::span<std::int32_t> key_begin, std::span<std::int32_t> key_end,
               std::int64_t seqlen_k, const Mask& mask = {});

  /// A row sees the keys of its own document. Document d lies at positions [cu_seqlens[d],
  /// cu_seqlens[d + 1]); a row outside of all documents sees nothing.
  KeyIntervals& documents(std::span<const std::int32_t> cu_seqlens);

  /// Documents, causal inside each, but for the first prefixes[d] keys of document d: all of its
  /// rows see those. Leave causal out of every other mask, which would cut the prefixes.
  KeyIntervals& prefix_lm(std::span<const std::int32_t> cu_seqlens,
                          std::span<const std::int32_t> prefixes);

 private:
  std::int64_t position(std::size_t row) const;
  void keep(std::size_t row, std::int64_t begin, std::int64_t end);

  std::span<std::int32_t> begin_;
  std::span<std::int32_t> end_;
  Lengths lengths_;
  Mask mask_;
};

/// cu_seqlens of documents or packed sequences that lie one after the other, from their lengths.
/// `cu_seqlens` takes one entry more than there are lengths.
void cu_seqlens_of_lengths(std::span<const std::int32_t> lengths,
                           std::span<std::int32_t> cu_seqlens);

/// The same from one id for each token, any number: a document is a run of equal ids, and none may
/// come back after another. Returns the number of documents; `cu_seqlens` takes one entry more,
/// and entries after that stay as they are. Allocates 4 bytes a document.
std::size_t cu_seqlens_of_ids(std::span<const std::int32_t> ids,
                              std::span<std::int32_t> cu_seqlens);

}  // namespace strobe
