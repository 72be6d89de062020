// How a message is put together.
// SPDX-License-Identifier: Apache-2.0
#include "api/messages.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace strobe::api {

Piece::Piece(double number) {
  std::array<char, 32> digits{};
  const auto [end, status] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  text_.assign(digits.data(), end);
  static_cast<void>(status);  // the shortest form of a double takes at most 24 characters
}

Piece::Piece(const Shape& shape) {
  text_ += '[';
  for (int axis = 0; axis < std::min(shape.rank(), Shape::kMaxRank); ++axis) {
    if (axis > 0) text_ += ", ";
    text_ += std::to_string(shape[axis]);
  }
  text_ += shape.rank() > Shape::kMaxRank ? ", ...]" : "]";
}

Error error(MessageId id, std::string_view text) {
  const Message& message = id.message();
  return {message.code, std::string(text) + " [" + std::string(message.id) + "]"};
}

void fail(MessageId id, std::string_view where, std::initializer_list<Piece> pieces) {
  std::string text(where);
  text += ": ";
  for (const Piece& piece : pieces) text += piece.text();
  throw error(id, text);
}

}  // namespace strobe::api
