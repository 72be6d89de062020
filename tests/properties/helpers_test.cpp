// Helpers that build masks in memory, against what they are defined to be, pair by pair.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "strobe/strobe.hpp"
#include "tests/support/random_masks.hpp"

namespace strobe {
namespace {

using testing::RandomMasks;
using Numbers = std::vector<std::int32_t>;

/// key_begin and key_end of one sequence.
struct Rows {
  Numbers begin, end;

  explicit Rows(std::int64_t queries)
      : begin(static_cast<std::size_t>(queries), -7), end(begin.size(), -7) {}
  bool sees(std::int64_t row, std::int64_t key) const {
    const auto r = static_cast<std::size_t>(row);
    return key >= begin[r] && key < end[r];
  }
};

/// Documents of a sequence: where they begin and end, and the prefix of each.
struct Documents {
  Numbers cu_seqlens, prefixes;

  /// The document that holds a position, or -1.
  std::int64_t at(std::int64_t position) const {
    for (std::size_t d = 0; d + 1 < cu_seqlens.size(); ++d)
      if (position >= cu_seqlens[d] && position < cu_seqlens[d + 1])
        return static_cast<std::int64_t>(d);
    return -1;
  }
};

/// Some documents within `tokens`, empty ones and gaps at both ends among them.
Documents random_documents(RandomMasks& random, std::int64_t tokens) {
  Documents documents;
  std::vector<std::int64_t> cuts(static_cast<std::size_t>(1 + random.draw(6)));
  for (std::int64_t& cut : cuts) cut = random.draw(tokens + 1);
  std::ranges::sort(cuts);
  if (random.draw(2) == 0) cuts.front() = 0;
  for (const std::int64_t cut : cuts) documents.cu_seqlens.push_back(static_cast<int>(cut));
  for (std::size_t d = 0; d + 1 < cuts.size(); ++d)
    documents.prefixes.push_back(static_cast<int>(random.draw(tokens + 2)));
  return documents;
}

/// A random mask of those that leave one interval, with random lengths.
testing::MaskCase random_case(RandomMasks& random) {
  testing::MaskCase c = random.next();
  c.mask.sink_tokens = 0;
  return c;
}

/// Calls check(case, row, key) for every pair of random cases.
template <class Build, class Sees>
void expect_pairs(std::uint64_t seed, const Build& build, const Sees& sees) {
  RandomMasks random(seed);
  for (int n = 0; n < 4000; ++n) {
    const testing::MaskCase c = random_case(random);
    const Documents documents = random_documents(random, c.lengths.k);
    Rows rows(c.lengths.q);
    build(rows, c, documents);
    for (std::int64_t row = 0; row < c.lengths.q; ++row)
      for (std::int64_t key = 0; key < c.lengths.k; ++key)
        ASSERT_EQ(rows.sees(row, key), sees(c, documents, row, key))
            << c << " row " << row << " key " << key;
  }
}

TEST(KeyIntervals, ShowWhatTheirMaskShows) {
  expect_pairs(
      1,
      [](Rows& rows, const auto& c, const auto&) {
        KeyIntervals(rows.begin, rows.end, c.lengths.k, c.mask);
      },
      [](const auto& c, const auto&, auto row, auto key) {
        return c.mask.allows(row, key, c.lengths);
      });
}

TEST(KeyIntervals, CutDocuments) {
  expect_pairs(
      2,
      [](Rows& rows, const auto& c, const Documents& documents) {
        KeyIntervals(rows.begin, rows.end, c.lengths.k, c.mask).documents(documents.cu_seqlens);
      },
      [](const auto& c, const Documents& documents, auto row, auto key) {
        const std::int64_t own = documents.at(c.mask.position(row, c.lengths));
        return own >= 0 && own == documents.at(key) && c.mask.allows(row, key, c.lengths);
      });
}

TEST(KeyIntervals, CutDocumentsBehindAPrefix) {
  expect_pairs(
      3,
      [](Rows& rows, const auto& c, const Documents& documents) {
        KeyIntervals(rows.begin, rows.end, c.lengths.k, c.mask)
            .prefix_lm(documents.cu_seqlens, documents.prefixes);
      },
      [](const auto& c, const Documents& documents, auto row, auto key) {
        const std::int64_t pos = c.mask.position(row, c.lengths), own = documents.at(pos);
        if (own < 0 || own != documents.at(key)) return false;
        const auto d = static_cast<std::size_t>(own);
        const bool prefix = key - documents.cu_seqlens[d] < documents.prefixes[d];
        return (key <= pos || prefix) && c.mask.allows(row, key, c.lengths);
      });
}

TEST(CuSeqlens, OfLengthsAndOfIdsAgree) {
  RandomMasks random(4);
  for (int n = 0; n < 2000; ++n) {
    Numbers lengths(static_cast<std::size_t>(random.draw(7))), ids;
    for (std::size_t d = 0; d < lengths.size(); ++d) {
      lengths[d] = static_cast<int>(1 + random.draw(5));
      ids.insert(ids.end(), static_cast<std::size_t>(lengths[d]), static_cast<int>(100 - 7 * d));
    }
    Numbers of_lengths(lengths.size() + 1), of_ids(ids.size() + 1, -9);
    cu_seqlens_of_lengths(lengths, of_lengths);
    ASSERT_EQ(cu_seqlens_of_ids(ids, of_ids), lengths.size());
    for (std::size_t d = 0; d <= lengths.size(); ++d) {
      ASSERT_EQ(of_lengths[d], std::accumulate(lengths.begin(), lengths.begin() + d, 0));
      ASSERT_EQ(of_ids[d], of_lengths[d]);
    }
    for (std::size_t rest = lengths.size() + 1; rest < of_ids.size(); ++rest)
      ASSERT_EQ(of_ids[rest], -9) << "entries after the last stay as they are";
  }
}

TEST(CuSeqlens, OfLengthsMayBeEmpty) {
  Numbers cu_seqlens(4, -1);
  cu_seqlens_of_lengths(Numbers{0, 3, 0}, cu_seqlens);
  EXPECT_EQ(cu_seqlens, (Numbers{0, 0, 3, 3}));
}

TEST(DraftTree, ShowsContextItselfAndAncestors) {
  RandomMasks random(5);
  for (int n = 0; n < 2000; ++n) {
    const std::int64_t drafted = random.draw(12), keys = drafted + random.draw(9);
    Numbers parents;
    for (std::int64_t i = 0; i < drafted; ++i)
      parents.push_back(static_cast<int>(random.draw(i + 1) - 1));
    std::vector<std::uint8_t> allowed(static_cast<std::size_t>(drafted * keys), 7);
    fill_draft_tree(parents, keys, allowed);
    const auto ancestor = [&](std::int64_t of, std::int64_t token) {
      while (of > token) of = parents[static_cast<std::size_t>(of)];
      return of == token;
    };
    for (std::int64_t row = 0; row < drafted; ++row)
      for (std::int64_t key = 0; key < keys; ++key) {
        const std::int64_t token = key - (keys - drafted);
        ASSERT_EQ(allowed[static_cast<std::size_t>(row * keys + key)],
                  token < 0 || ancestor(row, token) ? 1 : 0)
            << "row " << row << " key " << key << " of " << drafted << " x " << keys;
      }
  }
}

}  // namespace
}  // namespace strobe
