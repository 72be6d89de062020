// docs/errors.md, the table of messages and the tests name the same messages.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "api/case_reader.hpp"
#include "api/messages.hpp"

namespace strobe::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = ".";  // where the tests of a build are run

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// One "### id" of docs/errors.md with all that follows up to the next heading.
struct Paragraph {
  std::string id;
  std::string text;
};

std::vector<Paragraph> paragraphs() {
  std::vector<Paragraph> found;
  std::istringstream lines(contents(kRoot / "docs" / "errors.md"));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) {
      inside = line.starts_with("### ");
      if (inside) found.push_back({line.substr(4), ""});
    } else if (inside) {
      found.back().text += line + "\n";
    }
  }
  return found;
}

/// The messages that a paragraph quotes: indented lines that end in its "[id]".
std::vector<std::string> quotes(const Paragraph& paragraph) {
  std::vector<std::string> found;
  std::istringstream lines(paragraph.text);
  const std::string end = "[" + paragraph.id + "]";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("    ") && line.ends_with(end)) found.push_back(line.substr(4));
  }
  return found;
}

/// All test sources, with the literals that a line break cuts joined again.
std::string test_sources() {
  std::string text;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    const fs::path extension = entry.path().extension();
    if (extension == ".cpp" || extension == ".py") text += contents(entry.path());
  }
  text = std::regex_replace(text, std::regex("\"\\s*\n\\s*f?\""), "");
  return std::regex_replace(text, std::regex("\\\\\""), "\"");
}

/// Messages that no test can provoke, and why.
const std::set<std::string_view> kNotProvoked = {
    "plan-kernel",  // the portable kernels take every problem that passes the checks
};

TEST(ErrorsDoc, HasAParagraphForEachMessageInTheOrderOfTheTable) {
  std::vector<std::string> documented;
  for (const Paragraph& paragraph : paragraphs()) documented.push_back(paragraph.id);
  std::vector<std::string> known;
  for (const api::Message& message : api::kMessages) known.emplace_back(message.id);
  EXPECT_EQ(documented, known);
}

TEST(ErrorsDoc, GivesMessageCodeCauseAndFix) {
  for (const Paragraph& paragraph : paragraphs()) {
    EXPECT_FALSE(quotes(paragraph).empty()) << paragraph.id << " quotes no message";
    EXPECT_NE(paragraph.text.find("**Cause.** "), std::string::npos) << paragraph.id;
    EXPECT_NE(paragraph.text.find("**Fix.** "), std::string::npos) << paragraph.id;
  }
}

TEST(ErrorsDoc, NamesTheCodeOfEachMessage) {
  const char* const names[] = {"", "invalid_argument", "unsupported", "out_of_memory", "device"};
  for (const Paragraph& paragraph : paragraphs()) {
    const auto* const row = std::ranges::find(api::kMessages, paragraph.id, &api::Message::id);
    ASSERT_NE(row, std::end(api::kMessages)) << paragraph.id;
    const std::string code = std::string("`") + names[static_cast<int>(row->code)] + "`";
    EXPECT_TRUE(paragraph.text.starts_with("\n" + code)) << paragraph.id << " is " << code;
  }
}

/// A quote may leave out numbers of the machine: what stands around each "..." must be in a test.
TEST(ErrorsDoc, QuotesMessagesThatTestsProvoke) {
  const std::string tests = test_sources();
  for (const Paragraph& paragraph : paragraphs()) {
    if (kNotProvoked.contains(paragraph.id)) continue;
    for (const std::string& quote : quotes(paragraph)) {
      std::size_t begin = 0;
      while (begin < quote.size()) {
        const std::size_t end = std::min(quote.find("...", begin), quote.size());
        const std::string part = quote.substr(begin, end - begin);
        EXPECT_NE(tests.find(part), std::string::npos) << "no test expects: " << part;
        begin = end + 3;
      }
    }
  }
}

/// Errors are made in two places, which take an id: api::error, and the tool's fail.
TEST(Errors, AllHaveAnId) {
  const std::regex throws("throw\\s+(strobe::)?Error\\b");
  for (const char* const folder : {"include", "src", "harness", "tools", "examples"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const fs::path extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".hpp") continue;
      if (entry.path() == kRoot / "tools" / "strobe" / "messages.hpp") continue;
      EXPECT_FALSE(std::regex_search(contents(entry.path()), throws))
          << entry.path() << " throws an Error without an id; use api::fail or api::error";
    }
  }
}

TEST(CasesDoc, ListsEveryOption) {
  const std::string text =  // in a table "|" is written "\\|"
      std::regex_replace(contents(kRoot / "docs" / "cases.md"), std::regex(R"(\\\|)"), "|");
  for (const api::OptionWord& option : api::option_words()) {
    const std::string form = std::string("`") + std::string(option.form) + "`";
    EXPECT_NE(text.find(form), std::string::npos) << form;
  }
}

TEST(CasesDoc, QuotesCasesThatParse) {
  std::istringstream lines(contents(kRoot / "docs" / "cases.md"));
  int found = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("    ") || line.find(" q") == std::string::npos) continue;
    ++found;
    const std::string text = line.substr(4);
    EXPECT_EQ(Problem::parse(text).to_string(), text);
  }
  EXPECT_GE(found, 5);
}

}  // namespace
}  // namespace strobe::test
