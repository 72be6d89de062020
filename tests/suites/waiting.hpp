// Words of the case grammar that the replayed suites use and that this version does not take yet.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace strobe::testing {

struct WaitingWord {
  std::string_view name;
  std::string_view example;
};

/// The one list of them: a case with such a word is skipped. A test fails as soon as the library
/// takes one that still stands here.
inline constexpr std::array<WaitingWord, 0> kWaiting{};

inline std::vector<std::string> words_of(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

inline bool is_waited_for(const std::string& word) {
  return std::ranges::find(kWaiting, word.substr(0, word.find('=')), &WaitingWord::name) !=
         std::ranges::end(kWaiting);
}

/// The words that a case waits for, blanks between; empty where it can be run.
inline std::string waits_for(const std::string& text) {
  std::string waiting;
  for (const std::string& word : words_of(text))
    if (is_waited_for(word)) waiting += (waiting.empty() ? "" : " ") + word;
  return waiting;
}

/// The case without those words: sizes and all else that can be read today.
inline std::string without_waiting(const std::string& text) {
  std::string rest;
  for (const std::string& word : words_of(text))
    if (!is_waited_for(word)) rest += word + " ";
  return rest;
}

}  // namespace strobe::testing
