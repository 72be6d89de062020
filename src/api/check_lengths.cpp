// The entries of cu_seqlens and seqlens: never trusted, as they decide what memory is read.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

void check_seqlens(const Side& side, const char* where) {
  for (std::int64_t b = 0; b < side.batch; ++b) {
    if (side.seqlens[b] >= 0 && side.seqlens[b] <= side.slots(b)) continue;
    fail("seqlens-value", where,
         {side.seqlens_name, "[", b, "] is ", side.seqlens[b], " and the sequence has ",
          side.slots(b), " rows in ", side.rows_name, "; a length is from 0 to that"});
  }
}

}  // namespace

std::int64_t check_side(const Side& side, const char* where) {
  if (side.cu != nullptr) {
    const auto count = static_cast<std::size_t>(side.batch + 1);
    check_cu_seqlens({side.cu_name, {side.cu, count}, side.rows_name, side.rows}, where);
  }
  if (side.seqlens != nullptr) check_seqlens(side, where);
  if (side.cu == nullptr) return side.rows;
  std::int64_t longest = 0;
  for (std::int64_t b = 0; b < side.batch; ++b) longest = std::max(longest, side.length(b));
  return longest;
}

void check_max(const Side& side, const char* name, std::int64_t given, const char* where) {
  if (given == 0) return;
  if (given < 0) {
    fail("max-seqlen-negative", where,
         {name, " is ", given, "; give the longest length, or 0 to read it from cu_seqlens"});
  }
  if (side.cu == nullptr) {
    fail("max-seqlen-padded", where,
         {name, " is ", given, " without cu_seqlens; padded tensors tell their lengths by shape, ",
          "so leave it 0"});
  }
  for (std::int64_t b = 0; b < side.batch; ++b) {
    if (side.length(b) <= given) continue;
    fail("max-seqlen-small", where,
         {name, " is ", given, " and sequence ", b, " has ", side.length(b), " rows in ",
          side.rows_name, "; make it at least the longest, or 0 to read it from cu_seqlens"});
  }
}

void check_cu_seqlens(const CuSeqlens& cu, const char* where) {
  if (cu.entries.front() < 0) {
    fail("cu-seqlens-start", where,
         {cu.name, "[0] is ", cu.entries.front(), "; the first sequence starts at row 0 or later"});
  }
  for (std::size_t b = 1; b < cu.entries.size(); ++b) {
    if (cu.entries[b] >= cu.entries[b - 1]) continue;
    fail("cu-seqlens-falling", where,
         {cu.name, "[", b, "] is ", cu.entries[b], " after ", cu.entries[b - 1],
          "; entries never fall, as sequence b is rows [cu[b], cu[b + 1])"});
  }
  if (cu.entries.back() > cu.rows) {
    fail("cu-seqlens-end", where,
         {cu.name, "[", cu.entries.size() - 1, "] is ", cu.entries.back(), " and ", cu.rows_name,
          " has ", cu.rows, " rows; the last entry is at most that"});
  }
}

Side query_side(const ForwardTensors& t) {
  const bool packed = is_packed(t);
  return {"q",
          "cu_seqlens_q",
          "seqlens_q",
          t.q.shape[axes_of(packed).row],
          entries(t.cu_seqlens_q),
          entries(t.seqlens_q),
          packed ? t.cu_seqlens_q.shape[0] - 1 : t.q.shape[0]};
}

Side key_side(const ForwardTensors& t) {
  const bool packed = is_packed(t);
  return {"k",
          "cu_seqlens_k",
          "seqlens_k",
          t.k.shape[axes_of(packed).row],
          entries(t.cu_seqlens_k),
          entries(t.seqlens_k),
          packed ? t.cu_seqlens_k.shape[0] - 1 : t.q.shape[0]};
}

}  // namespace strobe::api
