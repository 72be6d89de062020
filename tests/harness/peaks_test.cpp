// Peaks: sane numbers and right names; never how fast.
// SPDX-License-Identifier: Apache-2.0
#include "harness/peaks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "strobe/error.hpp"

namespace strobe::harness {
namespace {

constexpr PeakOptions kShort{.seconds = 0.001, .repeats = 2};

TEST(Peaks, EveryAvailableLoopGivesAFiniteNumber) {
  ASSERT_FALSE(available_peaks().empty());
  for (const Peak peak : available_peaks()) {
    const double flops = measure_peak(peak, {}, kShort);
    EXPECT_TRUE(std::isfinite(flops) && flops > 0.0) << name_of(peak);
  }
}

TEST(Peaks, AreMeasuredAndReadOnThreadsAtOnce) {
  ThreadPool pool(2);
  EXPECT_GT(measure_peak(Peak::mul_add_f32_128, team_of(pool), kShort), 0.0);
  const std::vector<std::byte> data(100'000);
  const std::span<const std::byte> buffers[] = {data};
  EXPECT_GT(read_bandwidth(buffers, team_of(pool)), 0.0);
}

TEST(Peaks, TheClockIsAFiniteNumber) {
  const double clock = core_clock_hz();
  EXPECT_TRUE(std::isfinite(clock) && clock > 0.0);
}

TEST(Peaks, KernelsAreHeldAgainstTheirOwnInstructions) {
  EXPECT_EQ(peak_for("cpu:avx512bf16 forward bf16", DType::bf16), Peak::dot_bf16_512);
  EXPECT_EQ(peak_for("cpu:avx512bf16", DType::f32), Peak::fma_f32_512);
  EXPECT_EQ(peak_for("cpu:avx512", DType::bf16), Peak::fma_f32_512);
  EXPECT_EQ(peak_for("cpu:avx512", DType::f64), Peak::fma_f64_512);
  EXPECT_EQ(peak_for("cpu:avx2", DType::f32), Peak::fma_f32_256);
  EXPECT_EQ(peak_for("cpu:portable", DType::f32), Peak::mul_add_f32_128);
  EXPECT_EQ(peak_for("reference", DType::bf16), Peak::mul_add_f32_128);
  EXPECT_TRUE(available(peak_for("", DType::f32)));
  EXPECT_EQ(peak_for("cpu", DType::f32), peak_for("", DType::f32));
}

TEST(Peaks, OtherBackendsAreRefusedByName) {
  try {
    peak_for("cuda:0", DType::f32);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
    EXPECT_STREQ(error.what(),
                 "strobe::harness::peak_for: no peak is known for backend \"cuda:0\"; have "
                 "reference, cpu, cpu:portable, cpu:avx2, cpu:avx512, cpu:avx512bf16 "
                 "[peak-unknown]");
  }
}

TEST(Peaks, KnownFiguresAreThoseOfTheCore) {
  Machine machine;
  machine.core = "AMD Zen 4";
  EXPECT_EQ(known_flops_per_cycle(machine, Peak::fma_f32_512), 32.0);
  EXPECT_EQ(known_flops_per_cycle(machine, Peak::dot_bf16_512), 64.0);
  EXPECT_EQ(known_flops_per_cycle(machine, Peak::mul_add_f32_128), 16.0);
  machine.core = "AMD Zen 5";
  machine.model = 0x02;
  EXPECT_EQ(known_flops_per_cycle(machine, Peak::fma_f32_512), 64.0);
  EXPECT_EQ(known_flops_per_cycle(machine, Peak::fma_f32_256), 32.0);
  EXPECT_EQ(known_flops_per_cycle(machine, Peak::dot_bf16_512), 128.0);
  machine.model = 0x24;
  EXPECT_FALSE(known_flops_per_cycle(machine, Peak::fma_f32_512)) << "a laptop part";
  machine.core = "unknown core";
  EXPECT_FALSE(known_flops_per_cycle(machine, Peak::fma_f32_512));
}

TEST(Peaks, AMeterKeepsTheLargestMeasurement) {
  PeakMeter meter(Peak::mul_add_f32_128, {}, kShort);
  const double first = meter.measured_flops();
  meter.measure();
  EXPECT_GE(meter.measured_flops(), first);
  EXPECT_GE(meter.flops(), meter.measured_flops());
  EXPECT_GT(meter.clock_hz(), 0.0);
}

TEST(ReadBandwidth, IsPositiveForBytesAndZeroForNone) {
  const std::vector<std::byte> a(100'000);
  const std::vector<std::byte> b(1);
  const std::span<const std::byte> buffers[] = {a, {}, b};
  EXPECT_GT(read_bandwidth(buffers, {}), 0.0);
  EXPECT_GT(read_bandwidth(buffers, {.threads = 3}), 0.0);
  EXPECT_EQ(read_bandwidth({}, {}), 0.0);
}

TEST(BytesOf, SpansAStridedView) {
  const std::vector<float> data(100);
  const ConstTensorView view(data.data(), Shape{2, 3}, Shape{40, 10});
  EXPECT_EQ(bytes_of(view).size(), (40 + 2 * 10 + 1) * sizeof(float));
  EXPECT_EQ(bytes_of(ConstTensorView(data.data(), Shape{0, 3})).size(), 0u);
  EXPECT_EQ(bytes_of({}).size(), 0u);
}

}  // namespace
}  // namespace strobe::harness
