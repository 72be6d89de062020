// The case grammar: sizes, type, then a table of options.
// SPDX-License-Identifier: Apache-2.0
#include "api/case_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "api/messages.hpp"

namespace strobe::api {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kSizeLetters = "bhqkd";

/// The types that are computed in.
std::optional<DType> type_named(std::string_view text) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::f64})
    if (text == name_of(type)) return type;
  return std::nullopt;
}

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
     [](CaseReader& r, std::string_view value) {
       r.o_dtype = type_named(value);
       if (!r.o_dtype) r.refuse_value("o=f32 and the type of q, k and v");
     }},
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
    {"page", "page=SIZE"},
    {"kv", "kv=TYPE"},
    {"append", "append"},
    {"rotary", "rotary=DIM"},
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

/// The option that `name` comes near to, or null.
const OptionWord* nearest(std::string_view name) {
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

/// Digits alone, within int64.
std::optional<std::int64_t> parse_whole(std::string_view digits) {
  std::int64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const bool starts = !digits.empty() && digits[0] >= '0' && digits[0] <= '9';
  const auto [stop, status] = std::from_chars(digits.data(), end, number);
  if (!starts || stop != end || status != std::errc{}) return std::nullopt;
  return number;
}

std::vector<Word> split(std::string_view text) {
  std::vector<Word> words;
  std::size_t at = text.find_first_not_of(kBlanks);
  while (at != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    words.push_back({text.substr(at, end - at), words.size() + 1});
    at = text.find_first_not_of(kBlanks, end);
  }
  return words;
}

}  // namespace

std::span<const OptionWord> option_words() { return kOptions; }

std::optional<std::string_view> Word::value() const {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  return text.substr(equals + 1);
}

std::string Word::quoted() const {
  constexpr std::size_t kShown = 40;
  std::string shown(text.substr(0, kShown));
  for (char& letter : shown) {
    if (letter < ' ' || letter > '~') letter = '?';
  }
  return "word " + std::to_string(number) + " \"" + shown + (text.size() > kShown ? "...\"" : "\"");
}

CaseReader::CaseReader(std::string_view text, const Problem& start, const char* where)
    : problem(start), words_(split(text)), where_(where) {}

Problem CaseReader::read_case() {
  for (const Word& word : words_) {
    word_ = word;
    if (!read_size() && !read_type()) read_option();
  }
  for (const std::string_view needed : {"h", "q", "d"}) {
    if (seen(needed)) continue;
    fail("case-missing", where_,
         {"the case has no size ", needed,
          "; it takes at least heads, queries and head_dim, as in ", "\"h8 q1024 d64\""});
  }
  if (!seen("k")) problem.seqlen_k = problem.seqlen_q;
  finish();
  return problem;
}

Problem CaseReader::read_options() {
  for (const Word& word : words_) {
    word_ = word;
    if (read_size() || read_type()) {
      fail("case-size", where_,
           {word_.quoted(), " is a size or a type, and these come from the tensors here; ",
            "leave it out and keep the options"});
    }
    read_option();
  }
  finish();
  return problem;
}

/// Types that depend on q's, which may stand anywhere in the case.
void CaseReader::finish() {
  problem.o_dtype = o_dtype.value_or(problem.dtype);
  if (problem.bias.given) problem.bias_dtype = bias_f32 ? DType::f32 : problem.dtype;
}

bool CaseReader::read_size() {
  const std::string_view text = word_.text;
  if (kSizeLetters.find(text[0]) == std::string_view::npos) return false;
  // a letter or '_' after the first makes it another word: bf16, kv=..., blocks=...
  if (text.size() > 1 && ((text[1] >= 'a' && text[1] <= 'z') || text[1] == '_')) return false;
  note(text.substr(0, 1));
  const std::size_t slash = text.find('/');
  const std::int64_t first = whole_number(text.substr(1, slash - 1));
  std::optional<std::int64_t> second;
  if (slash != std::string_view::npos) {
    if (text[0] != 'h' && text[0] != 'd') {
      refuse_value("h32/8 (heads/kv heads) and d128/64 (head_dim/head_dim_v) with a \"/\"");
    }
    second = whole_number(text.substr(slash + 1));
  }
  set_size(text[0], first, second);
  return true;
}

void CaseReader::set_size(char letter, std::int64_t first, std::optional<std::int64_t> second) {
  switch (letter) {
    case 'b': problem.batch = first; break;
    case 'q': problem.seqlen_q = first; break;
    case 'k': problem.seqlen_k = first; break;
    case 'h':
      problem.num_heads = first;
      problem.num_heads_kv = second.value_or(first);
      break;
    default:
      problem.head_dim = first;
      problem.head_dim_v = second.value_or(first);
      break;
  }
}

bool CaseReader::read_type() {
  const std::string_view text = word_.text;
  const std::optional<DType> type = type_named(text);
  if (!type) return false;
  note("type");
  problem.dtype = *type;
  return true;
}

void CaseReader::read_option() {
  const OptionWord* option = std::ranges::find(kOptions, word_.name(), &OptionWord::name);
  if (option == std::end(kOptions)) refuse_unknown();
  if (option->read == nullptr) {
    fail("case-later", where_,
         {word_.quoted(), " asks for ", option->name,
          ", which this version does not answer yet; leave it out"});
  }
  note(option->name);
  const std::optional<std::string_view> value = word_.value();
  if (value ? option->value == Value::none : option->value == Value::needed) {
    refuse_value(std::string(option->form) + (value ? ", without a value" : ""));
  }
  option->read(*this, value.value_or(""));
}

