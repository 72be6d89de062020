// Which pages of a cache are free, and how many owners the others have.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/page_pool.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "api/memory.hpp"
#include "api/messages.hpp"

namespace strobe {
namespace {

using api::fail;

constexpr const char* kPagesOfAPool = "a pool's pages (12 bytes each)";

void check_page(std::int64_t page, std::int32_t pages, const char* where) {
  if (page >= 0 && page < pages) return;
  fail("pages-number", where,
       {"page ", page, " is none of the pool's ", pages, "; they are numbered from 0 on"});
}

[[noreturn]] void fail_free(std::int32_t page, const char* where) {
  fail("pages-free", where,
       {"page ", page, " has no owner left; a page is released once for each time that it was ",
        "allocated or forked, and only a page in use is forked"});
}

}  // namespace

PagePool::PagePool(std::int32_t pages) {
  constexpr const char* kWhere = "strobe::PagePool";
  if (pages < 0) fail("pages-count", kWhere, {"pages is ", pages, "; a pool has 0 pages or more"});
  api::with_memory_for(kPagesOfAPool, kWhere, [&] {
    owners_.resize(static_cast<std::size_t>(pages));
    free_.resize(static_cast<std::size_t>(pages));
  });
  std::iota(free_.begin(), free_.end(), 0);  // rising, so a heap
}

std::int64_t PagePool::owners(std::int32_t page) const {
  check_page(page, pages(), "strobe::PagePool::owners");
  return owners_[static_cast<std::size_t>(page)];
}

std::int32_t PagePool::take_lowest() {
  std::ranges::pop_heap(free_, std::greater{});
  const std::int32_t page = free_.back();
  free_.pop_back();
  owners_of(page) = 1;
  return page;
}

std::optional<std::int32_t> PagePool::allocate() {
  if (free_.empty()) return std::nullopt;
  return take_lowest();
}

bool PagePool::grow(std::vector<std::int32_t>& table, std::int64_t slots, std::int64_t page_size) {
  constexpr const char* kWhere = "strobe::PagePool::grow";
  if (slots < 0 || page_size < 1)
    fail("pages-slots", kWhere,
         {"slots is ", slots, " and page_size ", page_size,
          "; a table has 0 slots or more, and a page 1 or more"});
  const auto held = static_cast<std::int64_t>(table.size());
  const std::int64_t needed = slots / page_size + (slots % page_size != 0 ? 1 : 0);
  if (needed <= held) return true;
  if (needed - held > free_pages()) return false;
  api::with_memory_for("a longer page table (4 bytes a page)", kWhere,
                       [&] { table.resize(static_cast<std::size_t>(needed)); });
  std::generate(table.begin() + held, table.end(), [&] { return take_lowest(); });
  return true;
}

void PagePool::fork(std::span<const std::int32_t> table) {
  constexpr const char* kWhere = "strobe::PagePool::fork";
  for (const std::int32_t page : table) {
    check_page(page, pages(), kWhere);
    if (owners_of(page) == 0) fail_free(page, kWhere);
  }
  for (const std::int32_t page : table) ++owners_of(page);
}

void PagePool::release(std::span<const std::int32_t> table) {
  constexpr const char* kWhere = "strobe::PagePool::release";
  for (const std::int32_t page : table) check_page(page, pages(), kWhere);
  // A page may stand in the table more often than it has owners: try, and take it back.
  std::size_t tried = 0;
  bool owned = true;
  while (owned && tried < table.size()) owned = owners_of(table[tried++])-- > 0;
  for (const std::int32_t page : table.first(tried)) ++owners_of(page);
  if (!owned) fail_free(table[tried - 1], kWhere);

  // A copied pool has no more room than it had free pages.
  api::with_memory_for(kPagesOfAPool, kWhere, [&] { free_.reserve(owners_.size()); });
  for (const std::int32_t page : table) {
    if (--owners_of(page) > 0) continue;
    free_.push_back(page);
    std::ranges::push_heap(free_, std::greater{});
  }
}

}  // namespace strobe
