// A way to get one message, and what it must say.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <string>

#include "api/messages.hpp"
#include "strobe/error.hpp"

namespace strobe::test {

struct Provocation {
  const char* name;  ///< of the test; CamelCase
  void (*act)();
  const char* text;  ///< the whole message, "[id]" at its end
};

inline std::ostream& operator<<(std::ostream& out, const Provocation& p) { return out << p.name; }

inline std::string name_of_test(const testing::TestParamInfo<Provocation>& info) {
  return info.param.name;
}

/// The code that the table gives for the id in brackets at the end of `text`.
inline Code code_of_text(const std::string& text) {
  const std::size_t bracket = text.rfind('[') + 1;
  const std::string id = text.substr(bracket, text.size() - 1 - bracket);
  const auto* const row = std::ranges::find(api::kMessages, id, &api::Message::id);
  if (row == std::end(api::kMessages)) {
    ADD_FAILURE() << "no message has the id " << id;
    return Code::device;
  }
  return row->code;
}

inline void expect_message(const Provocation& provocation) {
  try {
    provocation.act();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), provocation.text);
    EXPECT_EQ(error.code(), code_of_text(provocation.text));
    return;
  }
  ADD_FAILURE() << "nothing was thrown";
}

}  // namespace strobe::test
