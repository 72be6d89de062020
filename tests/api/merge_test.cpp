// merge: its formula, what changes no bit, storage and types.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/merge.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "merge_parts.hpp"

namespace strobe::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// The formula of the header with the sum in order, in f64.
template <class T>
std::vector<double> by_formula(const std::vector<Part<T>>& parts, std::size_t row) {
  double greatest = -kInfinity, sum = 0;
  for (const Part<T>& part : parts) greatest = std::max<double>(greatest, part.lse_of(row));
  std::vector<double> o(static_cast<std::size_t>(parts[0].n.dims));
  for (const Part<T>& part : parts) {
    const double weight = std::exp(part.lse_of(row) - greatest);
    sum += weight;
    for (std::size_t d = 0; d < o.size(); ++d) o[d] += weight * part.o[row * o.size() + d];
  }
  for (double& value : o) value /= sum;
  o.push_back(greatest + std::log(sum));
  return o;
}

template <class T>
class MergeOf : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(MergeOf, Types);

TYPED_TEST(MergeOf, PartsIsTheFormula) {
  using T = TypeParam;
  std::vector<Part<T>> parts;
  for (std::uint64_t seed = 0; seed < 7; ++seed) parts.emplace_back(PartSizes{}, seed);
  const Part<T> all = merged(parts);
  for (std::size_t row = 0; row < all.lse.size(); ++row) {
    const std::vector<double> want = by_formula(parts, row);
    const double tolerance = 20 * std::numeric_limits<T>::epsilon();
    for (std::size_t d = 0; d + 1 < want.size(); ++d)
      EXPECT_NEAR(all.o[row * (want.size() - 1) + d], want[d], tolerance);
    EXPECT_NEAR(all.lse_of(row), want.back(), tolerance * (1 + std::abs(want.back())));
  }
}

TYPED_TEST(MergeOf, OnePartChangesNoBit) {
  Part<TypeParam> part({}, 1);
  part.o[3] = TypeParam(-0.0);
  const Part<TypeParam> all = merged(std::vector{part});
  EXPECT_TRUE(same_bits(all.o, part.o));
  EXPECT_TRUE(same_bits(all.lse, part.lse));
}

TYPED_TEST(MergeOf, PartsThatSawNothingChangesNoBit) {
  using T = TypeParam;
  const Part<T> a({}, 1), b({}, 2), nothing = Part<T>::filled({}, T(kNaN), T(-kInfinity));
  const Part<T> want = merged(std::vector{a, b});
  for (const auto& parts : {std::vector{nothing, a, b}, std::vector{a, nothing, b},
                            std::vector{a, b, nothing}, std::vector{nothing, a, nothing, b}}) {
    const Part<T> got = merged(parts);
    EXPECT_TRUE(same_bits(got.o, want.o));
    EXPECT_TRUE(same_bits(got.lse, want.lse));
  }
}

TYPED_TEST(MergeOf, NothingAtAllIsAnEmptyRow) {
  using T = TypeParam;
  const std::vector parts(3, Part<T>::filled({}, T(kNaN), T(-kInfinity)));
  const Part<T> all = merged(parts);
  EXPECT_EQ(all.o, std::vector<T>(all.o.size(), T(0)));
  EXPECT_EQ(all.lse, std::vector<T>(all.lse.size(), T(-kInfinity)));
  const std::vector<T> sinks{T(0.5), T(-2), T(-kInfinity), T(40)};
  const Part<T> with_sinks = merged(parts, sinks);
  EXPECT_EQ(with_sinks.o, all.o);
  for (std::size_t row = 0; row < all.lse.size(); ++row)
    EXPECT_EQ(with_sinks.lse_of(row), sinks[row % 4]) << "the head's sink logit";
}

