// Tests of harness/file.hpp: files that are hard to read, and files that are written whole or not.
// SPDX-License-Identifier: Apache-2.0
#include "harness/file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "scratch.hpp"

namespace strobe::harness {
namespace {

using FileTest = ScratchTest;

/// Lets files grow to a size at most, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : before_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit tight{bytes, limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    signal(SIGXFSZ, before_);
  }

 private:
  rlimit limit_{};
  void (*before_)(int);
};

TEST_F(FileTest, ReadsBytesFromAnywhere) {
  const InputFile input(file("a", "0123456789"));
  std::array<std::byte, 3> out{};
  input.read(4, out);
  EXPECT_EQ(input.size(), 10);
  EXPECT_EQ(out[0], std::byte{'4'});
  EXPECT_EQ(out[2], std::byte{'6'});
}

TEST_F(FileTest, SaysThatAFileEndsEarly) {
  const InputFile input(file("a", "0123456789"));
  std::array<std::byte, 8> out{};
  EXPECT_EQ(without_folder(message_of([&] { input.read(4, out); })),
            "a: ends at byte 10, 2 bytes early; it is truncated [file-truncated]");
}

TEST_F(FileTest, SaysWhyAFileCannotBeOpened) {
  EXPECT_EQ(without_folder(message_of([&] { InputFile input(path("none")); })),
            "none: cannot be opened: No such file or directory [file-open]");
}

TEST_F(FileTest, ReadsNeitherFoldersNorPipes) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  std::filesystem::create_directory(path("folder"));
  EXPECT_EQ(without_folder(message_of([&] { InputFile input(path("folder")); })),
            "folder: is not a regular file; tensors are read from .safetensors and .npy files "
            "[file-open]");
  EXPECT_EQ(without_folder(message_of([&] { InputFile input(path("pipe")); })),
            "pipe: is not a regular file; tensors are read from .safetensors and .npy files "
            "[file-open]");
}

TEST_F(FileTest, SaysWhyAFileCannotBeRead) {
  const InputFile input("/proc/self/mem");  // regular, and no memory lies at address 0
  std::array<std::byte, 8> out{};
  EXPECT_EQ(message_of([&] { input.read(0, out); }, Code::device),
            "/proc/self/mem: cannot be read: Input/output error [file-read]");
}

TEST_F(FileTest, AppearsOnlyWhenCommitted) {
  OutputFile output(path("out"));
  output.write("hello");
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  output.commit();
  EXPECT_EQ(bytes_of(path("out")), "hello");
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, LeavesNothingBehindWithoutCommit) {
  file("out", "before");
  {
    OutputFile output(path("out"));
    output.write("half of the new content");
    output.finish();
    EXPECT_EQ(entries(), 2);
  }
  EXPECT_EQ(bytes_of(path("out")), "before");
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, ReplacesAFileAndKeepsItsPermissions) {
  file("out", "before");
  ASSERT_EQ(chmod(path("out").c_str(), 0600), 0);
  OutputFile output(path("out"));
  output.write("after");
  output.commit();
  struct stat status {};
  ASSERT_EQ(stat(path("out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(bytes_of(path("out")), "after");
}

TEST_F(FileTest, WritesThroughALink) {
  file("real", "before");
  std::filesystem::create_symlink(path("real"), path("link"));
  OutputFile output(path("link"));
  output.write("after");
  output.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(bytes_of(path("real")), "after");
}

TEST_F(FileTest, CanBeMoved) {
  OutputFile first(path("out"));
  first.write("one ");
  OutputFile second(std::move(first));
  second.write("two");
  second.commit();
  EXPECT_EQ(bytes_of(path("out")), "one two");
}

TEST_F(FileTest, RefusesToReplaceWhatIsNoFile) {
  std::filesystem::create_directory(path("folder"));
  EXPECT_EQ(
      without_folder(message_of([&] { OutputFile output(path("folder")); })),
      "folder: exists and is not a regular file; name a file to write or to replace [file-output]");
  EXPECT_EQ(message_of([&] { OutputFile output("/dev/null"); }),
            "/dev/null: exists and is not a regular file; name a file to write or to replace "
            "[file-output]");
}

TEST_F(FileTest, SaysWhyAFileCannotBeMade) {
  EXPECT_EQ(without_folder(message_of([&] { OutputFile output(path("no/such/out")); })),
            "no/such/out: cannot be written: No such file or directory [file-output]");
}

TEST_F(FileTest, AFullDiskLeavesTheOldFile) {
  file("out", "before");
  const std::string large(1 << 20, 'x');
  const std::string message = [&] {
    const FileSizeLimit limit(4096);
    return message_of(
        [&] {
          OutputFile output(path("out"));
          output.write(large);
          output.commit();
        },
        Code::device);
  }();
  EXPECT_EQ(without_folder(message), "out: cannot be written: File too large [file-write]");
  EXPECT_EQ(bytes_of(path("out")), "before");
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, AFailedRenameLeavesNoTemporaryFile) {
  OutputFile output(path("out"));
  output.write("x");
  std::filesystem::create_directory(path("out"));
  EXPECT_EQ(without_folder(message_of([&] { output.commit(); }, Code::device)),
            "out: cannot be put in place: Is a directory [file-write]");
}

TEST(Printable, EscapesAndCuts) {
  EXPECT_EQ(printable("q"), "\"q\"");
  EXPECT_EQ(printable("\x1b[2J\"\\\xff"), R"("\x1b[2J\x22\x5c\xff")");
  EXPECT_EQ(printable(std::string(100, 'a')), "\"" + std::string(80, 'a') + "...\"");
}

}  // namespace
}  // namespace strobe::harness
