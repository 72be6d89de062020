// A look at every element of a result, for what needs no float64 to be seen.
// SPDX-License-Identifier: Apache-2.0
#include "harness/accuracy_scan.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "semantics/number_formats.hpp"
#include "semantics/score_rule.hpp"

namespace strobe::harness {
namespace {

/// Findings by what weighs most.
struct Kinds {
  Findings unwritten{};
  Findings not_finite{};
  Findings padding{};
};

/// An output array: o or lse.
struct Array {
  const void* data;
  DType dtype;
};

bool all_bits_set(const Array& array, std::int64_t index) {
  static constexpr unsigned char kSet[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const std::int64_t size = size_of(array.dtype);
  return std::memcmp(static_cast<const unsigned char*>(array.data) + index * size, kSet,
                     static_cast<std::size_t>(size)) == 0;
}

struct Rules {
  bool empty;   ///< the row sees no key: the value must be `nothing`
  bool finite;  ///< the inputs are, so the output must be
  double nothing;
};

void look(const Array& array, std::int64_t index, const Place& place, const Rules& rules,
          Kinds& kinds) {
  const double value = load_element(array.data, array.dtype, index);
  if (std::isnan(value) && all_bits_set(array, index)) {
    kinds.unwritten.add_made([&] { return fmt::format("{} was never written", to_string(place)); });
  } else if (rules.empty) {
    if (value != rules.nothing) {
      kinds.padding.add_made([&] {
        return fmt::format("{} is {}; the row sees no key, so it must be {}", to_string(place),
                           value, rules.nothing);
      });
    }
  } else if (rules.finite && !std::isfinite(value)) {
    kinds.not_finite.add_made([&] {
      return fmt::format("{} is {}, and all inputs are finite", to_string(place), value);
    });
  }
}

/// Is there no key that the row sees?
bool sees_nothing(const ForwardParams& p, const Sequence& s, std::int64_t head, std::int64_t row) {
  const Keys keys = row_keys(p, s, head, row);
  if (!p.masks_pairs()) return keys.count() == 0;
  const auto any = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t key = begin; key < end; ++key)
      if (pair_visible(p, {s, head, row, key})) return true;
    return false;
  };
  return !any(keys.sink_begin, keys.sink_end) && !any(keys.begin, keys.end);
}

void scan_head(const ForwardParams& p, std::int64_t batch, std::int64_t head, bool finite,
               Kinds& kinds) {
  const Sequence s = sequence(p, batch);
  for (std::int64_t row = 0; row < s.rows; ++row) {
    const bool padding = row >= s.lengths.q;
    const bool empty = padding || sees_nothing(p, s, head, row);
    const std::int64_t first = p.o_strides.offset(s.batch, s.first_q + row, head);
    for (std::int64_t d = 0; d < p.head_dim_v; ++d)
      look({p.o, p.o_dtype}, first + d, {batch, head, row, d}, {empty, finite, 0.0}, kinds);
    if (p.lse == nullptr) continue;
    const std::int64_t place = p.lse_strides.offset(s.batch, s.first_q + row, head);
    const double nothing = padding ? -std::numeric_limits<double>::infinity() : sink_logit(p, head);
    look({p.lse, p.lse_dtype}, place, {batch, head, row, -1}, {empty, finite, nothing}, kinds);
  }
}

bool finite_row(const Array& array, std::int64_t first, std::int64_t dim) {
  for (std::int64_t d = 0; d < dim; ++d)
    if (!std::isfinite(load_element(array.data, array.dtype, first + d))) return false;
  return true;
}

bool finite_queries(const ForwardParams& p, const Sequence& s, std::int64_t head) {
  for (std::int64_t row = 0; row < s.lengths.q; ++row) {
    const std::int64_t first = p.q_strides.offset(s.batch, s.first_q + row, head);
    if (!finite_row({p.q, p.dtype}, first, p.head_dim)) return false;
  }
  return true;
}

bool finite_keys(const ForwardParams& p, const Sequence& s, std::int64_t kv_head) {
  for (std::int64_t key = s.leftpad; key < s.lengths.k; ++key) {
    const std::int64_t k = key_offset(p, s, p.k_strides, key, kv_head);
    const std::int64_t v = key_offset(p, s, p.v_strides, key, kv_head);
    if (!finite_row({p.k, p.dtype}, k, p.head_dim) || !finite_row({p.v, p.dtype}, v, p.head_dim_v))
      return false;
  }
  return true;
}

bool finite_inputs(const ForwardParams& p, const Team& team) {
  std::atomic<bool> finite{true};
  for_each_task(team, p.batch * p.num_heads, [&](std::int64_t task, int) {
    const Sequence s = sequence(p, task / p.num_heads);
    const std::int64_t head = task % p.num_heads;
    const std::int64_t group = p.num_heads / p.num_heads_kv;
    const bool all =
        finite_queries(p, s, head) && (head % group != 0 || finite_keys(p, s, head / group));
    if (!all) finite = false;
  });
  return finite;
}

}  // namespace

std::string to_string(const Place& place) {
  if (place.dim < 0)
    return fmt::format("lse[batch {}, head {}, row {}]", place.batch, place.head, place.row);
  return fmt::format("o[batch {}, head {}, row {}, dim {}]", place.batch, place.head, place.row,
                     place.dim);
}

std::vector<std::string> Findings::lines() const {
  std::vector<std::string> lines = kept_;
  const std::int64_t others = count_ - static_cast<std::int64_t>(kept_.size());
  if (others > 0) lines.push_back(fmt::format("and {} more", others));
  return lines;
}

Findings scan_outputs(const ForwardParams& p, const Team& team) {
  const bool finite = finite_inputs(p, team);
  std::vector<Kinds> heads(static_cast<std::size_t>(p.batch * p.num_heads));
  for_each_task(team, p.batch * p.num_heads, [&](std::int64_t task, int) {
    scan_head(p, task / p.num_heads, task % p.num_heads, finite,
              heads[static_cast<std::size_t>(task)]);
  });
  Findings findings;
  for (const auto kind : {&Kinds::unwritten, &Kinds::not_finite, &Kinds::padding}) {
    for (const Kinds& head : heads) findings.add(head.*kind);
  }
  return findings;
}

}  // namespace strobe::harness
