// The option words of the case grammar, and which of them a misspelt one comes near to.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "api/case_reader.hpp"

namespace strobe::api {
namespace {

constexpr OptionWord kOptions[] = {
    {"causal", "causal", Value::none,
     [](CaseReader& r, std::string_view) { r.problem.mask.causal = true; }},
    {"window", "window=LEFT,RIGHT", Value::needed,
     [](CaseReader& r, std::string_view value) { r.read_window(value); }},
    {"chunk", "chunk=POSITIONS", Value::needed,
     [](CaseReader& r, std::string_view value) { r.problem.mask.chunk = r.whole_number(value); }},
    {"prefix", "prefix=KEYS", Value::needed,
     [](CaseReader& r, std::string_view value) { r.problem.mask.prefix = r.whole_number(value); }},
    {"sink_tokens", "sink_tokens=KEYS", Value::needed,
     [](CaseReader& r, std::string_view value) {
       r.problem.mask.sink_tokens = r.whole_number(value);
     }},
    {"align", "align=bottom_right|top_left", Value::needed,
     [](CaseReader& r, std::string_view value) {
       if (value != "top_left" && value != "bottom_right") {
         r.refuse_value("align=bottom_right and align=top_left");
       }
       r.problem.mask.align = value == "top_left" ? Align::top_left : Align::bottom_right;
     }},
    {"scale", "scale=NUMBER", Value::needed,
     [](CaseReader& r, std::string_view value) {
       r.problem.score.scale = r.finite_number(value, "scale=0.125");
     }},
    {"o", "o=TYPE", Value::needed,
     [](CaseReader& r, std::string_view value) { r.read_output_type(value); }},
    {"varlen", "varlen", Value::none,
     [](CaseReader& r, std::string_view) { r.set_storage(Storage::varlen); }},
    {"seqlens", "seqlens", Value::none,
     [](CaseReader& r, std::string_view) { r.set_storage(Storage::seqlens); }},
    {"layout", "layout=bshd|bhsd", Value::needed,
     [](CaseReader& r, std::string_view value) {
       if (value != "bshd" && value != "bhsd") r.refuse_value("layout=bshd and layout=bhsd");
       r.problem.layout = value == "bhsd" ? Layout::bhsd : Layout::bshd;
     }},
    {"determinism", "determinism=batch_invariant|run_to_run", Value::needed,
     [](CaseReader& r, std::string_view value) {
       if (value != "run_to_run" && value != "batch_invariant") {
         r.refuse_value("determinism=batch_invariant and determinism=run_to_run");
       }
       r.problem.determinism =
           value == "run_to_run" ? Determinism::run_to_run : Determinism::batch_invariant;
     }},
    {"softcap", "softcap=NUMBER", Value::needed,
     [](CaseReader& r, std::string_view value) {
       r.problem.score.softcap = r.finite_number(value, "softcap=30");
     }},
    {"alibi", "alibi", Value::none,
     [](CaseReader& r, std::string_view) { r.problem.alibi = true; }},
    {"bias", "bias=AXES", Value::optional,
     [](CaseReader& r, std::string_view value) { r.read_bias(value); }},
    {"allowed", "allowed=AXES", Value::optional,
     [](CaseReader& r, std::string_view value) { r.problem.allowed = r.read_axes(value); }},
    {"intervals", "intervals", Value::optional,
     [](CaseReader& r, std::string_view value) {
       if (!value.empty() && value != "full") r.refuse_value("intervals and intervals=full");
       r.problem.intervals = value.empty() ? Intervals::drawn : Intervals::full;
     }},
    {"blocks", "blocks=QUERIES/KEYS", Value::needed,
     [](CaseReader& r, std::string_view value) { r.read_blocks(value); }},
    {"sink_logits", "sink_logits", Value::none,
     [](CaseReader& r, std::string_view) { r.problem.sink_logits = true; }},
    {"dropout", "dropout=PROBABILITY,SEED,OFFSET", Value::needed,
     [](CaseReader& r, std::string_view value) { r.read_dropout(value); }},
    {"page", "page=SIZE", Value::needed,
     [](CaseReader& r, std::string_view value) { r.problem.page_size = r.whole_number(value); }},
    {"append", "append=KEYS", Value::optional,
     [](CaseReader& r, std::string_view value) { r.read_append(value); }},
    {"rotary", "rotary=DIM,interleaved,BASE", Value::needed,
     [](CaseReader& r, std::string_view value) { r.read_rotary(value); }},
    {"batch_idx", "batch_idx", Value::none,
     [](CaseReader& r, std::string_view) { r.problem.cache_batch_idx = true; }},
    {"leftpad", "leftpad", Value::none,
     [](CaseReader& r, std::string_view) { r.problem.leftpad_k = true; }},
    {"kv", "kv=TYPE:SCALES", Value::needed,
     [](CaseReader& r, std::string_view value) { r.read_kv(value); }},
};

/// Insertions, deletions and replacements between two words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (const char letter : a) {
    std::size_t corner = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = corner + (letter == b[j] ? 0 : 1);
      corner = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::span<const OptionWord> option_words() { return kOptions; }

const OptionWord* nearest_option(std::string_view name) {
  const OptionWord* best = nullptr;
  std::size_t least = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const OptionWord& option : kOptions) {
    const std::size_t distance = edit_distance(name.substr(0, 32), option.name);
    if (distance < least) {
      least = distance;
      best = &option;
    }
  }
  return best;
}

}  // namespace strobe::api
