// The overlap test against marking every byte, on many small random views.
// SPDX-License-Identifier: Apache-2.0
#include "api/overlap.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <set>
#include <vector>

namespace strobe::api {
namespace {

constexpr std::size_t kArena = 1 << 16;
alignas(64) std::byte arena[kArena];

/// The offset of every element in `arena`, one entry for each index.
std::vector<std::int64_t> offsets(const ConstTensorView& view) {
  const std::int64_t begin = static_cast<const std::byte*>(view.data) - arena;
  std::vector<std::int64_t> found{begin};
  for (int axis = 0; axis < view.rank(); ++axis) {
    std::vector<std::int64_t> longer;
    for (const std::int64_t offset : found) {
      for (std::int64_t index = 0; index < view.shape[axis]; ++index) {
        longer.push_back(offset + index * view.strides[axis] * size_of(view.dtype));
      }
    }
    found = longer;
  }
  return found;
}

std::set<std::int64_t> bytes(const ConstTensorView& view) {
  std::set<std::int64_t> found;
  for (const std::int64_t offset : offsets(view)) {
    for (std::int64_t byte = 0; byte < size_of(view.dtype); ++byte) found.insert(offset + byte);
  }
  return found;
}

bool share_bytes(const ConstTensorView& a, const ConstTensorView& b) {
  const std::set<std::int64_t> of_a = bytes(a);
  for (const std::int64_t byte : bytes(b)) {
    if (of_a.contains(byte)) return true;
  }
  return false;
}

bool share_elements(const ConstTensorView& view) {
  const std::vector<std::int64_t> all = offsets(view);
  return std::set<std::int64_t>(all.begin(), all.end()).size() < all.size();
}

using Random = std::mt19937_64;

std::int64_t draw(Random& random, std::int64_t from, std::int64_t to) {
  return std::uniform_int_distribution<std::int64_t>(from, to)(random);
}

/// Any strides: mostly irregular, often overlapping.
ConstTensorView random_view(Random& random) {
  const DType types[] = {DType::f32, DType::bf16, DType::f64, DType::boolean};
  const DType dtype = types[draw(random, 0, 3)];
  const int rank = static_cast<int>(draw(random, 1, 4));
  Shape shape{1, 1, 1, 1};
  Shape strides{1, 1, 1, 1};
  if (rank < 4) shape = strides = rank == 3 ? Shape{1, 1, 1} : rank == 2 ? Shape{1, 1} : Shape{1};
  const std::int64_t longest = draw(random, 1, 60);
  for (int axis = 0; axis < rank; ++axis) {
    shape[axis] = draw(random, 0, 5) == 0 ? draw(random, 0, 1) : draw(random, 1, 5);
    strides[axis] = draw(random, 0, 9) == 0 ? 0 : draw(random, 1, longest);
  }
  const std::int64_t at = draw(random, 0, 20) * 8;
  return {arena + at, dtype, shape, strides};
}

/// A slice of a row-major buffer of records: what packed qkv and sliced caches are.
ConstTensorView random_slice(Random& random) {
  const Shape whole{3, 4, 3, 8};
  const Shape strides = whole.contiguous_strides();
  Shape shape = whole;
  Shape steps = strides;
  std::int64_t at = 0;
  for (int axis = 0; axis < 4; ++axis) {
    const std::int64_t first = draw(random, 0, whole[axis] - 1);
    const std::int64_t every = draw(random, 1, 2);
    const std::int64_t most = (whole[axis] - first - 1) / every + 1;
    shape[axis] = draw(random, 1, most);
    steps[axis] *= every;
    at += first * strides[axis];
  }
  if (draw(random, 0, 1) == 1) {
    std::swap(shape[1], shape[2]);
    std::swap(steps[1], steps[2]);
  }
  return {arena + at * 4, DType::f32, shape, steps};
}

TEST(Overlap, MatchesMarkedBytesOnIrregularViews) {
  Random random(1);
  int shared = 0;
  for (int round = 0; round < 4000; ++round) {
    const ConstTensorView a = random_view(random);
    const ConstTensorView b = random_view(random);
    const bool expected = share_bytes(a, b);
    shared += expected ? 1 : 0;
    ASSERT_EQ(overlap(a, b) == Overlap::shared, expected) << "round " << round;
    ASSERT_NE(overlap(a, b), Overlap::undecided) << "round " << round;
    ASSERT_EQ(overlap(b, a), overlap(a, b)) << "round " << round;
  }
  EXPECT_GT(shared, 400) << "the views should meet often enough to test both answers";
  EXPECT_LT(shared, 3600);
}

TEST(Overlap, MatchesMarkedBytesOnSlicesOfOneBuffer) {
  Random random(2);
  int shared = 0;
  for (int round = 0; round < 4000; ++round) {
    const ConstTensorView a = random_slice(random);
    const ConstTensorView b = random_slice(random);
    const bool expected = share_bytes(a, b);
    shared += expected ? 1 : 0;
    ASSERT_EQ(overlap(a, b), expected ? Overlap::shared : Overlap::none) << "round " << round;
  }
  EXPECT_GT(shared, 200);
  EXPECT_LT(shared, 3600);
}

TEST(SelfOverlap, MatchesMarkedElements) {
  Random random(3);
  int shared = 0;
  for (int round = 0; round < 8000; ++round) {
    const ConstTensorView view = random_view(random);
    const bool expected = share_elements(view);
    shared += expected ? 1 : 0;
    ASSERT_EQ(self_overlap(view), expected ? Overlap::shared : Overlap::none) << "round " << round;
  }
  EXPECT_GT(shared, 800);
  EXPECT_LT(shared, 7200);
}

/// q, k, v and o of one packed buffer [batch, seqlen, heads of all four, dim], at full size: the
/// addresses are never read.
ConstTensorView part_of_packed(std::int64_t head, std::int64_t heads) {
  const std::int64_t all = 32 + 8 + 8 + 32;
  const std::int64_t dim = 128;
  return {arena + head * dim * 2,
          DType::bf16,
          {16, 65536, heads, dim},
          {65536 * all * dim, all * dim, dim, 1}};
}

TEST(Overlap, InterleavedPartsOfAPackedBufferAreApart) {
  const ConstTensorView q = part_of_packed(0, 32);
  const ConstTensorView k = part_of_packed(32, 8);
  const ConstTensorView o = part_of_packed(48, 32);
  EXPECT_EQ(overlap(o, q), Overlap::none);
  EXPECT_EQ(overlap(o, k), Overlap::none);
  EXPECT_EQ(self_overlap(o), Overlap::none);
  EXPECT_EQ(overlap(part_of_packed(47, 32), part_of_packed(40, 8)), Overlap::shared);
}

TEST(Overlap, RecordsReadInTwoOrdersAreApart) {
  // records of 64 values, one lse and padding; o walks them by row, lse by head
  const std::int64_t record = 80;
  const ConstTensorView o{
      arena, DType::f32, {4, 4096, 8, 64}, {4096 * 8 * record, 8 * record, record, 1}};
  const ConstTensorView lse{
      arena + 64 * 4, DType::f32, {4, 8, 4096}, {8 * 4096 * record, 4096 * record, record}};
  EXPECT_EQ(overlap(o, lse), Overlap::none);
  const ConstTensorView inside{arena + 63 * 4, DType::f32, lse.shape, lse.strides};
  EXPECT_EQ(overlap(o, inside), Overlap::shared);
}

TEST(Overlap, CommonDivisorDecidesAtOnce) {
  const Shape shape{4000, 4000, 4000, 2};
  const ConstTensorView a{arena, DType::boolean, shape, {1000002, 1000004, 1000006, 1000010}};
  const ConstTensorView b{arena + 1, DType::boolean, shape, {1000012, 1000014, 1000016, 1000018}};
  EXPECT_EQ(overlap(a, b), Overlap::none);
}

TEST(Overlap, GivesUpWhereStridesHaveNoOrder) {
  const Shape shape{50, 50, 50};
  const ConstTensorView a{arena, DType::f32, shape, {1234567891, 1345678909, 1456789013}};
  const ConstTensorView b{arena + 8, DType::f32, shape, {1567890127, 1678901239, 1789012357}};
  EXPECT_EQ(overlap(a, b), Overlap::undecided);
}

TEST(SpanBytes, CountsFromFirstToLast) {
  EXPECT_EQ(span_bytes({arena, DType::f32, {2, 3}, {10, 2}}), (10 + 2 * 2 + 1) * 4);
  EXPECT_EQ(span_bytes({arena, DType::f32, {2, 0}, {10, 2}}), 0);
  EXPECT_EQ(span_bytes({arena, DType::bf16, {1, 1}, {-7, INT64_MAX}}), 2);
  EXPECT_EQ(span_bytes({arena, DType::f32, {3, 1}, {INT64_MAX / 2, 1}}), -1);
  EXPECT_EQ(span_bytes({arena, DType::f32, {2, 2}, {INT64_MAX, INT64_MAX}}), -1);
  EXPECT_EQ(span_bytes({arena, DType::f32, {2}, {kMaxSpan / 4}}), -1);
  EXPECT_EQ(span_bytes({arena, DType::f32, {2}, {kMaxSpan / 4 - 1}}), kMaxSpan);
}

}  // namespace
}  // namespace strobe::api
