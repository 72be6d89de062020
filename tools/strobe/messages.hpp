// Every message of the tool's own by its id, as src/api/messages.hpp has the library's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "strobe/error.hpp"

namespace strobe::tool {

struct Message {
  std::string_view id;
  Code code;
};

/// To add a message: a row here, a paragraph "#### id" in docs/errors.md, a test in tests/cli that
/// provokes it. tests/cli/messages_test.py compares the three.
inline constexpr std::array kMessages{
    Message{"command-line", Code::invalid_argument},
    Message{"standard-output", Code::device},
    Message{"memory-nothing", Code::out_of_memory},
    Message{"op-unknown", Code::invalid_argument},
    Message{"op-later", Code::unsupported},
    Message{"threads-range", Code::invalid_argument},
    Message{"seed-number", Code::invalid_argument},
    Message{"values-unknown", Code::invalid_argument},
    Message{"output-place", Code::invalid_argument},
    Message{"output-input", Code::invalid_argument},
    Message{"run-output-missing", Code::invalid_argument},
    Message{"run-output-kind", Code::invalid_argument},
    Message{"run-input-missing", Code::invalid_argument},
    Message{"run-tensor-twice", Code::invalid_argument},
    Message{"run-rank", Code::invalid_argument},
    Message{"run-varlen", Code::invalid_argument},
    Message{"run-seqlens", Code::invalid_argument},
    Message{"run-option", Code::invalid_argument},
    Message{"run-blocks", Code::invalid_argument},
    Message{"run-axes", Code::invalid_argument},
    Message{"run-number", Code::invalid_argument},
    Message{"report-compare", Code::invalid_argument},
    Message{"row-part", Code::invalid_argument},
    Message{"row-missing", Code::invalid_argument},
    Message{"row-number", Code::invalid_argument},
    Message{"row-range", Code::invalid_argument},
    Message{"words-row", Code::invalid_argument},
    Message{"words-count", Code::invalid_argument},
    Message{"words-size", Code::invalid_argument},
    Message{"picture-row", Code::invalid_argument},
    Message{"picture-words", Code::invalid_argument},
    Message{"bench-cases", Code::invalid_argument},
    Message{"bench-suite", Code::invalid_argument},
    Message{"bench-compare", Code::invalid_argument},
    Message{"bench-pages", Code::unsupported},
    Message{"bench-hot", Code::invalid_argument},
    Message{"memory-size", Code::invalid_argument},
    Message{"memory-case", Code::out_of_memory},
};

/// A row of kMessages; an id that is not in the table does not compile.
class MessageId {
 public:
  consteval MessageId(const char* id) : row_(find(id)) {}
  constexpr const Message& message() const { return kMessages[row_]; }

 private:
  static consteval std::size_t find(std::string_view id) {
    std::size_t row = 0;
    while (kMessages[row].id != id) ++row;  // past the end: not a constant expression
    return row;
  }
  std::size_t row_;
};

/// Throws Error with "text [id]" and the code of the id's row. The text says what is wrong with the
/// numbers, what would be accepted, and what to do.
[[noreturn]] inline void fail(MessageId id, const std::string& text) {
  throw Error(id.message().code, text + " [" + std::string(id.message().id) + "]");
}

}  // namespace strobe::tool
