// Files: read without trust, written whole or not at all.
// SPDX-License-Identifier: Apache-2.0
#include "harness/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "api/messages.hpp"

namespace strobe::harness {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail(api::MessageId id, const std::string& name, const char* what, int error) {
  if (error == ENOMEM) throw std::bad_alloc();  // not the file's fault
  throw api::error(id, fmt::format("{}: {}: {}", name, what, reason(error)));
}

/// A name in the target's folder that no other process and no other call of this one picks.
std::filesystem::path temporary_beside(const std::filesystem::path& target) {
  static std::atomic<unsigned> count{0};
  return target.parent_path() / fmt::format(".strobe-{}-{}.tmp", getpid(), count++);
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string result = "\"";
  for (const char c : text.substr(0, kShown)) {
    const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
    result += plain ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return result + (text.size() > kShown ? "...\"" : "\"");
}

InputFile::InputFile(const std::filesystem::path& path) : name_(path.string()) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail("file-open", name_, "cannot be opened", errno);
  struct stat status {};
  const bool regular = fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular) {
    close(descriptor_);
    throw api::error(
        "file-open",
        name_ + ": is not a regular file; tensors are read from .safetensors and .npy files");
  }
  size_ = status.st_size;
}

InputFile::~InputFile() { close(descriptor_); }

void InputFile::read(std::int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = pread(descriptor_, out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("file-read", name_, "cannot be read", errno);
    if (got == 0)
      throw api::error("file-truncated",
                       fmt::format("{}: ends at byte {}, {} bytes early; it is truncated", name_,
                                   offset, out.size()));
    out = out.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
}

OutputFile::OutputFile(const std::filesystem::path& path) : target_(path), name_(path.string()) {
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode))
    throw api::error(
        "file-output",
        name_ + ": exists and is not a regular file; name a file to write or to replace");
  std::error_code error;
  if (exists) target_ = std::filesystem::canonical(path, error);  // a link keeps pointing to it
  if (error) fail("file-output", name_, "cannot be written", error.value());

  temporary_ = temporary_beside(target_);
  const mode_t mode = exists ? status.st_mode & 0777 : 0666;
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor_ < 0) fail("file-output", name_, "cannot be written", errno);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("file-write", name_, "cannot be written", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void OutputFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void OutputFile::finish() {
  if (descriptor_ < 0) return;
  // Some file systems report a full disk only here.
  if (close(std::exchange(descriptor_, -1)) != 0)
    fail("file-write", name_, "cannot be written", errno);
}

void OutputFile::commit() {
  finish();
  if (rename(temporary_.c_str(), target_.c_str()) != 0)
    fail("file-write", name_, "cannot be put in place", errno);
  temporary_.clear();
}

}  // namespace strobe::harness
