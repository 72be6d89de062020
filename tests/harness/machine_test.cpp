// What is said of the machine: names from CPUID's numbers, and sizes that make sense.
// SPDX-License-Identifier: Apache-2.0
#include "harness/machine.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace strobe::harness {
namespace {

TEST(CoreName, FollowsFamilyAndModel) {
  EXPECT_EQ(core_name("AuthenticAMD", 25, 17), "AMD Zen 4");
  EXPECT_EQ(core_name("AuthenticAMD", 25, 0x61), "AMD Zen 4");
  EXPECT_EQ(core_name("AuthenticAMD", 25, 0x21), "AMD Zen 3");
  EXPECT_EQ(core_name("AuthenticAMD", 26, 2), "AMD Zen 5");
  EXPECT_EQ(core_name("AuthenticAMD", 26, 0x44), "AMD Zen 5");
  EXPECT_EQ(core_name("AuthenticAMD", 26, 0x50), "unknown core");
  EXPECT_EQ(core_name("GenuineIntel", 6, 143), "unknown core");
}

TEST(Machine, HasThreadsPagesAndMemory) {
  const Machine machine = read_machine();
  EXPECT_GE(machine.threads, 1);
  EXPECT_GE(machine.threads_per_core, 1);
  EXPECT_GE(machine.page_bytes, 4096);
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_FALSE(machine.architecture.empty());
  EXPECT_NE(to_string(machine).find(machine.core), std::string::npos);
}

TEST(Memory, AvailableIsNotMoreThanThereIs) {
  EXPECT_GT(available_memory_bytes(), 0);
  EXPECT_LE(available_memory_bytes(), read_machine().memory_bytes);
}

TEST(Memory, ThePeakRisesWithWhatIsHeld) {
  constexpr std::size_t kBytes = std::size_t{96} << 20;
  const std::int64_t before = rss_bytes();
  std::vector<char> held(kBytes);
  std::memset(held.data(), 1, kBytes);
  EXPECT_GT(before, 0);
  EXPECT_GE(peak_rss_bytes(), before + static_cast<std::int64_t>(kBytes / 2)) << held[kBytes / 2];
}

}  // namespace
}  // namespace strobe::harness
