// Codes of quantised caches in files.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "harness/npy.hpp"
#include "harness/safetensors.hpp"
#include "scratch.hpp"

namespace strobe::harness {
namespace {

class CodeFiles : public ScratchTest {};

/// The format has no type of 4 bits: pairs of codes are U8, which caches alone are read as.
TEST_F(CodeFiles, HoldsCodesOfEveryType) {
  for (const DType dtype : {DType::e4m3, DType::e5m2, DType::i8, DType::i4}) {
    TensorMap tensors;
    HostTensor& cache =
        tensors.emplace("v_cache", HostTensor(dtype, {1, 2, 1, 6}, {16, 6, 1, 1})).first->second;
    for (std::int64_t slot = 0; slot < 2; ++slot)
      for (std::int64_t d = 0; d < 6; ++d) cache.set({0, slot, 0, d}, static_cast<double>(d - 3));
    write_safetensors(path("x"), tensors);
    const TensorMap back = read_safetensors(path("x"));
    const HostTensor& read = back.at("v_cache");
    EXPECT_EQ(read.dtype(), dtype);
    EXPECT_EQ(read.shape(), (Shape{1, 2, 1, 6}));
    for (std::int64_t slot = 0; slot < 2; ++slot)
      for (std::int64_t d = 0; d < 6; ++d)
        EXPECT_EQ(read.get({0, slot, 0, d}), static_cast<double>(d - 3)) << name_of(dtype);
  }
  TensorMap tensors;
  tensors.emplace("k_cache", HostTensor(DType::i4, {6}));
  write_safetensors(path("x"), tensors);
  EXPECT_NE(bytes_of(path("x")).find(R"("data_offsets":[0,3],"dtype":"U8","shape":[3])"),
            std::string::npos);
}

/// NumPy has int8, and neither of the others.
TEST_F(CodeFiles, NpyHoldsInt8Alone) {
  HostTensor codes(DType::i8, {3});
  codes.set({1}, -127);
  write_npy(path("x.npy"), codes);
  EXPECT_EQ(read_npy(path("x.npy")).get({1}), -127);
  for (const DType dtype : {DType::e4m3, DType::e5m2, DType::i4})
    EXPECT_THROW(write_npy(path("y.npy"), HostTensor(dtype, {4})), Error);
}

}  // namespace
}  // namespace strobe::harness
