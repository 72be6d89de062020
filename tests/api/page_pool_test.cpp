// PagePool against a simple model, in random histories; and every message.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/page_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "provocation.hpp"
#include "tests/support/random_problem.hpp"

namespace strobe::test {
namespace {

using strobe::testing::Draw;
using Table = std::vector<std::int32_t>;

TEST(PagePool, HandsOutTheLowestPageFirst) {
  PagePool pool(5);
  Table all;
  ASSERT_TRUE(pool.grow(all, 5, 1));
  EXPECT_EQ(all, (Table{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.allocate(), std::nullopt);
  pool.release(Table{3, 1, 4});
  EXPECT_EQ(pool.allocate(), 1);
  EXPECT_EQ(pool.allocate(), 3);
}

TEST(PagePool, GrowsAllOrNothing) {
  PagePool pool(4);
  Table table;
  EXPECT_TRUE(pool.grow(table, 17, 16)) << "slot 16 is in the second page";
  EXPECT_EQ(table, (Table{0, 1}));
  EXPECT_TRUE(pool.grow(table, 32, 16)) << "both pages full";
  EXPECT_EQ(table, (Table{0, 1}));
  EXPECT_FALSE(pool.grow(table, 65, 16)) << "a fifth page";
  EXPECT_EQ(table, (Table{0, 1}));
  EXPECT_EQ(pool.free_pages(), 2);
  EXPECT_FALSE(pool.grow(table, std::numeric_limits<std::int64_t>::max(), 1));
  EXPECT_TRUE(pool.grow(table, 0, 16)) << "a table never shrinks";
  EXPECT_EQ(table.size(), 2u);
}

TEST(PagePool, KeepsAForkedPageUntilItsLastOwnerLeaves) {
  PagePool pool(3);
  Table parent;
  pool.grow(parent, 2, 1);
  const Table child = parent;
  pool.fork(child);
  EXPECT_EQ(pool.owners(0), 2);
  pool.release(parent);
  EXPECT_EQ(pool.free_pages(), 1);
  pool.release(child);
  EXPECT_EQ(pool.free_pages(), 3);
}

TEST(PagePool, MayBeEmpty) {
  PagePool pool(0);
  EXPECT_EQ(pool.pages(), 0);
  EXPECT_EQ(pool.allocate(), std::nullopt);
}

TEST(PagePool, ACopyLivesOnItsOwn) {
  PagePool pool(3);
  Table table;
  pool.grow(table, 3, 1);
  PagePool copy = pool;
  copy.release(table);
  EXPECT_EQ(copy.free_pages(), 3);
  EXPECT_EQ(pool.free_pages(), 0);
}

/// What a pool is, said simply: how many owners each page has.
struct Model {
  std::map<std::int32_t, std::int64_t> owners;

  explicit Model(std::int32_t pages) {
    for (std::int32_t page = 0; page < pages; ++page) owners[page] = 0;
  }
  std::vector<std::int32_t> free() const {
    std::vector<std::int32_t> pages;
    for (const auto& [page, count] : owners)
      if (count == 0) pages.push_back(page);
    return pages;
  }
};

/// A pool, its model, and the tables of some sequences.
class History {
 public:
  explicit History(std::uint64_t seed)
      : draw_(seed),
        pages_(static_cast<std::int32_t>(draw_.in(0, 40))),
        pool_(pages_),
        model_(pages_) {}

  void step() {
    switch (draw_.in(0, 3)) {
      case 0: return start();
      case 1: return tables_.empty() ? start() : grow(any());
      case 2: return tables_.empty() ? start() : fork(any());
      default: return tables_.empty() ? start() : end(any());
    }
  }

  void expect_equal() const {
    ASSERT_EQ(pool_.free_pages(), static_cast<std::int32_t>(model_.free().size()));
    for (const auto& [page, count] : model_.owners) ASSERT_EQ(pool_.owners(page), count) << page;
  }

 private:
  std::size_t any() {
    return static_cast<std::size_t>(draw_.in(0, static_cast<std::int64_t>(tables_.size()) - 1));
  }
  void start() {
    const std::optional<std::int32_t> page = pool_.allocate();
    ASSERT_EQ(page.has_value(), !model_.free().empty());
    if (!page) return;
    ASSERT_EQ(*page, model_.free().front());
    model_.owners[*page] = 1;
    tables_.push_back({*page});
  }
  void grow(std::size_t at) {
    Table& table = tables_[at];
    const Table before = table;
    const std::int64_t page_size = draw_.in(1, 20);
    const std::int64_t slots =
        page_size * (std::int64_t(table.size()) + draw_.in(-1, 6)) - draw_.in(0, page_size - 1);
    const std::vector<std::int32_t> free = model_.free();
    Table want = before;
    for (std::size_t i = 0; std::int64_t(want.size()) * page_size < slots && i < free.size(); ++i)
      want.push_back(free[i]);
    const bool enough = std::int64_t(want.size()) * page_size >= slots;
    ASSERT_EQ(pool_.grow(table, std::max<std::int64_t>(slots, 0), page_size), enough);
    ASSERT_EQ(table, enough ? want : before);
    for (std::size_t i = before.size(); i < table.size(); ++i) model_.owners[table[i]] = 1;
  }
  void fork(std::size_t at) {
    const Table child = tables_[at];
    pool_.fork(child);
    for (const std::int32_t page : child) ++model_.owners[page];
    tables_.push_back(child);
  }
  void end(std::size_t at) {
    pool_.release(tables_[at]);
    for (const std::int32_t page : tables_[at]) --model_.owners[page];
    tables_.erase(tables_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  Draw draw_;
  std::int32_t pages_;
  PagePool pool_;
  Model model_;
  std::vector<Table> tables_;
};

TEST(PagePool, EqualsTheModelThroughRandomHistories) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    History history(seed);
    for (int step = 0; step < 100; ++step) {
      history.step();
      history.expect_equal();
      if (HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
  }
}

/// Two pages in use, two free.
struct Used {
  PagePool pool{4};
  Table table{};
  Used() { pool.grow(table, 2, 1); }
};

class PagePoolMessage : public ::testing::TestWithParam<Provocation> {};

TEST_P(PagePoolMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

const Provocation kProvocations[] = {
    {"NegativePages", [] { PagePool(-1); },
     "strobe::PagePool: pages is -1; a pool has 0 pages or more [pages-count]"},
    {"OwnersOfNoPage", [] { Used().pool.owners(4); },
     "strobe::PagePool::owners: page 4 is none of the pool's 4; they are numbered from 0 on "
     "[pages-number]"},
    {"ForkOfNoPage",
     [] {
       Used().pool.fork(Table{0, -1});
     },
     "strobe::PagePool::fork: page -1 is none of the pool's 4; they are numbered from 0 on "
     "[pages-number]"},
    {"ReleaseOfNoPage",
     [] {
       Used().pool.release(Table{0, 9});
     },
     "strobe::PagePool::release: page 9 is none of the pool's 4; they are numbered from 0 on "
     "[pages-number]"},
    {"ForkOfAFreePage",
     [] {
       Used().pool.fork(Table{0, 2});
     },
     "strobe::PagePool::fork: page 2 has no owner left; a page is released once for each time that "
     "it was allocated or forked, and only a page in use is forked [pages-free]"},
    {"ReleaseOfAFreePage",
     [] {
       Used().pool.release(Table{0, 3});
     },
     "strobe::PagePool::release: page 3 has no owner left; a page is released once for each time "
     "that it was allocated or forked, and only a page in use is forked [pages-free]"},
    {"ReleaseTwiceInOneTable",
     [] {
       Used().pool.release(Table{1, 0, 1});
     },
     "strobe::PagePool::release: page 1 has no owner left; a page is released once for each time "
     "that it was allocated or forked, and only a page in use is forked [pages-free]"},
    {"NegativeSlots",
     [] {
       Used used;
       used.pool.grow(used.table, -1, 16);
     },
     "strobe::PagePool::grow: slots is -1 and page_size 16; a table has 0 slots or more, and a "
     "page 1 or more [pages-slots]"},
    {"PagesWithoutSlots",
     [] {
       Used used;
       used.pool.grow(used.table, 5, 0);
     },
     "strobe::PagePool::grow: slots is 5 and page_size 0; a table has 0 slots or more, and a page "
     "1 or more [pages-slots]"},
};
INSTANTIATE_TEST_SUITE_P(All, PagePoolMessage, ::testing::ValuesIn(kProvocations), name_of_test);

TEST(PagePool, ThrowsBeforeItChangesAnything) {
  Used used;
  for (const Table& bad : {Table{0, 1, 1}, Table{0, 7}, Table{1, 2}}) {
    EXPECT_THROW(used.pool.release(bad), Error);
    EXPECT_EQ(used.pool.owners(0), 1);
    EXPECT_EQ(used.pool.owners(1), 1);
    EXPECT_EQ(used.pool.free_pages(), 2);
  }
  EXPECT_THROW(used.pool.fork(Table{0, 2}), Error);
  EXPECT_EQ(used.pool.owners(0), 1);
}

}  // namespace
}  // namespace strobe::test
