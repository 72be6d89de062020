// Any text is a case or an Error; a case prints itself, reads itself back and can be explained.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bytes.hpp"
#include "strobe/strobe.hpp"

namespace strobe::fuzz {
namespace {

void require_refusal(const Error& error) {
  require(error.code() == Code::invalid_argument || error.code() == Code::unsupported,
          "a text is refused as a wrong or an unsupported case", error.what());
}

void explain_anywhere(const Problem& problem) {
  try {
    const std::string text = explain(problem, {.threads = 2, .backend = "cpu:portable"});
    require(!text.empty(), "explain says something");
  } catch (const Error& error) {
    require_refusal(error);
  }
}

void read_case(std::string_view text) {
  try {
    const Problem problem = Problem::parse(text);
    const std::string printed = problem.to_string();
    require(Problem::parse(printed) == problem, "parse(to_string(p)) == p", printed);
    explain_anywhere(problem);
  } catch (const Error& error) {
    require_refusal(error);
  }
}

void read_options(std::string_view text) {
  try {
    const Problem sizes{.seqlen_q = 5, .seqlen_k = 7};
    const Problem problem = Problem::parse_options(text, sizes);
    const std::string printed = problem.options_to_string();
    require(Problem::parse_options(printed, sizes) == problem,
            "parse_options(options_to_string(p)) == p", printed);
  } catch (const Error& error) {
    require_refusal(error);
  }
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  strobe::fuzz::read_case(text);
  strobe::fuzz::read_options(text);
  return 0;
}
