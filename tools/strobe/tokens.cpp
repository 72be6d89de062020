// The words of a sequence, one a line, for labelling what a row attends to.
// SPDX-License-Identifier: Apache-2.0
#include "tokens.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "harness/file.hpp"
#include "messages.hpp"

namespace strobe::tool {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 28;
constexpr const char* kReplacement = "\xef\xbf\xbd";

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

/// Bytes of the well-formed character at the start of `text`; 0 where there is none.
std::size_t character_bytes(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  const std::size_t bytes = first < 0xc2   ? 0
                            : first < 0xe0 ? 2
                            : first < 0xf0 ? 3
                            : first < 0xf5 ? 4
                                           : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte_at(text, i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte_at(text, 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second >= 0xa0;
  const bool beyond = first == 0xf4 && second >= 0x90;
  return overlong || surrogate || beyond ? 0 : bytes;
}

std::string printable(std::string_view text) {
  std::string word;
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    if (bytes == 0) {
      word += kReplacement;
      text.remove_prefix(1);
    } else {
      word += text.substr(0, bytes);
      text.remove_prefix(bytes);
    }
  }
  return word;
}

}  // namespace

std::vector<std::string> read_tokens(const std::filesystem::path& path, std::int64_t keys) {
  const harness::InputFile file(path);
  if (file.size() > kMostBytes) {
    fail("words-size", fmt::format("{}: {} bytes; a file of words has at most {}", file.name(),
                                   file.size(), kMostBytes));
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));

  std::vector<std::string> words;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    words.push_back(printable(line));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (static_cast<std::int64_t>(words.size()) != keys) {
    fail("words-count", fmt::format("{}: {} words for {} keys; give one line for each key",
                                    file.name(), words.size(), keys));
  }
  return words;
}

std::int64_t width_of(const std::string& word) {
  return std::count_if(word.begin(), word.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

}  // namespace strobe::tool
