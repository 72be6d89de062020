// Rotary embedding: its numbers, shapes and types of tables, and every position looked up in them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

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

/// The last position that a row of q or a new key of sequence `b` turns at; below 0: none.
std::int64_t last_position(const DecodeTensors& t, const Mask& mask, std::int64_t b, Lengths n) {
  const std::int64_t added = new_key_side(t).length(b);
  const std::int64_t of_queries = n.q > 0 ? mask.position(n.q - 1, n) : -1;
  return std::max(of_queries, added > 0 ? n.k - 1 : -1);
}

/// Rows before position 0 see no key before it, and each sees what those before it do: so the last
/// of them tells whether any sees a key, which is then at a distance that no table knows.
void check_rows_before_keys(const Mask& mask, std::int64_t b, Lengths n, const char* where) {
  const std::int64_t row = std::min(n.q - 1, -1 - mask.position(0, n));
  if (row < 0 || mask.keys(row, n).count() == 0) return;
  fail("rotary-positions", where,
       {"row ", row, " of sequence ", b, " is at position ", mask.position(row, n),
        ", which no table holds, and sees keys: the sequence has more queries than keys; shorten ",
        "it with seqlens_q, align top left, or leave the tables out"});
}

}  // namespace

void check_rotary(const Rotary& rotary, const char* where) {
  if (rotary.dim < 0 || rotary.dim % 2 != 0) {
    fail("rotary-dim", where,
         {"rotary.dim is ", rotary.dim,
          "; it turns dimensions in pairs, so it must be even and at least 0, which is off"});
  }
  if (!(rotary.base > 0) || !std::isfinite(rotary.base)) {
    fail("rotary-base", where,
         {"rotary.base is ", rotary.base, "; it must be finite and above 0, as in 10000"});
  }
}

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
    const std::int64_t old = entries(t.cache.cache_seqlens)[b];
    const Lengths n{query_side(t).length(b), old + new_key_side(t).length(b)};
    check_rows_before_keys(problem.mask, b, n, where);
    const std::int64_t last = last_position(t, problem.mask, b, n);
    if (last < held) continue;
    fail("rotary-positions", where,
         {"sequence ", b, " turns a row at position ", last, " and rotary_cos holds ", held,
          " positions; make rotary_cos and rotary_sin longer"});
  }
}

}  // namespace strobe::api
