// Every message of the helpers that build masks in memory: intervals, documents, draft trees.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "provocation.hpp"
#include "strobe/draft_tree.hpp"
#include "strobe/intervals.hpp"

namespace strobe::test {
namespace {

class HelperMessage : public testing::TestWithParam<Provocation> {};

TEST_P(HelperMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

/// Intervals of 6 queries among 8 keys.
struct Rows {
  std::array<std::int32_t, 6> begin{}, end{};
  KeyIntervals intervals(const Mask& mask = {}) { return {begin, end, 8, mask}; }
};

void documents(std::vector<std::int32_t> cu_seqlens) {
  Rows rows;
  rows.intervals().documents(cu_seqlens);
}

void prefix_lm(std::vector<std::int32_t> cu_seqlens, std::vector<std::int32_t> prefixes) {
  Rows rows;
  rows.intervals().prefix_lm(cu_seqlens, prefixes);
}

void lengths(std::vector<std::int32_t> lengths, std::size_t room) {
  std::vector<std::int32_t> cu_seqlens(room);
  cu_seqlens_of_lengths(lengths, cu_seqlens);
}

void ids(std::vector<std::int32_t> ids, std::size_t room) {
  std::vector<std::int32_t> cu_seqlens(room);
  cu_seqlens_of_ids(ids, cu_seqlens);
}

void tree(std::vector<std::int32_t> parents, std::int64_t seqlen_k, std::size_t room) {
  std::vector<std::uint8_t> allowed(room);
  fill_draft_tree(parents, seqlen_k, allowed);
}

const Provocation kProvocations[] = {
    {"EndsOfOtherRows",
     [] {
       std::array<std::int32_t, 5> begin{};
       std::array<std::int32_t, 6> end{};
       KeyIntervals(begin, end, 8);
     },
     "strobe::KeyIntervals: key_begin has 5 entries and key_end 6; each takes one for every query "
     "of the sequence [intervals-size]"},
    {"KeysBeyondI32",
     [] {
       Rows rows;
       KeyIntervals(rows.begin, rows.end, std::int64_t{kMost} + 1);
     },
     "strobe::KeyIntervals: seqlen_k is 2147483648; key_begin, key_end and cu_seqlens are i32, so "
     "it goes from 0 to 2147483647 [intervals-range]"},
    {"KeysBelowNone",
     [] {
       Rows rows;
       KeyIntervals(rows.begin, rows.end, -1);
     },
     "strobe::KeyIntervals: seqlen_k is -1; key_begin, key_end and cu_seqlens are i32, so it goes "
     "from 0 to 2147483647 [intervals-range]"},
    {"QueriesBeyondI32",
     [] {
       Rows rows;
       const std::span<std::int32_t> far(rows.begin.data(), std::size_t{kMost} + 1);
       KeyIntervals(far, far, 8);
     },
     "strobe::KeyIntervals: the number of queries is 2147483648; key_begin, key_end and cu_seqlens "
     "are i32, so it goes from 0 to 2147483647 [intervals-range]"},
    {"IdsBeyondI32",
     [] {
       Rows rows;
       cu_seqlens_of_ids({rows.begin.data(), std::size_t{kMost} + 1}, rows.end);
     },
     "strobe::cu_seqlens_of_ids: the number of ids is 2147483648; key_begin, key_end and "
     "cu_seqlens are i32, so it goes from 0 to 2147483647 [intervals-range]"},
    {"SinkTokens", [] { Rows().intervals({.left = 3, .sink_tokens = 4}); },
     "strobe::KeyIntervals: mask.sink_tokens is 4 and mask.block_q is 0; a row has one interval "
     "here, so leave both 0 and set them in Options::mask [intervals-mask]"},
    {"BlockMap", [] { Rows().intervals({.block_q = 64, .block_k = 64}); },
     "strobe::KeyIntervals: mask.sink_tokens is 0 and mask.block_q is 64; a row has one interval "
     "here, so leave both 0 and set them in Options::mask [intervals-mask]"},
    {"WindowBelowAll", [] { Rows().intervals({.left = -2}); },
     "strobe::KeyIntervals: mask.left is -2; a window side is a number of keys from 0 on, or -1 "
     "for all [mask-window]"},
    {"NoDocuments", [] { documents({}); },
     "strobe::KeyIntervals::documents: cu_seqlens has no entries; it takes one more than there are "
     "documents [cu-seqlens-shape]"},
    {"DocumentsBeforeTheFirst",
     [] {
       documents({-1, 8});
     },
     "strobe::KeyIntervals::documents: cu_seqlens[0] is -1; the first sequence starts at row 0 or "
     "later [cu-seqlens-start]"},
    {"DocumentsThatFall",
     [] {
       documents({0, 5, 3});
     },
     "strobe::KeyIntervals::documents: cu_seqlens[2] is 3 after 5; entries never fall, as sequence "
     "b is rows [cu[b], cu[b + 1]) [cu-seqlens-falling]"},
    {"DocumentsTooLong",
     [] {
       documents({0, 5, 9});
     },
     "strobe::KeyIntervals::documents: cu_seqlens[2] is 9 and the sequence has 8 rows; the last "
     "entry is at most that [cu-seqlens-end]"},
    {"PrefixesTooFew",
     [] {
       prefix_lm({0, 5, 8}, {2});
     },
     "strobe::KeyIntervals::prefix_lm: prefixes has 1 entries and cu_seqlens 3; give one prefix "
     "for each document, which is one fewer than cu_seqlens has entries [prefix-count]"},
    {"PrefixBelowNone",
     [] {
       prefix_lm({0, 5, 8}, {2, -1});
     },
     "strobe::KeyIntervals::prefix_lm: prefixes[1] is -1; it must be at least 0, and 0 is off "
     "[mask-number]"},
    {"LengthsWithoutRoom",
     [] {
       lengths({5, 3}, 2);
     },
     "strobe::cu_seqlens_of_lengths: cu_seqlens has 2 entries for 2 lengths; it takes one more "
     "than there are lengths [cu-seqlens-shape]"},
    {"LengthBelowNone",
     [] {
       lengths({5, -3}, 3);
     },
     "strobe::cu_seqlens_of_lengths: lengths[1] is -3; a length is at least 0 [seqlens-value]"},
    {"LengthsBeyondI32",
     [] {
       lengths({kMost, 1}, 3);
     },
     "strobe::cu_seqlens_of_lengths: lengths[0] to lengths[1] add up to 2147483648; cu_seqlens are "
     "i32, so at most 2147483647 tokens go into one call [lengths-sum]"},
    {"DocumentThatReturns",
     [] {
       ids({7, 7, 2, 2, 7}, 6);
     },
     "strobe::cu_seqlens_of_ids: ids[4] is 7, the id of the document that began at ids[0] and has "
     "ended; a document is one run of equal ids, so give each its own [document-returns]"},
    {"IdsWithoutRoom",
     [] {
       ids({7, 7, 2, 3}, 3);
     },
     "strobe::cu_seqlens_of_ids: cu_seqlens has 3 entries for 3 documents; it takes one more than "
     "there are documents [cu-seqlens-shape]"},
    {"ParentAfterItsChild",
     [] {
       tree({-1, 0, 2}, 5, 15);
     },
     "strobe::fill_draft_tree: parents[2] is 2; a parent is a token before its child, so from -1, "
     "which is the context, to 1 [tree-parent]"},
    {"TreeBeyondItsKeys",
     [] {
       tree({-1, 0, 1}, 2, 6);
     },
     "strobe::fill_draft_tree: seqlen_k is 2 for 3 drafted tokens; they are the last keys, so it "
     "is at least their number [tree-keys]"},
    {"TreeWithoutRoom",
     [] {
       tree({-1, 0, 1}, 8, 12);
     },
     "strobe::fill_draft_tree: allowed has 12 entries for 3 drafted tokens x 8 keys; it takes one "
     "for each pair [tree-size]"},
    {"TreeBeyondI64",
     [] {
       tree({-1, 0, 1}, std::numeric_limits<std::int64_t>::max(), 12);
     },
     "strobe::fill_draft_tree: allowed has 12 entries for 3 drafted tokens x 9223372036854775807 "
     "keys; it takes one for each pair [tree-size]"},
};
INSTANTIATE_TEST_SUITE_P(All, HelperMessage, testing::ValuesIn(kProvocations), name_of_test);

/// A call that throws leaves what is there.
TEST(Helpers, CheckBeforeTheyWrite) {
  Rows rows;
  KeyIntervals intervals = rows.intervals({.causal = true});
  const Rows before = rows;
  EXPECT_THROW(intervals.documents(std::vector<std::int32_t>{0, 9}), Error);
  EXPECT_THROW(intervals.prefix_lm(std::vector<std::int32_t>{0, 8}, std::vector<std::int32_t>{-1}),
               Error);
  EXPECT_EQ(rows.begin, before.begin);
  EXPECT_EQ(rows.end, before.end);
  std::vector<std::int32_t> cu_seqlens{4, 5, 6};
  EXPECT_THROW(cu_seqlens_of_lengths(std::vector<std::int32_t>{1, -1}, cu_seqlens), Error);
  EXPECT_THROW(cu_seqlens_of_ids(std::vector<std::int32_t>{1, 2, 1}, cu_seqlens), Error);
  EXPECT_EQ(cu_seqlens, (std::vector<std::int32_t>{4, 5, 6}));
}

}  // namespace
}  // namespace strobe::test