std::int64_t CaseReader::whole_number(std::string_view digits) const {
  const std::optional<std::int64_t> number = parse_whole(digits);
  if (!number) {
    fail("case-number", where_,
         {word_.quoted(), " lacks a number where one is needed; write whole numbers from 0 to ",
          std::numeric_limits<std::int64_t>::max(), " in digits alone, as in q1024 or chunk=512"});
  }
  return *number;
}

void CaseReader::read_window(std::string_view value) {
  const auto side = [this](std::string_view text) {
    const std::optional<std::int64_t> number = text == "-1" ? -1 : parse_whole(text);
    if (!number) {
      refuse_value("window=LEFT,RIGHT, two numbers of keys, -1 for all, as in window=128,0");
    }
    return *number;
  };
  const std::size_t comma = std::min(value.find(','), value.size());
  problem.mask.left = side(value.substr(0, comma));
  problem.mask.right = side(value.substr(std::min(comma + 1, value.size())));
}

double CaseReader::finite_number(std::string_view value, const char* example) const {
  double number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, status] = std::from_chars(value.data(), end, number);
  if (stop != end || status != std::errc{} || !std::isfinite(number)) {
    refuse_value(std::string("a finite decimal number, as in ") + example);
  }
  return number;
}

PairAxes CaseReader::read_axes(std::string_view value) const {
  if (value.empty()) return {true, true, true, true, true};
  constexpr std::string_view kAxes = "b,h,q,k";
  bool own[4] = {};
  bool good = value.size() == kAxes.size();
  for (std::size_t i = 0; good && i < kAxes.size(); ++i) {
    good = value[i] == kAxes[i] || (i % 2 == 0 && value[i] == '1');
    if (i % 2 == 0) own[i / 2] = value[i] != '1';
  }
  if (!good) {
    refuse_value(std::string(word_.name()) + "=b,h,q,k, each letter or a 1 where the axis is " +
                 "broadcast, as in " + std::string(word_.name()) + "=1,h,q,k");
  }
  return {true, own[0], own[1], own[2], own[3]};
}

void CaseReader::read_bias(std::string_view value) {
  const std::size_t colon = std::min(value.find(':'), value.size());
  const std::string_view type = value.substr(colon);
  if (!type.empty() && type != ":f32") {
    refuse_value("bias=AXES in the type of q, and bias=AXES:f32, as in bias=1,h,q,k:f32");
  }
  bias_f32 = !type.empty();
  problem.bias = read_axes(value.substr(0, colon));
}

void CaseReader::read_blocks(std::string_view value) {
  const std::size_t slash = std::min(value.find('/'), value.size());
  problem.mask.block_q = whole_number(value.substr(0, slash));
  problem.mask.block_k =
      slash < value.size() ? whole_number(value.substr(slash + 1)) : problem.mask.block_q;
}

void CaseReader::read_dropout(std::string_view value) {
  const std::size_t first = std::min(value.find(','), value.size());
  const std::string_view rest = value.substr(std::min(first + 1, value.size()));
  const std::size_t second = std::min(rest.find(','), rest.size());
  const auto word = [this](std::string_view digits) {
    std::uint64_t number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, status] = std::from_chars(digits.data(), end, number);
    if (digits.empty() || stop != end || status != std::errc{}) {
      refuse_value("dropout=PROBABILITY, then a seed of 64 bits and an offset below 2^27, as in " +
                   std::string("dropout=0.1,42,0"));
    }
    return number;
  };
  problem.dropout.probability = finite_number(value.substr(0, first), "dropout=0.1");
  if (first < value.size()) problem.dropout.seed = word(rest.substr(0, second));
  if (second < rest.size()) problem.dropout.offset = word(rest.substr(second + 1));
}

void CaseReader::set_storage(Storage storage) {
  if (seen("varlen") && seen("seqlens")) {
    fail("case-storage", where_,
         {word_.quoted(), " joins varlen and seqlens in one case, which the grammar cannot draw ",
          "tensors for; name one of them"});
  }
  problem.storage = storage;
}

bool CaseReader::seen(std::string_view name) const {
  return std::ranges::find(seen_, name) != seen_.end();
}

void CaseReader::note(std::string_view name) {
  if (seen(name)) {
    fail("case-repeated", where_,
         {word_.quoted(), " gives ", name,
          " a second time; each size, the type and each option may ", "come once"});
  }
  seen_.push_back(name);
}

void CaseReader::refuse_value(std::string_view accepted) const {
  fail("case-value", where_, {word_.quoted(), " is not understood; accepted: ", accepted});
}

void CaseReader::refuse_unknown() const {
  if (const OptionWord* near = nearest(word_.name())) {
    fail("case-word", where_,
         {word_.quoted(), " is not a word of the case grammar; did you mean ", near->form, "?"});
  }
  std::string known;
  for (const OptionWord& option : kOptions) {
    if (option.read == nullptr) continue;
    known += ' ';
    known += option.name;
  }
  fail("case-word", where_,
       {word_.quoted(), " is not a word of the case grammar; sizes are b h q k d with a number, ",
        "types f32, f16, bf16 and f64, options", known});
}

}  // namespace strobe::api
