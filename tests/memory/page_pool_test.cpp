// Memory that ends in a page pool: an Error, and nothing has changed.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/page_pool.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "fail_each.hpp"

namespace strobe {
namespace {

using testing::fail_each;
using Table = std::vector<std::int32_t>;

TEST(OutOfMemoryPages, Pools) {
  EXPECT_GT(fail_each([] { PagePool(100); }), 1);
}

TEST(OutOfMemoryPages, TablesThatGrow) {
  PagePool pool(100);
  const auto grow = [&] {
    Table table;
    pool.grow(table, 70, 1);
    pool.release(table);
  };
  EXPECT_GT(fail_each(grow, [&] { return pool.free_pages() == 100; }), 0);
}

/// A copy has room for the pages that were free; those that come back need more.
TEST(OutOfMemoryPages, PagesThatComeBackToACopy) {
  PagePool pool(100);
  Table table;
  pool.grow(table, 70, 1);
  PagePool copy = pool;
  const auto untouched = [&] { return copy.free_pages() == 30 && copy.owners(0) == 1; };
  EXPECT_GT(fail_each([&] { copy.release(table); }, untouched, [&] { copy = PagePool(pool); }), 0);
}

}  // namespace
}  // namespace strobe
