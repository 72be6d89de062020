// The tasks of a decode call: every key of every sequence once, shared pages together.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/decode_order.hpp"

#include <gtest/gtest.h>

#include <map>
#include <tuple>
#include <vector>

namespace strobe::cpu {
namespace {

constexpr std::int64_t kPage = 64, kColumns = 80;  // keys, pages of a row of the table

/// A call over pages, of which sequences have their own unless told otherwise.
struct Call {
  std::vector<std::int32_t> lengths;
  std::vector<std::int32_t> table;
  DecodeCut cut{.leaves = 1, .kv_heads = 2, .sequences = kMostMembers};
  std::vector<DecodePlace> places{};
  std::vector<DecodePiece> pieces{};
  std::vector<std::int32_t> left{};
  ForwardParams p{};

  explicit Call(std::vector<std::int32_t> keys) : lengths(std::move(keys)) {
    for (std::size_t i = 0; i < lengths.size() * kColumns; ++i)
      table.push_back(static_cast<std::int32_t>(i));
  }
  void share(std::int64_t from, std::int64_t to, std::int64_t keys) {
    for (std::int64_t i = 0; i < keys / kPage; ++i)
      table[static_cast<std::size_t>(to * kColumns + i)] =
          table[static_cast<std::size_t>(from * kColumns + i)];
  }
  DecodeOrder order() {
    const std::size_t batch = lengths.size();
    p.batch = static_cast<std::int64_t>(batch);
    p.num_heads = 6;
    p.num_heads_kv = 3;
    p.seqlen_q = 1;
    p.head_dim_v = 8;
    p.cache_seqlens = lengths.data();
    p.page_table = table.data();
    p.page_table_stride = kColumns;
    p.page_size = kPage;
    places.resize(batch);
    pieces.resize(batch * 5);
    left.resize(batch * 3);
    return {p, cut, {places, pieces, left}};
  }
};

/// How often each (sequence, leaf, key head) comes in the tasks; and whether members of a task have
/// the same pages.
std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, int> work_of(
    const DecodeOrder& order) {
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, int> work;
  for (std::int64_t i = 0; i < order.count(); ++i) {
    const DecodeTask task = order.task(i, {}, 4);
    for (int m = 0; m < task.members; ++m) {
      const Sequence& s = task.member[m].sequence;
      for (std::int64_t leaf = task.first_leaf; leaf < task.first_leaf + task.leaves; ++leaf) {
        for (std::int64_t h = 0; h < task.kv_heads; ++h)
          ++work[{s.index, leaf, task.first_kv_head + h}];
        for (std::int64_t key = leaf * kLeafKeys; key < (leaf + 1) * kLeafKeys && key < s.lengths.k;
             key += kPage)
          EXPECT_EQ(s.pages[key / kPage], task.member[0].sequence.pages[key / kPage]);
      }
    }
  }
  return work;
}

void expect_all_once(Call& call) {
  const auto work = work_of(call.order());
  std::size_t expected = 0;
  for (const std::int32_t length : call.lengths)
    expected += static_cast<std::size_t>(3 * count_leaves(length));
  EXPECT_EQ(work.size(), expected);
  for (const auto& [what, times] : work)
    EXPECT_EQ(times, 1) << "sequence " << std::get<0>(what) << ", leaf " << std::get<1>(what)
                        << ", head " << std::get<2>(what);
}

TEST(DecodeOrder, HasEveryLeafOnceWhatIsShared) {
  Call call({5000, 300, 0, 2048, 1024, 1023, 5000, 2100, 4096, 5000, 3000, 2050});
  expect_all_once(call);
  for (std::int64_t b : {3, 4, 5, 6, 7, 8, 9, 10, 11}) {
    call.share(0, b, b % 2 == 0 ? 5000 : 2100);
    expect_all_once(call);
  }
  call.cut.leaves = 2;
  expect_all_once(call);
  call.cut.sequences = 2;
  expect_all_once(call);
}

/// Twenty sequences with a prefix of two leaves and a bit: three tasks for each of these leaves and
/// head set, not twenty.
TEST(DecodeOrder, ReadsASharedLeafOnceForEightSequences) {
  Call call(std::vector<std::int32_t>(20, 3000));
  EXPECT_EQ(call.order().count(), 20 * 3 * 2);
  for (std::int64_t b = 1; b < 20; ++b) call.share(0, b, 2100);
  EXPECT_EQ(call.order().count(), (3 + 3 + 20) * 2);
  EXPECT_EQ(call.order().task(0, {}, 4).members, 8);
}

/// Only whole leaves of both are shared, and only from the first key on.
TEST(DecodeOrder, LeavesApartWhatDiffersBeforeOrEndsWithin) {
  Call call({2000, 2000, 1500});
  call.share(0, 1, 1000);
  call.share(0, 2, 2000);
  EXPECT_EQ(call.order().count(), 5 * 2) << "leaf 0 of the first and the last";
  call.table[0] = 79;
  EXPECT_EQ(call.order().count(), 6 * 2);
}

/// The last task of a member says so, once for each of its key heads.
TEST(DecodeOrder, FinishesEveryMember) {
  Call call({3000, 2100, 2100, 0});
  call.share(0, 1, 2100);
  call.share(0, 2, 2100);
  const DecodeOrder order = call.order();
  std::map<std::int64_t, int> finished;
  for (std::int64_t i = 0; i < order.count(); ++i) {
    const DecodeTask task = order.task(i, {}, 4);
    for (int m = 0; m < task.members; ++m)
      if (order.finish(task, m)) {
        const DecodeTask whole = order.whole(task, m);
        EXPECT_EQ(whole.leaves, count_leaves(whole.member[0].sequence.lengths.k));
        finished[whole.member[0].sequence.index] += static_cast<int>(whole.kv_heads);
      }
  }
  for (std::int64_t b = 0; b < 4; ++b) EXPECT_EQ(finished[b], 3) << b;
}

}  // namespace
}  // namespace strobe::cpu
