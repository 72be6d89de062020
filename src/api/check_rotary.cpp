// Tables of rotary embedding: shapes, types, and that they hold every position that is looked up.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

void check_table_shapes(const DecodeTensors& t, const Rotary& rotary, const char* where) {
  const Named cos{"rotary_cos", t.rotary_cos}, sin{"rotary_sin", t.rotary_sin};
  if (rotary.dim == 0) {
    fail("rotary-off", where,
         {"rotary_cos and rotary_sin are given and rotary.dim is 0, which turns nothing; set it ",
          "to the dimensions that are turned, twice the width of the tables"});
  }
  check_equal({"positions", 0, 0}, cos, sin, where);
  check_equal({"rotary.dim / 2", 1, 1}, cos, sin, where);
  if (cos.view.shape[1] == rotary.dim / 2) return;
  fail("rotary-shape", where,
       {"rotary_cos has shape ", cos.view.shape, " and rotary.dim is ", rotary.dim,
        "; it takes a column for each pair, ", rotary.dim / 2});
}

/// Rows of q and new keys of sequence `b` turn at positions [first, last].
struct Positions {
  std::int64_t first = 0;
  std::int64_t last = -1;
};

Positions positions_of(const DecodeTensors& t, const Mask& mask, std::int64_t b) {
  const std::int64_t added = new_key_side(t).length(b);
  const Lengths n{query_side(t).length(b), entries(t.cache.cache_seqlens)[b] + added};
  Positions found;
  if (n.q > 0) found = {mask.position(0, n), mask.position(n.q - 1, n)};
  if (added > 0) found.last = std::max(found.last, n.k - 1);
  return found;
}

}  // namespace

void check_rotary_types(const DecodeTensors& t, const char* where) {
  const Named cos{"rotary_cos", t.rotary_cos}, sin{"rotary_sin", t.rotary_sin};
  if (cos.view.given() != sin.view.given()) {
    fail("rotary-pair", where,
         {cos.view.given() ? "rotary_cos is given without rotary_sin"
                           : "rotary_sin is given without rotary_cos",
          "; a turn needs both, and angles from rotary.base neither"});
  }
  if (!cos.view.given()) return;
  for (const Named& table : {cos, sin}) {
    check_rank(table, 2, "positions, rotary.dim / 2", where);
    check_real(table, t.q.dtype, where);
  }
  if (cos.view.dtype == sin.view.dtype) return;
  fail("dtype-mismatch", where,
       {"rotary_cos is ", cos.view.dtype, " and rotary_sin is ", sin.view.dtype,
        "; both must have one type"});
}

void check_rotary_tables(const DecodeTensors& t, const Problem& problem, const char* where) {
  if (!t.rotary_cos.given()) return;
  check_table_shapes(t, problem.rotary, where);
  const std::int64_t held = t.rotary_cos.shape[0];
  for (std::int64_t b = 0; b < problem.batch; ++b) {
    const Positions used = positions_of(t, problem.mask, b);
    if (used.first >= 0 && used.last < held) continue;
    if (used.first < 0) {
      fail("rotary-positions", where,
           {"the first query of sequence ", b, " is at position ", used.first, ", which no table ",
            "holds: it has more queries than keys; shorten it with seqlens_q, align top left, or ",
            "leave the tables out"});
    }
    fail("rotary-positions", where,
         {"sequence ", b, " turns a row at position ", used.last, " and rotary_cos holds ", held,
          " positions; make rotary_cos and rotary_sin longer"});
  }
}

}  // namespace strobe::api