TYPED_TEST(MergeOf, SinkLogitsIsOneMorePartWithoutAValue) {
  using T = TypeParam;
  const std::vector<T> sinks{T(0.5), T(-2), T(-kInfinity), T(40)};
  std::vector<Part<T>> parts{Part<T>({}, 1), Part<T>({}, 2)};
  const Part<T> got = merged(parts, sinks);
  Part<T> sink = Part<T>::filled({}, T(0), T(0));
  for (std::size_t row = 0; row < sink.lse.size(); ++row) sink.lse_of(row) = sinks[row % 4];
  parts.push_back(sink);
  const Part<T> want = merged(parts);
  for (std::size_t i = 0; i < want.o.size(); ++i)
    EXPECT_NEAR(got.o[i], want.o[i], 4 * std::numeric_limits<T>::epsilon());
  EXPECT_TRUE(same_bits(got.lse, want.lse));
}

TYPED_TEST(MergeOf, NaNReachesItsRowAlone) {
  using T = TypeParam;
  for (const std::size_t bad : {0u, 1u, 2u}) {
    std::vector<Part<T>> parts{Part<T>({}, 1), Part<T>({}, 2), Part<T>({}, 3)};
    const Part<T> clean = merged(parts);
    parts[bad].lse_of(5) = T(kNaN);
    const Part<T> all = merged(parts);
    const auto dims = static_cast<std::size_t>(all.n.dims);
    for (std::size_t row = 0; row < all.lse.size(); ++row) {
      EXPECT_EQ(std::isnan(all.lse_of(row)), row == 5) << bad << " " << row;
      for (std::size_t d = 0; d < dims; ++d)
        if (row == 5)
          EXPECT_TRUE(std::isnan(all.o[row * dims + d])) << bad;
        else
          EXPECT_EQ(all.o[row * dims + d], clean.o[row * dims + d]);
    }
  }
}

/// Up to rounding: a few units of the last place, as every fold rounds anew.
TYPED_TEST(MergeOf, PartsInAnyOrderAndGrouping) {
  using T = TypeParam;
  const Part<T> a({}, 1), b({}, 2), c({}, 3);
  const Part<T> want = merged(std::vector{a, b, c});
  for (const Part<T>& got : {merged(std::vector{c, a, b}), merged(std::vector{b, c, a}),
                             merged(std::vector{merged(std::vector{a, b}), c}),
                             merged(std::vector{a, merged(std::vector{b, c})})}) {
    const double tolerance = 16 * std::numeric_limits<T>::epsilon();
    for (std::size_t i = 0; i < want.o.size(); ++i)
      EXPECT_NEAR(got.o[i], want.o[i], tolerance) << i;
    for (std::size_t i = 0; i < want.lse.size(); ++i)
      EXPECT_NEAR(got.lse[i], want.lse[i], tolerance * (1 + std::abs(double{want.lse[i]})));
  }
}

TYPED_TEST(MergeOf, LseFarApartDoNotOverflow) {
  using T = TypeParam;
  const std::vector parts{Part<T>::filled({}, T(1), T(-30000)), Part<T>::filled({}, T(2), T(30000)),
                          Part<T>::filled({}, T(3), T(30000))};
  const Part<T> all = merged(parts);
  EXPECT_EQ(all.o, std::vector<T>(all.o.size(), T(2.5)));
  EXPECT_NEAR(all.lse[0], 30000 + std::log(2.0), 30000 * std::numeric_limits<T>::epsilon());
}

template <class Out>
void expect_rounded_once(const std::vector<Part<float>>& parts) {
  const Part<float> want = merged(parts);
  std::vector<Out> o(want.o.size());
  const std::vector<Partial> views = views_of(parts);
  strobe::merge({.parts = views, .o = {o.data(), want.n.o()}});
  for (std::size_t i = 0; i < o.size(); ++i) EXPECT_EQ(o[i].bits, Out(want.o[i]).bits) << i;
}

TEST(Merge, RoundsNarrowOutputsOnce) {
  const std::vector<Part<float>> parts{Part<float>({}, 1), Part<float>({}, 2)};
  expect_rounded_once<float16>(parts);
  expect_rounded_once<bfloat16>(parts);
}

