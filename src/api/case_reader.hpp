// Reads the case grammar of docs/cases.md, word by word.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strobe/problem.hpp"

namespace strobe::api {

/// One word of a case, and where it stands.
struct Word {
  std::string_view text;
  std::size_t number = 0;  ///< 1 for the first

  /// The part before '=', or all of it.
  std::string_view name() const { return text.substr(0, text.find('=')); }
  /// The part after '='; not given where the word has none.
  std::optional<std::string_view> value() const;
  /// `word 3 "cuasal"`, for messages; long or unprintable words are cut.
  std::string quoted() const;
};

/// Turns words into a problem. Each word changes one thing, and no word may come twice.
class CaseReader {
 public:
  /// `start` holds what the words do not say; `where` starts the messages.
  CaseReader(std::string_view text, const Problem& start, const char* where);

  /// Sizes, type and options. Throws where h, q or d is missing.
  Problem read_case();
  /// Options alone. A size or a type among them is an error.
  Problem read_options();

  // What the option words do with their values.
  std::int64_t whole_number(std::string_view digits) const;
  void read_window(std::string_view value);
  double finite_number(std::string_view value, const char* example) const;
  PairAxes read_axes(std::string_view value) const;
  void read_bias(std::string_view value);
  void read_blocks(std::string_view value);
  void read_dropout(std::string_view value);
  void read_append(std::string_view value);
  void read_rotary(std::string_view value);
  void read_kv(std::string_view value);
  void read_output_type(std::string_view value);
  void set_storage(Storage storage);
  [[noreturn]] void refuse_value(std::string_view accepted) const;

  Problem problem;
  std::optional<DType> o_dtype;
  bool bias_f32 = false;         // bias=...:f32
  bool appends_queries = false;  // append without a number: as many keys as queries

 private:
  bool read_size();
  bool read_type();
  void read_option();
  void set_size(char letter, std::int64_t first, std::optional<std::int64_t> second);
  void finish();
  bool seen(std::string_view name) const;
  void note(std::string_view name);
  [[noreturn]] void refuse_unknown() const;

  std::vector<Word> words_;
  Word word_{};  // the one being read
  std::vector<std::string_view> seen_;
  const char* where_;
};

enum class Value : std::int32_t { none, needed, optional };

/// An option of the grammar, for whoever lists them.
struct OptionWord {
  std::string_view name;
  std::string_view form;  ///< "window=LEFT,RIGHT"
  Value value = Value::none;
  void (*read)(CaseReader& reader, std::string_view value) = nullptr;
};
std::span<const OptionWord> option_words();

/// The option that `name` comes near to, or null.
const OptionWord* nearest_option(std::string_view name);

/// A type of a quantised cache as the grammar names it, and the scales that it has unless told.
struct KvWord {
  std::string_view name;
  DType dtype;
  KvScales scales;
};
inline constexpr KvWord kKvWords[] = {{"e4m3", DType::e4m3, KvScales::tensor},
                                      {"e5m2", DType::e5m2, KvScales::tensor},
                                      {"int8", DType::i8, KvScales::token},
                                      {"int4", DType::i4, KvScales::group}};
/// By their number.
inline constexpr std::string_view kKvScaleWords[] = {"", "tensor", "head", "token", "group"};

/// The words of a problem that ask for a cache, which decode alone has: "page=16 append".
std::string cache_words(const Problem& problem);

}  // namespace strobe::api
