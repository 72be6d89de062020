// Files: read without trust, written whole or not at all.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace strobe::harness {

/// What a file holds, fit for a message: in quotes, everything but plain ASCII as \xNN, and cut
/// after 80 characters.
std::string printable(std::string_view text);

/// A regular file that is open for reading. Errors name the file and the system's reason.
class InputFile {
 public:
  /// Throws Error(invalid_argument) when it cannot be opened or is not a regular file.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// Size when it was opened.
  std::int64_t size() const { return size_; }
  /// The path, for messages.
  const std::string& name() const { return name_; }
  /// Fills `out` from `offset`. Throws Error(invalid_argument) when the file ends before,
  /// Error(device) when the system cannot read.
  void read(std::int64_t offset, std::span<std::byte> out) const;

 private:
  std::string name_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

/// A file in the making: a temporary file beside the target, which commit() renames into place. A
/// target that exists stays as it is until then, for good when commit() is never reached.
/// Errors carry the system's reason: Error(invalid_argument) where the file cannot be made (no such
/// folder, no permission, a folder of that name), Error(device) where writing fails (disk full).
class OutputFile {
 public:
  /// The target may exist, as a regular file or a link to one.
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Hands everything to the system and closes, so that commit() is left with the rename alone.
  void finish();
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  std::string name_;
  int descriptor_ = -1;
};

}  // namespace strobe::harness
