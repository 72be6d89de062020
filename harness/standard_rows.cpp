// A few rows of standard attention, on the keys that they see, with sums in an order of their own
// making: what errors are compared with.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "harness/ordered_products.hpp"
#include "harness/standard_attention.hpp"
#include "harness/standard_softmax.hpp"

namespace strobe::harness {
namespace {

/// The least range that holds both.
Range hull(Range a, Range b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

/// Keys that any of the rows sees: two ranges of keys laid side by side, one where they touch.
struct Gathered {
  Columns keys{};
  std::int64_t count() const { return keys.sinks.size() + keys.window.size(); }

  void add(const Columns& row) {
    keys = {hull(keys.sinks, row.sinks), hull(keys.window, row.window)};
  }
  void join() {
    if (!keys.sinks.empty() && !keys.window.empty() && keys.sinks.end >= keys.window.begin)
      keys = {{}, hull(keys.sinks, keys.window)};
  }
  std::int64_t column(std::int64_t key) const {
    if (key < keys.sinks.end && key >= keys.sinks.begin) return key - keys.sinks.begin;
    return key - keys.window.begin + keys.sinks.size();
  }
  Range columns(Range range) const {
    if (range.empty()) return {};
    const std::int64_t begin = column(range.begin);
    return {begin, begin + range.size()};
  }
};

/// k or v of one head of a sequence.
struct KeyRows {
  const void* data;
  const Strides& strides;
  std::int64_t kv_head;
  std::int64_t dim;
};

/// The gathered keys' rows, contiguous, wherever each lies.
template <class Real>
std::vector<Real> gather(const ForwardParams& p, const Sequence& s, const KeyRows& from,
                         const Gathered& seen) {
  std::vector<Real> rows(static_cast<std::size_t>(seen.count() * from.dim));
  Real* to = rows.data();
  for (const Range& keys : {seen.keys.sinks, seen.keys.window})
    for (std::int64_t key = keys.begin; key < keys.end; ++key, to += from.dim) {
      const std::int64_t first = key_offset(p, s, from.strides, key, from.kv_head);
      widen_rows({from.data, p.dtype, first, 0, from.dim}, {0, 1}, to);
    }
  return rows;
}

/// o and lse of the rows, in Real.
template <class Real>
struct RowsResult {
  std::vector<Real> o, lse;
};

template <class Real>
RowsResult<Real> rows_in(const ForwardParams& p, const StandardRows& which) {
  const Sequence s = sequence(p, which.batch);
  const std::int64_t rows =
      std::clamp<std::int64_t>(s.lengths.q - which.first, 0, which.rows);  // the rest is padding
  const auto sink = static_cast<Real>(sink_logit(p, which.head));
  RowsResult<Real> result{std::vector<Real>(static_cast<std::size_t>(which.rows * p.head_dim_v)),
                          std::vector<Real>(static_cast<std::size_t>(which.rows),
                                            -std::numeric_limits<Real>::infinity())};
  std::fill_n(result.lse.begin(), rows, sink);
  Gathered seen;
  for (std::int64_t row = 0; row < rows; ++row)
    seen.add(columns_of(row_keys(p, s, which.head, which.first + row)));
  seen.join();
  const std::int64_t n = seen.count();
  if (n == 0) return result;

  const std::int64_t kv = p.kv_head(which.head);
  const std::int64_t first_q = p.q_strides.offset(s.batch, s.first_q + which.first, which.head);
  std::vector<Real> q(static_cast<std::size_t>(rows * p.head_dim));
  widen_rows({p.q, p.dtype, first_q, p.q_strides.row, p.head_dim}, {0, rows}, q.data());
  const std::vector<Real> k = gather<Real>(p, s, {p.k, p.k_strides, kv, p.head_dim}, seen);
  const std::vector<Real> v = gather<Real>(p, s, {p.v, p.v_strides, kv, p.head_dim_v}, seen);

  std::vector<Real> scores(static_cast<std::size_t>(rows * n));
  std::vector<Real> k_transposed(k.size());
  transpose<Real>({k.data(), p.head_dim}, n, p.head_dim, {k_transposed.data(), n});
  multiply_in_order<Real>({q.data(), p.head_dim}, {k_transposed.data(), n}, {scores.data(), n},
                          {rows, n, p.head_dim}, static_cast<Real>(p.softmax_scale));
  for (std::int64_t row = 0; row < rows; ++row) {
    const Columns keys = columns_of(row_keys(p, s, which.head, which.first + row));
    const Columns columns{seen.columns(keys.sinks), seen.columns(keys.window)};
    Real* const row_scores = scores.data() + row * n;
    const auto each = [&](auto change) {
      for (const auto& [from, to] :
           {std::pair(keys.sinks, columns.sinks), std::pair(keys.window, columns.window)})
        change(p, Pair{s, which.head, which.first + row, from.begin}, from.size(),
               row_scores + to.begin);
    };
    each(rule_row<Real>);
    result.lse[static_cast<std::size_t>(row)] =
        softmax_row<Real>(row_scores, n, columns, {p.dtype, sink});
    each(drop_row<Real>);
  }
  multiply_in_order<Real>({scores.data(), n}, {v.data(), p.head_dim_v},
                          {result.o.data(), p.head_dim_v}, {rows, p.head_dim_v, n}, 1);
  return result;
}

template <class Real>
void copy(const RowsResult<Real>& result, double* o, double* lse) {
  std::copy(result.o.begin(), result.o.end(), o);
  std::copy(result.lse.begin(), result.lse.end(), lse);
}

}  // namespace

void standard_rows(const ForwardParams& p, const StandardRows& which, double* o, double* lse) {
  if (p.dtype == DType::f64)
    copy(rows_in<double>(p, which), o, lse);
  else
    copy(rows_in<float>(p, which), o, lse);
}

}  // namespace strobe::harness
