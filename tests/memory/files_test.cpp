// Every allocation of the readers and writers of files is made to fail: no half a file, no leak.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "fail_each.hpp"
#include "harness/npy.hpp"
#include "harness/safetensors.hpp"
#include "tests/harness/scratch.hpp"

namespace strobe::harness {
namespace {

using testing::fail_each;

class OutOfMemoryFiles : public ScratchTest {
 protected:
  static TensorMap tensors() {
    TensorMap map;
    map.emplace("a_name_longer_than_strings_hold_in_place", HostTensor(DType::f32, {2, 3}));
    map.emplace("q", HostTensor(DType::bf16, {4}));
    return map;
  }
};

TEST_F(OutOfMemoryFiles, Npy) {
  const TensorMap map = tensors();
  const HostTensor& tensor = map.at("q");
  const std::filesystem::path whole = path("whole.npy"), part = path("part.npy");
  write_npy(whole, tensor);
  EXPECT_GT(fail_each([&] { EXPECT_EQ(read_npy(whole).shape(), tensor.shape()); }), 0);
  EXPECT_GT(fail_each([&] { write_npy(part, tensor); }, [&] { return entries() == 1; },
                      [&] { std::filesystem::remove(part); }),
            3);
}

TEST_F(OutOfMemoryFiles, NpyFolder) {
  const TensorMap map = tensors();
  const std::filesystem::path folder = path("folder");
  const auto is_empty = [&] {
    return !std::filesystem::exists(folder) || std::filesystem::is_empty(folder);
  };
  EXPECT_GT(fail_each([&] { write_npy_folder(folder, map); }, is_empty,
                      [&] { std::filesystem::remove_all(folder); }),
            3);
}

TEST_F(OutOfMemoryFiles, Safetensors) {
  const TensorMap map = tensors();
  const std::filesystem::path whole = path("whole"), part = path("part");
  write_safetensors(whole, map);
  EXPECT_GT(fail_each([&] { EXPECT_EQ(read_safetensors(whole).size(), map.size()); }), 3);
  EXPECT_GT(fail_each([&] { write_safetensors(part, map); }, [&] { return entries() == 1; },
                      [&] { std::filesystem::remove(part); }),
            3);
}

TEST(OutOfMemory, Tensors) {
  if (!testing::replaces_malloc()) GTEST_SKIP() << "malloc cannot be replaced here";
  EXPECT_GT(fail_each([] { HostTensor(DType::f32, {100}); }), 0);
}

}  // namespace
}  // namespace strobe::harness
