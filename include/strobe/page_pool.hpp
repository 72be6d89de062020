// A small allocator of cache pages with reference counts, for whoever has none.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "strobe/export.h"

namespace strobe {

/// Hands out the numbers of pages; the memory is the caller's. A page starts with one owner; fork()
/// adds one, release() takes one away, and a page without owners is free again. Numbers are handed
/// out lowest first. Not for several threads at once. A call that throws changes nothing.
class STROBE_API PagePool {
 public:
  /// Pages [0, pages), all free.
  explicit PagePool(std::int32_t pages);

  std::int32_t pages() const noexcept { return static_cast<std::int32_t>(owners_.size()); }
  std::int32_t free_pages() const noexcept { return static_cast<std::int32_t>(free_.size()); }
  std::int64_t owners(std::int32_t page) const;

  /// A page with one owner; nothing where none is free.
  std::optional<std::int32_t> allocate();
  /// Appends pages to `table` until it holds `slots` slots; false, and nothing is changed, where
  /// too few are free.
  bool grow(std::vector<std::int32_t>& table, std::int64_t slots, std::int64_t page_size);
  /// One more owner for each page: `table` of a sequence now serves another, too. Throws
  /// Error(invalid_argument) for a page without owners.
  void fork(std::span<const std::int32_t> table);
  /// One owner less for each page. Throws Error(invalid_argument) for a page without owners.
  void release(std::span<const std::int32_t> table);

 private:
  std::int32_t take_lowest();
  std::int64_t& owners_of(std::int32_t page) { return owners_[static_cast<std::size_t>(page)]; }

  std::vector<std::int64_t> owners_;  // of each page
  std::vector<std::int32_t> free_;    // a heap with the lowest page at its front
};

}  // namespace strobe