/// More dims than are folded at a time; none at all.
TEST(Merge, TakesAnyNumberOfDims) {
  const PartSizes many{.dims = 700};
  const Part<float> a(many, 1), b(many, 2);
  const Part<float> all = merged(std::vector{a, b});
  for (const std::size_t row : {0u, 3u, 23u}) {
    const std::vector<double> want = by_formula(std::vector{a, b}, row);
    for (std::size_t d = 0; d < 700; ++d) EXPECT_NEAR(all.o[row * 700 + d], want[d], 1e-6) << d;
  }
  const PartSizes none{.dims = 0};
  const Part<float> thin = merged(std::vector{Part<float>(none, 1), Part<float>(none, 2)});
  EXPECT_TRUE(std::isfinite(thin.lse.back())) << "lse is written where o has no elements";
}

TEST(Merge, EmptyOutputsAreLegal) {
  const PartSizes sizes{.batch = std::int64_t{1} << 40, .rows = std::int64_t{1} << 40, .heads = 0};
  const Partial part{{static_cast<const float*>(nullptr), sizes.o()},
                     {static_cast<const float*>(nullptr), sizes.lse()}};
  EXPECT_NO_THROW(
      strobe::merge({.parts = {&part, 1}, .o = {static_cast<float*>(nullptr), sizes.o()}}));
}

/// o of a part as [batch, heads, seqlen_q, dim] with gaps, lse as [batch, seqlen_q, heads];
/// likewise the outputs, of which nothing but the elements may be written.
TEST(Merge, FollowsStrides) {
  const PartSizes n;
  const Part<float> a(n, 1), b(n, 2);
  const Part<float> want = merged(std::vector{a, b});
  const Shape o_strides{800, 7, 50, 1}, lse_strides{100, 2, 11};
  const auto spread_o = [&](const std::vector<float>& o) {
    std::vector<float> spread(2000, 1e30f);
    for (std::int64_t i = 0; i < n.batch; ++i)
      for (std::int64_t r = 0; r < n.rows; ++r)
        for (std::int64_t h = 0; h < n.heads; ++h)
          std::copy_n(o.begin() + ((i * n.rows + r) * n.heads + h) * n.dims, n.dims,
                      spread.begin() + i * 800 + r * 7 + h * 50);
    return spread;
  };
  const auto spread_lse = [&](const std::vector<float>& lse) {
    std::vector<float> spread(500, 1e30f);
    for (std::int64_t i = 0; i < n.batch; ++i)
      for (std::int64_t h = 0; h < n.heads; ++h)
        for (std::int64_t r = 0; r < n.rows; ++r)
          spread[static_cast<std::size_t>(i * 100 + h * 2 + r * 11)] =
              lse[static_cast<std::size_t>((i * n.heads + h) * n.rows + r)];
    return spread;
  };
  const std::vector<float> a_o = spread_o(a.o), a_lse = spread_lse(a.lse);
  const std::vector<Partial> parts{
      {{a_o.data(), n.o(), o_strides}, {a_lse.data(), n.lse(), lse_strides}}, b.view()};
  std::vector<float> o(2000, 1e30f), lse(500, 1e30f);
  strobe::merge({.parts = parts,
                 .o = {o.data(), n.o(), o_strides},
                 .lse = {lse.data(), n.lse(), lse_strides}});
  EXPECT_EQ(o, spread_o(want.o));
  EXPECT_EQ(lse, spread_lse(want.lse));
}

TEST(Merge, BitsDoNotDependOnWhoRunsIt) {
  const PartSizes n{.batch = 3, .rows = 11, .heads = 5};
  const std::vector<Part<float>> parts{Part<float>(n, 1), Part<float>(n, 2), Part<float>(n, 3)};
  const Part<float> want = merged(parts);
  ThreadPool pool(3);
  const Parallel loop{.run = [](void*, int, Parallel::Body body, void* argument) {
    for (int i = 0; i < 5; ++i) body(argument);
  }};
  for (const Parallel& parallel : {pool.parallel(), loop}) {
    const Part<float> got = merged(parts, {}, {.parallel = parallel});
    EXPECT_TRUE(same_bits(got.o, want.o));
    EXPECT_TRUE(same_bits(got.lse, want.lse));
  }
}

}  // namespace
}  // namespace strobe::test
