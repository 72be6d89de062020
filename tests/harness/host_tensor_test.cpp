// Tests of harness/host_tensor.hpp: memory, element access, rounding, copies, refusals.
// SPDX-License-Identifier: Apache-2.0
#include "harness/host_tensor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "scratch.hpp"

namespace strobe::harness {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kHuge = std::int64_t{1} << 62;

double through(DType dtype, double value) {
  HostTensor tensor(dtype, {1});
  tensor.set({0}, value);
  return tensor.get({0});
}

TEST(HostTensor, StartsRowMajorZeroedAndAligned) {
  const HostTensor tensor(DType::f32, {2, 3, 5});
  EXPECT_EQ(tensor.shape(), (Shape{2, 3, 5}));
  EXPECT_EQ(tensor.strides(), (Shape{15, 5, 1}));
  EXPECT_EQ(tensor.elements(), 30);
  EXPECT_EQ(tensor.bytes(), 120);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64, 0u);
  EXPECT_TRUE(
      std::all_of(tensor.as<float>(), tensor.as<float>() + 30, [](float x) { return x == 0; }));
}

TEST(HostTensor, LargeOnesStartOnHugePages) {
  const HostTensor tensor(DType::f32, {1 << 20, 2});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data()) % (2 << 20), 0u);
  EXPECT_EQ(tensor.get({(1 << 20) - 1, 1}), 0.0);
}

TEST(HostTensor, DefaultMadeIsNotGiven) {
  EXPECT_FALSE(HostTensor().const_view().given());
  EXPECT_EQ(HostTensor().elements(), 0);
  EXPECT_FALSE(HostTensor().clone().const_view().given());
}

TEST(HostTensor, EmptyAxesTakeNoBytes) {
  const HostTensor tensor(DType::f32, {2, 0, 4, 8});
  EXPECT_EQ(tensor.bytes(), 0);
  EXPECT_NE(tensor.data(), nullptr);
  EXPECT_TRUE(tensor.contiguous().is_contiguous());
  EXPECT_EQ(HostTensor(DType::f32, {0, 3}, {7, 1}).bytes(), 0);
}

TEST(HostTensor, ViewsPointToTheMemory) {
  HostTensor tensor(DType::bf16, {2, 4}, {8, 1});
  EXPECT_EQ(tensor.view().data, tensor.data());
  EXPECT_EQ(tensor.view().dtype, DType::bf16);
  EXPECT_EQ(tensor.const_view().strides, (Shape{8, 1}));
  EXPECT_EQ(std::as_const(tensor).view().shape, (Shape{2, 4}));
}

TEST(HostTensor, StridesDecideWhereElementsLie) {
  HostTensor tensor(DType::f32, {2, 3}, {10, 2});
  tensor.set({1, 2}, 7.0);
  EXPECT_EQ(tensor.bytes(), 15 * 4);
  EXPECT_EQ(tensor.as<float>()[14], 7.0f);
  EXPECT_EQ(tensor.get({1, 2}), 7.0);
}

TEST(HostTensor, StrideZeroRepeatsAnElement) {
  HostTensor tensor(DType::i32, {4}, {0});
  tensor.set({0}, 5.0);
  EXPECT_EQ(tensor.get({3}), 5.0);
  EXPECT_EQ(tensor.bytes(), 4);
}

TEST(HostTensor, SwapAxesKeepsTheMemory) {
  HostTensor tensor(DType::f32, {2, 3});
  tensor.set({1, 2}, 4.0);
  const std::byte* before = tensor.data();
  tensor.swap_axes(0, 1);
  EXPECT_EQ(tensor.shape(), (Shape{3, 2}));
  EXPECT_EQ(tensor.get({2, 1}), 4.0);
  EXPECT_EQ(tensor.data(), before);
}

TEST(HostTensor, ContiguousGathersInLogicalOrder) {
  HostTensor tensor(DType::i32, {2, 3, 2}, {1, 4, 2});
  double value = 0;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 2; ++k) tensor.set({i, j, k}, value++);
  const HostTensor copy = tensor.contiguous();
  EXPECT_TRUE(copy.is_contiguous());
  for (int i = 0; i < 12; ++i) EXPECT_EQ(copy.as<std::int32_t>()[i], i);
}

