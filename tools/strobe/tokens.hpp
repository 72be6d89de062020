// The words of a sequence, one a line, for labelling what a row attends to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strobe::tool {

/// Control bytes and bytes that are not UTF-8 become U+FFFD, so that every word can be printed.
/// Throws Error(invalid_argument) unless there is exactly one word for each of the `keys` keys.
std::vector<std::string> read_tokens(const std::filesystem::path& path, std::int64_t keys);

/// Characters, not bytes.
std::int64_t width_of(const std::string& word);

}  // namespace strobe::tool
