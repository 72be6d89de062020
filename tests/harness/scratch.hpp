// What the tests of files share: a folder of their own, bytes in and out, messages of errors.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "strobe/error.hpp"
#include "strobe/tensor.hpp"

namespace strobe::harness {

inline constexpr DType kEveryType[] = {DType::f32,  DType::f64, DType::f16,
                                       DType::bf16, DType::i32, DType::boolean};

/// Names a test by its type.
inline std::string type_name(const ::testing::TestParamInfo<DType>& info) {
  return name_of(info.param);
}

/// A fresh folder for each test, removed after it.
class ScratchTest : public ::testing::Test {
 protected:
  ScratchTest() {
    const ::testing::TestInfo& info = *::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(info.test_suite_name()) + "." + info.name();
    for (char& c : name)
      if (c == '/') c = '_';
    folder_ = std::filesystem::temp_directory_path() /
              ("strobe_" + name + "_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~ScratchTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

  /// Writes a file and gives its path.
  std::filesystem::path file(const std::string& name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

  /// A message without the folder that its path starts with.
  std::string without_folder(const std::string& message) const {
    const std::string start = path("").string();
    EXPECT_TRUE(message.starts_with(start)) << message;
    return message.substr(std::min(message.size(), start.size()));
  }

  /// How many entries the folder has: temporary files that stayed would show.
  std::ptrdiff_t entries() const {
    return std::distance(std::filesystem::directory_iterator(folder_), {});
  }

 private:
  std::filesystem::path folder_{};
};

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// `count` bytes of a number, the lowest first.
inline std::string little_endian(std::uint64_t number, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xff);
  return bytes;
}

/// The message of the Error that `call` throws; fails where it throws none or one of another code.
template <class Call>
std::string message_of(Call&& call, Code code = Code::invalid_argument) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace strobe::harness