TEST(HostTensor, CloneCopiesGapsToo) {
  HostTensor tensor(DType::f32, {2, 1}, {3, 1});
  tensor.fill_bytes(std::byte{0xff});
  const HostTensor copy = tensor.clone();
  EXPECT_EQ(copy.strides(), tensor.strides());
  EXPECT_TRUE(std::isnan(copy.as<float>()[2]));
}

TEST(HostTensor, FillBytesMakesNaN) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    HostTensor tensor(dtype, {3});
    tensor.fill_bytes(std::byte{0xff});
    EXPECT_TRUE(std::isnan(tensor.get({2}))) << name_of(dtype);
  }
}

TEST(HostTensor, ElementsRoundToTheNearestEven) {
  EXPECT_EQ(through(DType::f64, 0.1), 0.1);
  EXPECT_EQ(through(DType::f32, 0.1), 0.1f);
  EXPECT_EQ(through(DType::bf16, 1.0 + 0x1p-8), 1.0);
  EXPECT_EQ(through(DType::bf16, 1.0 + 0x3p-8), 1.0 + 0x4p-8);
  // By way of f32 this would round twice, and down.
  EXPECT_EQ(through(DType::bf16, 1.0 + 0x1p-8 + 0x1p-40), 1.0 + 0x1p-7);
  EXPECT_EQ(through(DType::f16, 1.0 + 0x1p-11), 1.0);
  EXPECT_EQ(through(DType::f16, 1.0 + 0x3p-11), 1.0 + 0x4p-11);
}

TEST(HostTensor, ElementsReachTheEndsOfTheirRange) {
  EXPECT_EQ(through(DType::f16, 65519.0), 65504.0);
  EXPECT_EQ(through(DType::f16, 65520.0), kInfinity);
  EXPECT_EQ(through(DType::f16, -1e300), -kInfinity);
  EXPECT_EQ(through(DType::f16, 0x1p-24), 0x1p-24);
  EXPECT_EQ(through(DType::f16, 0x1p-26), 0.0);
  EXPECT_EQ(through(DType::f16, -0x3p-24), -0x3p-24);
  EXPECT_EQ(through(DType::bf16, 0x1p-133), 0x1p-133);
  EXPECT_EQ(through(DType::bf16, 3.4e38), kInfinity);
  EXPECT_EQ(through(DType::i32, -2147483648.0), -2147483648.0);
  EXPECT_EQ(through(DType::boolean, 0.5), 1.0);
}

TEST(HostTensor, NotANumberStaysOne) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    EXPECT_TRUE(std::isnan(through(dtype, std::nan("")))) << name_of(dtype);
  EXPECT_EQ(through(DType::f16, kInfinity), kInfinity);
}

TEST(HostTensor, EveryHalfSurvives) {
  HostTensor tensor(DType::f16, {1});
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    std::memcpy(tensor.data(), &half, 2);
    const double value = tensor.get({0});
    if (std::isnan(value)) continue;
    tensor.set({0}, value);
    std::uint16_t back = 0;
    std::memcpy(&back, tensor.data(), 2);
    ASSERT_EQ(back, half);
  }
}

TEST(HostTensor, RefusesShapes) {
  EXPECT_EQ(message_of([] {
              HostTensor(DType::f32, {2, -3});
            }),
            "strobe::HostTensor: shape [2, -3] has a negative size [shape-negative]");
  EXPECT_EQ(message_of([] { HostTensor(DType::f32, {}); }),
            "strobe::HostTensor: shape [] has 0 axes; tensors have 1 to 4 [tensor-rank]");
  EXPECT_EQ(
      message_of([] {
        HostTensor(DType::f32, {1, 2, 3, 4, 5});
      }),
      "strobe::HostTensor: shape [1, 2, 3, 4, ...] has 5 axes; tensors have 1 to 4 [tensor-rank]");
  EXPECT_EQ(
      message_of([] {
        HostTensor(DType::f32, {kHuge, 2});
      }),
      "strobe::HostTensor: shape [4611686018427387904, 2] of f32 takes more bytes than 63 bits "
      "can count [size-overflow]");
  EXPECT_EQ(message_of([] { HostTensor(DType::none, {1}); }),
            "strobe::HostTensor: a tensor needs an element type [dtype-input]");
}

