// Which keys each token of a tree of drafts may attend to.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/draft_tree.hpp"

#include <algorithm>

#include "api/messages.hpp"

namespace strobe {
namespace {

constexpr const char* kWhere = "strobe::fill_draft_tree";

void check_parents(std::span<const std::int32_t> parents) {
  for (std::size_t i = 0; i < parents.size(); ++i) {
    const std::int64_t parent = parents[i], token = static_cast<std::int64_t>(i);
    if (parent >= -1 && parent < token) continue;
    api::fail(
        "tree-parent", kWhere,
        {"parents[", i, "] is ", parent, "; a parent is a token before its child, so from -1,",
         " which is the context, to ", token - 1});
  }
}

void check_sizes(std::int64_t drafted, std::int64_t seqlen_k, std::size_t entries) {
  if (seqlen_k < drafted) {
    api::fail("tree-keys", kWhere,
              {"seqlen_k is ", seqlen_k, " for ", drafted,
               " drafted tokens; they are the last keys, so it is at least their number"});
  }
  std::int64_t pairs = 0;
  const bool overflow = __builtin_mul_overflow(drafted, seqlen_k, &pairs);
  if (!overflow && entries == static_cast<std::size_t>(pairs)) return;
  api::fail("tree-size", kWhere,
            {"allowed has ", entries, " entries for ", drafted, " drafted tokens x ", seqlen_k,
             " keys; it takes one for each pair"});
}

}  // namespace

void fill_draft_tree(std::span<const std::int32_t> parents, std::int64_t seqlen_k,
                     std::span<std::uint8_t> allowed) {
  check_parents(parents);
  check_sizes(static_cast<std::int64_t>(parents.size()), seqlen_k, allowed.size());
  const auto keys = static_cast<std::size_t>(seqlen_k), context = keys - parents.size();
  for (std::size_t i = 0; i < parents.size(); ++i) {
    const std::span<std::uint8_t> row = allowed.subspan(i * keys, keys);
    std::ranges::fill(row.first(context), std::uint8_t{1});
    std::ranges::fill(row.subspan(context), std::uint8_t{0});
    row[context + i] = 1;
    if (parents[i] < 0) continue;
    // What the parent sees of the tree; its row is done, as it comes before.
    const auto parent = static_cast<std::size_t>(parents[i]);
    const auto seen = allowed.subspan(parent * keys + context, i);
    for (std::size_t j = 0; j < i; ++j) row[context + j] = seen[j];
  }
}

}  // namespace strobe
