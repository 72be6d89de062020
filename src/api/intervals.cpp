// key_begin and key_end of documents, prefix language models and masks of a sequence's own.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/intervals.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"

namespace strobe {
namespace {

using api::fail;
using Entries = std::span<const std::int32_t>;

/// What key_begin, key_end and cu_seqlens can hold.
constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();

void check_range(const char* name, std::int64_t value, const char* where) {
  if (value >= 0 && value <= kLargest) return;
  fail("intervals-range", where,
       {name, " is ", value, "; key_begin, key_end and cu_seqlens are i32, so it goes from 0 to ",
        kLargest});
}

void check_room(std::span<std::int32_t> cu_seqlens, std::size_t documents, const char* where) {
  if (cu_seqlens.size() > documents) return;
  fail("cu-seqlens-shape", where,
       {"cu_seqlens has ", cu_seqlens.size(), " entries for ", documents,
        " documents; it takes one more than there are documents"});
}

void check_documents(Entries cu_seqlens, std::int64_t seqlen_k, const char* where) {
  if (cu_seqlens.empty()) {
    fail("cu-seqlens-shape", where,
         {"cu_seqlens has no entries; it takes one more than there are documents"});
  }
  api::check_cu_seqlens({"cu_seqlens", cu_seqlens, "the sequence", seqlen_k}, where);
}

/// Walks up the documents with positions that never fall.
class DocumentWalk {
 public:
  explicit DocumentWalk(Entries cu_seqlens) : cu_(cu_seqlens) {}

  /// Is `position` in a document? Then begin(), end() and index() are its.
  bool reach(std::int64_t position) {
    while (document_ + 1 < cu_.size() && cu_[document_ + 1] <= position) ++document_;
    return document_ + 1 < cu_.size() && cu_[document_] <= position;
  }
  std::size_t index() const { return document_; }
  std::int64_t begin() const { return cu_[document_]; }
  std::int64_t end() const { return cu_[document_ + 1]; }

