// The case grammar: words become sizes, a type, and what the table of options says.
// SPDX-License-Identifier: Apache-2.0
#include "api/case_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
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

/// What depends on sizes and type, which may stand anywhere in the case.
void CaseReader::finish() {
  problem.o_dtype = o_dtype.value_or(problem.dtype);
  if (problem.bias.given) problem.bias_dtype = bias_f32 ? DType::f32 : problem.dtype;
  if (appends_queries) problem.seqlen_new = problem.seqlen_q;
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
  const std::span<const OptionWord> words = option_words();
  const auto option = std::ranges::find(words, word_.name(), &OptionWord::name);
  if (option == words.end()) refuse_unknown();
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

void CaseReader::read_append(std::string_view value) {
  appends_queries = value.empty();
  if (!appends_queries) problem.seqlen_new = whole_number(value);
}

void CaseReader::read_rotary(std::string_view value) {
  const auto next_part = [&value] {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view part = value.substr(0, comma);
    value.remove_prefix(comma);
    return part;
  };
  const auto another = [&value] {
    if (value.empty()) return false;
    value.remove_prefix(1);  // the comma
    return true;
  };
  problem.rotary.dim = whole_number(next_part());
  if (!another()) return;
  std::string_view part = next_part();
  problem.rotary.interleaved = part == "interleaved";
  if (problem.rotary.interleaved) {
    if (!another()) return;
    part = next_part();
  }
  problem.rotary.base = finite_number(part, "rotary=128,interleaved,500000");
  if (another())
    refuse_value("rotary=DIM, then interleaved, then a base, as in rotary=128,interleaved,500000");
}

void CaseReader::read_kv(std::string_view value) {
  const std::size_t colon = std::min(value.find(':'), value.size());
  const auto* const type = std::ranges::find(kKvWords, value.substr(0, colon), &KvWord::name);
  const auto scales = colon == value.size()
                          ? std::begin(kKvScaleWords)
                          : std::ranges::find(kKvScaleWords, value.substr(colon + 1));
  if (type == std::end(kKvWords) || scales == std::end(kKvScaleWords) ||
      (scales->empty() && colon < value.size())) {
    refuse_value(
        "kv=e4m3, e5m2, int8 or int4, then the scales, tensor, head, token or group, as in "
        "kv=int8:token");
  }
  problem.kv_dtype = type->dtype;
  problem.kv_scales =
      scales->empty() ? type->scales : static_cast<KvScales>(scales - std::begin(kKvScaleWords));
}

void CaseReader::read_output_type(std::string_view value) {
  o_dtype = type_named(value);
  if (!o_dtype) refuse_value("o=f32 and the type of q, k and v");
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
  if (const OptionWord* near = nearest_option(word_.name())) {
    fail("case-word", where_,
         {word_.quoted(), " is not a word of the case grammar; did you mean ", near->form, "?"});
  }
  std::string known;
  for (const OptionWord& option : option_words()) {
    known += ' ';
    known += option.name;
  }
  fail("case-word", where_,
       {word_.quoted(), " is not a word of the case grammar; sizes are b h q k d with a number, ",
        "types f32, f16, bf16 and f64, options", known});
}

}  // namespace strobe::api
