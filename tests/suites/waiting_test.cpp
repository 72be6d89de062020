// No case waits for a word that the library takes.
// SPDX-License-Identifier: Apache-2.0
#include "tests/suites/waiting.hpp"

#include <gtest/gtest.h>

#include "strobe/error.hpp"
#include "strobe/problem.hpp"

namespace strobe {
namespace {

TEST(Waiting, IsForWordsThatAreRefused) {
  for (const testing::WaitingWord& word : testing::kWaiting) {
    const std::string text = "h1 q1 d1 " + std::string(word.example);
    try {
      (void)Problem::parse(text);
      ADD_FAILURE() << "\"" << text << "\" is taken: strike " << word.name
                    << " from tests/suites/waiting.hpp, and its cases will run";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unsupported) << error.what();
    }
  }
}

TEST(Waiting, IsSeenInACase) {
  EXPECT_EQ(testing::waits_for("h1 q1 d1 bf16 causal"), "");
  EXPECT_EQ(testing::without_waiting("h1 q1 d1 causal"), "h1 q1 d1 causal ");
  for (const testing::WaitingWord& word : testing::kWaiting) {
    const std::string example(word.example);
    EXPECT_EQ(testing::waits_for("h1 q1 " + example + " d1"), example);
    EXPECT_EQ(testing::without_waiting("h1 q1 " + example + " d1"), "h1 q1 d1 ");
  }
}

}  // namespace
}  // namespace strobe