 private:
  Entries cu_;
  std::size_t document_ = 0;
};

/// The first token of each run of equal ids.
std::vector<std::int32_t> first_tokens(Entries ids) {
  std::vector<std::int32_t> first;
  for (std::size_t token = 0; token < ids.size(); ++token) {
    if (token == 0 || ids[token] != ids[token - 1])
      first.push_back(static_cast<std::int32_t>(token));
  }
  return first;
}

void check_ids(Entries ids, std::vector<std::int32_t> first, const char* where) {
  const auto id = [&](std::int32_t token) { return ids[static_cast<std::size_t>(token)]; };
  // Not a stable sort, which would allocate; equal ids in the order of their tokens all the same.
  std::ranges::sort(first, {}, [&](std::int32_t token) { return std::pair(id(token), token); });
  const auto twice = std::ranges::adjacent_find(first, {}, id);
  if (twice == first.end()) return;
  fail("document-returns", where,
       {"ids[", twice[1], "] is ", id(twice[1]), ", the id of the document that began at ids[",
        twice[0], "] and has ended; a document is one run of equal ids, so give each its own"});
}

}  // namespace

KeyIntervals::KeyIntervals(std::span<std::int32_t> key_begin, std::span<std::int32_t> key_end,
                           std::int64_t seqlen_k, const Mask& mask)
    : begin_(key_begin),
      end_(key_end),
      lengths_{static_cast<std::int64_t>(key_begin.size()), seqlen_k},
      mask_(mask) {
  constexpr const char* kWhere = "strobe::KeyIntervals";
  if (key_begin.size() != key_end.size()) {
    fail("intervals-size", kWhere,
         {"key_begin has ", key_begin.size(), " entries and key_end ", key_end.size(),
          "; each takes one for every query of the sequence"});
  }
  check_range("the number of queries", lengths_.q, kWhere);
  check_range("seqlen_k", seqlen_k, kWhere);
  api::check_meaning({.mask = mask}, kWhere);
  if (mask.sink_tokens != 0 || mask.block_q != 0) {
    fail("intervals-mask", kWhere,
         {"mask.sink_tokens is ", mask.sink_tokens, " and mask.block_q is ", mask.block_q,
          "; a row has one interval here, so leave both 0 and set them in Options::mask"});
  }
  for (std::size_t row = 0; row < begin_.size(); ++row) {
    const Keys keys = mask.keys(static_cast<std::int64_t>(row), lengths_);
    begin_[row] = static_cast<std::int32_t>(keys.begin);
    end_[row] = static_cast<std::int32_t>(keys.end);
  }
}

KeyIntervals& KeyIntervals::documents(Entries cu_seqlens) {
  check_documents(cu_seqlens, lengths_.k, "strobe::KeyIntervals::documents");
  DocumentWalk document(cu_seqlens);
  for (std::size_t row = 0; row < begin_.size(); ++row) {
    if (document.reach(position(row)))
      keep(row, document.begin(), document.end());
    else
      keep(row, 0, 0);
  }
  return *this;
}

KeyIntervals& KeyIntervals::prefix_lm(Entries cu_seqlens, Entries prefixes) {
  constexpr const char* kWhere = "strobe::KeyIntervals::prefix_lm";
  check_documents(cu_seqlens, lengths_.k, kWhere);
  if (prefixes.size() != cu_seqlens.size() - 1) {
    fail("prefix-count", kWhere,
         {"prefixes has ", prefixes.size(), " entries and cu_seqlens ", cu_seqlens.size(),
          "; give one prefix for each document, which is one fewer than cu_seqlens has entries"});
  }
  for (std::size_t d = 0; d < prefixes.size(); ++d) {
    if (prefixes[d] >= 0) continue;
    fail("mask-number", kWhere,
         {"prefixes[", d, "] is ", prefixes[d], "; it must be at least 0, and 0 is off"});
  }
  DocumentWalk document(cu_seqlens);
  for (std::size_t row = 0; row < begin_.size(); ++row) {
    const std::int64_t pos = position(row);
    if (!document.reach(pos)) {
      keep(row, 0, 0);
      continue;
    }
    const std::int64_t prefix_end = document.begin() + prefixes[document.index()];
    keep(row, document.begin(), std::min(document.end(), std::max(pos + 1, prefix_end)));
  }
  return *this;
}

std::int64_t KeyIntervals::position(std::size_t row) const {
  return mask_.position(static_cast<std::int64_t>(row), lengths_);
}

/// Hides what lies outside of [begin, end), which is within [0, seqlen_k].
void KeyIntervals::keep(std::size_t row, std::int64_t begin, std::int64_t end) {
  begin_[row] = std::max(begin_[row], static_cast<std::int32_t>(begin));
  end_[row] = std::min(end_[row], static_cast<std::int32_t>(end));
}

void cu_seqlens_of_lengths(Entries lengths, std::span<std::int32_t> cu_seqlens) {
  constexpr const char* kWhere = "strobe::cu_seqlens_of_lengths";
  if (cu_seqlens.size() != lengths.size() + 1) {
    fail("cu-seqlens-shape", kWhere,
         {"cu_seqlens has ", cu_seqlens.size(), " entries for ", lengths.size(),
          " lengths; it takes one more than there are lengths"});
  }
  std::int64_t sum = 0;
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    if (lengths[d] < 0) {
      fail("seqlens-value", kWhere,
           {"lengths[", d, "] is ", lengths[d], "; a length is at least 0"});
    }
    sum += lengths[d];
    if (sum <= kLargest) continue;
    fail("lengths-sum", kWhere,
         {"lengths[0] to lengths[", d, "] add up to ", sum, "; cu_seqlens are i32, so at most ",
          kLargest, " tokens go into one call"});
  }
  cu_seqlens[0] = 0;
  for (std::size_t d = 0; d < lengths.size(); ++d) cu_seqlens[d + 1] = cu_seqlens[d] + lengths[d];
}

std::size_t cu_seqlens_of_ids(Entries ids, std::span<std::int32_t> cu_seqlens) {
  constexpr const char* kWhere = "strobe::cu_seqlens_of_ids";
  check_range("the number of ids", static_cast<std::int64_t>(ids.size()), kWhere);
  const std::vector<std::int32_t> first = first_tokens(ids);
  check_ids(ids, first, kWhere);
  check_room(cu_seqlens, first.size(), kWhere);
  std::ranges::copy(first, cu_seqlens.begin());
  cu_seqlens[first.size()] = static_cast<std::int32_t>(ids.size());
  return first.size();
}

}  // namespace strobe
