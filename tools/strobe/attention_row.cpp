// What one head attends to from one row: p = exp(s - lse), from q, k and lse.
// SPDX-License-Identifier: Apache-2.0
#include "attention_row.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string_view>

#include "messages.hpp"
#include "semantics/score_rule.hpp"

namespace strobe::tool {
namespace {

constexpr std::size_t kShownKeys = 12;
constexpr double kBarWidth = 40;

std::int64_t parse_index(std::string_view key, std::string_view value) {
  std::int64_t index = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), index);
  if (error != std::errc{} || end != value.data() + value.size() || index < 0) {
    fail("row-number",
         fmt::format("--show-row: {}={} is no index; give a number from 0", key, value));
  }
  return index;
}

void check_index(const char* what, std::int64_t index, std::int64_t count) {
  if (index < count) return;
  fail("row-range", fmt::format("--show-row: {}={}, and there are {}; accepted are 0 to {}", what,
                                index, count, count - 1));
}

/// A bar in eighths of a character.
std::string bar(double length) {
  const auto eighths = static_cast<int>(std::lround(std::clamp(length, 0.0, kBarWidth) * 8));
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "\u2588";
  constexpr const char* kParts[] = {"",       "\u258f", "\u258e", "\u258d",
                                    "\u258c", "\u258b", "\u258a", "\u2589"};
  return text + kParts[eighths % 8];
}

std::string label(const std::vector<std::string>& words, std::size_t index) {
  return index < words.size() ? fmt::format(" \"{}\"", words[index]) : std::string{};
}

}  // namespace

RowName parse_row_name(const std::string& text) {
  RowName name;
  bool head = false;
  bool row = false;
  for (std::string_view rest = text; !rest.empty();) {
    const bool takes_rest = rest.starts_with("tokens=");
    const std::size_t end = takes_rest ? rest.size() : std::min(rest.find(','), rest.size());
    const std::string_view part = rest.substr(0, end);
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = part.substr(std::min(equals + 1, part.size()));
    if (key == "tokens") {
      name.tokens = value;
    } else if (key == "head") {
      name.head = parse_index(key, value);
      head = true;
    } else if (key == "row") {
      name.row = parse_index(key, value);
      row = true;
    } else if (key == "batch") {
      name.batch = parse_index(key, value);
    } else {
      fail("row-part", fmt::format("--show-row: \"{}\" is not understood; give "
                                   "head=H,row=R[,batch=B][,tokens=FILE]",
                                   part));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!head || !row) {
    fail("row-missing", fmt::format("--show-row {}: needs both head=H and row=R", text));
  }
  return name;
}

void check_row_name(const RowName& name, const ForwardParams& p) {
  check_index("batch", name.batch, p.batch);
  check_index("head", name.head, p.num_heads);
  check_index("row", name.row, sequence(p, name.batch).lengths.q);
}

std::vector<double> attention_row(const ForwardParams& p, const RowName& name) {
  const Sequence s = sequence(p, name.batch);
  const std::int64_t q = p.q_strides.offset(s.batch, s.first_q + name.row, name.head);
  const double lse = load_element(p.lse, p.lse_dtype,
                                  p.lse_strides.offset(s.batch, s.first_q + name.row, name.head));
  const Keys keys = row_keys(p, s, name.head, name.row);
  std::vector<double> weights(static_cast<std::size_t>(s.lengths.k), 0.0);
  for (std::int64_t key = 0; key < s.lengths.k; ++key) {
    const Pair pair{s, name.head, name.row, key};
    if (!keys.contains(key) || !pair_visible(p, pair)) continue;
    const std::int64_t k = key_offset(p, s, p.k_strides, key, p.kv_head(name.head));
    double dot = 0;
    for (std::int64_t d = 0; d < p.head_dim; ++d) {
      dot += load_element(p.q, p.dtype, q + d) * load_element(p.k, p.dtype, k + d);
    }
    weights[static_cast<std::size_t>(key)] =
        std::exp(score_rule(p, pair, p.softmax_scale * dot) - lse);
  }
  return weights;
}

double entropy(const std::vector<double>& weights) {
  return std::accumulate(weights.begin(), weights.end(), 0.0,
                         [](double sum, double p) { return p > 0 ? sum - p * std::log(p) : sum; });
}

void print_row(const std::vector<double>& weights, const RowName& name,
               const std::vector<std::string>& words) {
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min(kShownKeys, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
                    });
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  fmt::print(
      "head {} at row {}{}: p = exp(s - lse) over {} keys, sum {:.6f}, entropy {:.2f} nats\n",
      name.head, name.row, label(words, static_cast<std::size_t>(name.row)), weights.size(), sum,
      entropy(weights));
  const double largest = shown > 0 ? weights[order[0]] : 0.0;
  for (std::size_t i = 0; i < shown && weights[order[i]] > 0; ++i) {
    const std::size_t key = order[i];
    fmt::print("  {:6.4f}  {}  key {}{}\n", weights[key], bar(kBarWidth * weights[key] / largest),
               key, label(words, key));
  }
}

}  // namespace strobe::tool
