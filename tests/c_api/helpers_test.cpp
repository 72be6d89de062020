// The helpers for masks in memory write in C what they write in C++, and nothing when they refuse.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "c_call.hpp"
#include "tests/support/run.hpp"

namespace strobe::test {
namespace {

using Numbers = std::vector<std::int32_t>;

struct Rows {
  Numbers begin, end;
  explicit Rows(std::int64_t seqlen_q)
      : begin(static_cast<std::size_t>(seqlen_q), -7), end(begin) {}
  bool operator==(const Rows&) const = default;
};

/// A sequence whose mask, documents and prefixes are its own. No cu_seqlens: no documents; no
/// prefixes: documents are read in both directions.
struct Sequence {
  const char* name;  ///< of the test; CamelCase
  std::int64_t seqlen_q, seqlen_k;
  Mask mask{};
  Numbers cu_seqlens{}, prefixes{};

  Rows in_cxx() const {
    Rows rows(seqlen_q);
    KeyIntervals intervals(rows.begin, rows.end, seqlen_k, mask);
    if (!prefixes.empty())
      intervals.prefix_lm(cu_seqlens, prefixes);
    else if (!cu_seqlens.empty())
      intervals.documents(cu_seqlens);
    return rows;
  }

  /// Points into this, `rows` and `options`.
  strobe_key_intervals in_c(Rows& rows, const strobe_options* options) const {
    strobe_key_intervals intervals;
    strobe_key_intervals_init(&intervals, sizeof intervals);
    intervals.options = options;
    intervals.key_begin = rows.begin.data();
    intervals.key_end = rows.end.data();
    intervals.seqlen_q = seqlen_q;
    intervals.seqlen_k = seqlen_k;
    if (cu_seqlens.empty()) return intervals;
    intervals.num_documents = static_cast<std::int64_t>(cu_seqlens.size()) - 1;
    intervals.cu_seqlens = cu_seqlens.data();
    if (!prefixes.empty()) intervals.prefixes = prefixes.data();
    return intervals;
  }
};
std::ostream& operator<<(std::ostream& out, const Sequence& s) { return out << s.name; }

class CKeyIntervals : public ::testing::TestWithParam<Sequence> {};

TEST_P(CKeyIntervals, AreThoseOfCxx) {
  const Sequence& sequence = GetParam();
  Rows rows(sequence.seqlen_q);
  const strobe_options options = c_options({.mask = sequence.mask});
  const strobe_key_intervals intervals = sequence.in_c(rows, &options);
  ASSERT_EQ(strobe_fill_key_intervals(&intervals), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(rows, sequence.in_cxx());
}

const Sequence kSequences[] = {
    {"AllKeys", 6, 9},
    {"NoRows", 0, 9},
    {"Causal", 6, 9, {.causal = true}},
    {"CausalTopLeft", 9, 6, {.causal = true, .align = Align::top_left}},
    {"PromptOfASequence", 9, 9, {.causal = true, .prefix = 4}},
    {"WindowOfAHead", 9, 12, {.left = 3, .right = 1}},
    {"WindowWithoutKeys", 9, 12, {.left = 0, .right = 0, .align = Align::top_left}},
    {"Chunks", 9, 12, {.chunk = 5}},
    {"Documents", 9, 9, {}, {0, 4, 7, 9}},
    {"DocumentsFromACache", 4, 9, {}, {0, 4, 7, 9}},
    {"DocumentsWithAGapAround", 9, 9, {}, {2, 4, 4, 8}},
    {"NoDocumentAtAll", 5, 9, {}, {3}},
    {"WindowsInDocuments", 9, 9, {.left = 1, .right = 0}, {0, 4, 7, 9}},
    {"PromptsInDocuments", 9, 9, {}, {0, 5, 9}, {3, 2}},
    {"PromptsTopLeft", 9, 7, {.align = Align::top_left}, {0, 5, 7}, {0, 9}},
};
INSTANTIATE_TEST_SUITE_P(Sequences, CKeyIntervals, ::testing::ValuesIn(kSequences),
                         [](const auto& info) { return info.param.name; });

TEST(CKeyIntervals, ShowAllKeysWithoutOptions) {
  Rows rows(3);
  const strobe_key_intervals intervals = Sequence{"", 3, 8}.in_c(rows, nullptr);
  ASSERT_EQ(strobe_fill_key_intervals(&intervals), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(rows.begin, (Numbers{0, 0, 0}));
  EXPECT_EQ(rows.end, (Numbers{8, 8, 8}));
}

/// Whoever passes the options of the call says nothing wrong: scores and dropout are not of masks.
TEST(CKeyIntervals, TakeTheMaskOfTheCallsOptions) {
  const Sequence sequence{"", 6, 9, {.causal = true, .left = 2}};
  strobe_options options = c_options({.mask = sequence.mask});
  options.has_scale = 1;
  options.scale = 0.3;
  options.softcap = 20;
  options.dropout_probability = 0.1;
  Rows rows(6);
  const strobe_key_intervals intervals = sequence.in_c(rows, &options);
  ASSERT_EQ(strobe_fill_key_intervals(&intervals), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(rows, sequence.in_cxx());
}

/// C++ takes keys away call by call; in C two sets of documents are one, with the boundaries of
/// both.
TEST(CKeyIntervals, TakeTwoSetsOfDocumentsAsOne) {
  Rows expected(9), rows(9);
  KeyIntervals(expected.begin, expected.end, 9)
      .documents(Numbers{0, 4, 9})
      .documents(Numbers{0, 3, 7, 9});
  const Sequence both{"", 9, 9, {}, {0, 3, 4, 7, 9}};
  const strobe_key_intervals intervals = both.in_c(rows, nullptr);
  ASSERT_EQ(strobe_fill_key_intervals(&intervals), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(rows, expected);
}

TEST(CKeyIntervals, AreLeftAsTheyAreWhenRefused) {
  const strobe_options sinks = c_options({.mask = {.left = 3, .sink_tokens = 1}});
  const struct {
    Sequence sequence;
    const strobe_options* options;
  } refused[] = {
      {{"", 6, 9, {}, {0, 10}}, nullptr},
      {{"", 6, 9, {}, {0, 4, 9}, {2, -1}}, nullptr},
      {{"", 6, -1}, nullptr},
      {{"", 6, 9}, &sinks},
  };
  for (const auto& [sequence, options] : refused) {
    Rows rows(6);
    const strobe_key_intervals intervals = sequence.in_c(rows, options);
    EXPECT_EQ(strobe_fill_key_intervals(&intervals), STROBE_INVALID_ARGUMENT);
    EXPECT_EQ(rows, Rows(6)) << strobe_last_error();
  }
}

TEST(CCuSeqlens, OfLengthsAreThoseOfCxx) {
  for (const Numbers& lengths : {Numbers{4, 3, 2}, Numbers{0, 5, 0}, Numbers{}}) {
    Numbers expected(lengths.size() + 1), cu_seqlens(lengths.size() + 1);
    cu_seqlens_of_lengths(lengths, expected);
    ASSERT_EQ(strobe_cu_seqlens_of_lengths(
                  lengths.data(), static_cast<std::int64_t>(lengths.size()), cu_seqlens.data()),
              STROBE_OK)
        << strobe_last_error();
    EXPECT_EQ(cu_seqlens, expected);
  }
}

TEST(CCuSeqlens, OfIdsAreThoseOfCxx) {
  for (const Numbers& ids : {Numbers{7, 7, 2, -1, -1, -1}, Numbers{5}, Numbers{}}) {
    Numbers expected(ids.size() + 1, -7), cu_seqlens(ids.size() + 1, -7);
    const std::size_t documents = cu_seqlens_of_ids(ids, expected);
    std::int64_t num_documents = -1;
    ASSERT_EQ(strobe_cu_seqlens_of_ids(
                  ids.data(), static_cast<std::int64_t>(ids.size()), cu_seqlens.data(),
                  static_cast<std::int64_t>(cu_seqlens.size()), &num_documents),
              STROBE_OK)
        << strobe_last_error();
    EXPECT_EQ(num_documents, static_cast<std::int64_t>(documents));
    EXPECT_EQ(cu_seqlens, expected);
  }
}

TEST(CCuSeqlens, AreLeftAsTheyAreWhenRefused) {
  const Numbers lengths{3, -1}, ids{1, 2, 1};
  Numbers cu_seqlens{4, 5, 6, 7};
  std::int64_t num_documents = 9;
  EXPECT_NE(strobe_cu_seqlens_of_lengths(lengths.data(), 2, cu_seqlens.data()), STROBE_OK);
  EXPECT_NE(strobe_cu_seqlens_of_ids(ids.data(), 3, cu_seqlens.data(), 4, &num_documents),
            STROBE_OK);
  EXPECT_NE(strobe_cu_seqlens_of_ids(ids.data(), 2, cu_seqlens.data(), 2, &num_documents),
            STROBE_OK);
  EXPECT_EQ(cu_seqlens, (Numbers{4, 5, 6, 7}));
  EXPECT_EQ(num_documents, 9);
}

TEST(CDraftTree, IsThatOfCxx) {
  for (const Numbers& parents : {Numbers{-1, 0, 0, 1, 1}, Numbers{-1, -1, 1}, Numbers{}}) {
    const std::int64_t seqlen_k = static_cast<std::int64_t>(parents.size()) + 3;
    const std::size_t pairs = parents.size() * static_cast<std::size_t>(seqlen_k);
    std::vector<std::uint8_t> expected(pairs), allowed(pairs, 7);
    fill_draft_tree(parents, seqlen_k, expected);
    ASSERT_EQ(strobe_fill_draft_tree(parents.data(), static_cast<std::int64_t>(parents.size()),
                                     seqlen_k, allowed.data()),
              STROBE_OK)
        << strobe_last_error();
    EXPECT_EQ(allowed, expected);
  }
}

/// What the helpers write is what a call reads: documents beside a window, and a tree.
TEST(CHelpers, WriteWhatACallTakes) {
  CaseCall call("h2 q9 d8 causal intervals allowed=1,1,q,k");
  harness::TensorMap out = harness::output_tensors(call.problem, call.in);
  ForwardTensors tensors = harness::forward_tensors(call.in, out);
  const Numbers lengths{4, 3, 2}, parents{-1, 0, 1, 1, -1, 4, 5, 5, 7};
  Numbers cu_seqlens(4);
  Rows rows(9);
  std::vector<std::uint8_t> allowed(81);
  ASSERT_EQ(strobe_cu_seqlens_of_lengths(lengths.data(), 3, cu_seqlens.data()), STROBE_OK);
  const Sequence documents{"", 9, 9, {}, cu_seqlens};
  const strobe_key_intervals intervals = documents.in_c(rows, nullptr);
  ASSERT_EQ(strobe_fill_key_intervals(&intervals), STROBE_OK) << strobe_last_error();
  ASSERT_EQ(strobe_fill_draft_tree(parents.data(), 9, 9, allowed.data()), STROBE_OK);
  tensors.key_begin = {rows.begin.data(), {1, 1, 9}};
  tensors.key_end = {rows.end.data(), {1, 1, 9}};
  tensors.allowed = {allowed.data(), DType::boolean, {1, 1, 9, 9}};
  strobe_forward_args args = c_args(tensors);
  const strobe_options options = c_options(call.options);
  args.options = &options;
  ASSERT_EQ(strobe_forward(&args, nullptr), STROBE_OK) << strobe_last_error();

  harness::TensorMap expected = harness::output_tensors(call.problem, call.in);
  const Rows same = documents.in_cxx();
  std::vector<std::uint8_t> tree(81);
  fill_draft_tree(parents, 9, tree);
  const ForwardTensors into = harness::forward_tensors(call.in, expected);
  tensors.o = into.o;
  tensors.lse = into.lse;
  tensors.key_begin = {same.begin.data(), {1, 1, 9}};
  tensors.key_end = {same.end.data(), {1, 1, 9}};
  tensors.allowed = {tree.data(), DType::boolean, {1, 1, 9, 9}};
  strobe::forward(tensors, call.options);
  EXPECT_TRUE(testing::same_bits(out.at("o"), expected.at("o")));
  EXPECT_TRUE(testing::same_bits(out.at("lse"), expected.at("lse")));
}

}  // namespace
}  // namespace strobe::test