TEST(HostTensor, RefusesProductsThatOverflowBesideAnEmptyAxis) {
  EXPECT_NE(message_of([] {
              HostTensor(DType::f32, {0, kHuge, 8});
            }).find("63 bits"),
            std::string::npos);
}

TEST(HostTensor, RefusesStrides) {
  EXPECT_EQ(message_of([] {
              HostTensor(DType::f32, {2, 3}, {3});
            }),
            "strobe::HostTensor: shape [2, 3] and strides [3] have different ranks [stride-rank]");
  EXPECT_EQ(message_of([] {
              HostTensor(DType::f32, {2, 3}, {-3, 1});
            }),
            "strobe::HostTensor: strides [-3, 1] must not be negative [stride-negative]");
  EXPECT_NE(message_of([] {
              HostTensor(DType::f32, {3, 3}, {kHuge, 1});
            }).find("63 bits"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              HostTensor(DType::f32, {2, 3}, {kHuge, 1});
            }).find("63 bits"),
            std::string::npos);
}

TEST(HostTensor, RefusesMoreMemoryThanThereIs) {
  const std::string message =
      message_of([] { HostTensor(DType::f32, {std::int64_t{1} << 50}); }, Code::out_of_memory);
  EXPECT_TRUE(
      message.starts_with("strobe::HostTensor: a tensor of 4503599627370496 bytes (4194304.0 "
                          "GiB) cannot be allocated: the machine has "))
      << message;
  EXPECT_TRUE(message.ends_with(
      "left; take shorter sequences, fewer heads or a smaller batch [tensor-memory]"))
      << message;
}

TEST(HostTensor, RefusesIndicesOutsideTheShape) {
  HostTensor tensor(DType::f32, {2, 3});
  EXPECT_EQ(message_of([&] {
              (void)tensor.get({0, 3});
            }),
            "strobe::HostTensor: index [0, 3] lies outside shape [2, 3] [tensor-access]");
  EXPECT_EQ(message_of([&] {
              tensor.set({-1, 0}, 1.0);
            }),
            "strobe::HostTensor: index [-1, 0] lies outside shape [2, 3] [tensor-access]");
  EXPECT_EQ(message_of([&] { (void)tensor.get({1}); }),
            "strobe::HostTensor: index [1] lies outside shape [2, 3] [tensor-access]");
}

TEST(HostTensor, RefusesTheWrongTypeAndNumbersThatDoNotFit) {
  HostTensor tensor(DType::i32, {1});
  EXPECT_EQ(message_of([&] { (void)tensor.as<float>(); }),
            "strobe::HostTensor: a tensor of i32 was read as f32 [tensor-access]");
  EXPECT_EQ(message_of([&] { tensor.set({0}, 3e9); }),
            "strobe::HostTensor: 3000000000 does not fit an i32 [tensor-access]");
  EXPECT_EQ(message_of([&] { tensor.set({0}, std::nan("")); }),
            "strobe::HostTensor: nan does not fit an i32 [tensor-access]");
}

TEST(MakeShape, TakesAnyNumberOfSizes) {
  const std::int64_t sizes[] = {2, 3, 4, 5, 6, 7};
  EXPECT_EQ(make_shape({}), Shape{});
  EXPECT_EQ(make_shape(std::span(sizes, 3)), (Shape{2, 3, 4}));
  EXPECT_EQ(make_shape(std::span(sizes, 4)), (Shape{2, 3, 4, 5}));
  EXPECT_EQ(make_shape(sizes).rank(), 5);
}

}  // namespace
}  // namespace strobe::harness
