// Which kernel a backend's name leads to.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "cpu/detect.hpp"
#include "strobe/plan.hpp"

namespace strobe::test {
namespace {

const Problem kProblem = Problem::parse("h2 q64 d32 bf16");

std::string kernel(const std::string& backend) {
  return Plan(kProblem, {.threads = 1, .backend = backend}).kernel();
}

TEST(Backend, LeftOutIsTheFastest) {
  const std::string fastest = std::string("cpu:") + cpu::name_of(cpu::best_isa());
  EXPECT_EQ(kernel(""), kernel(fastest));
  EXPECT_EQ(kernel("cpu"), kernel(fastest));
  EXPECT_TRUE(cpu::machine_has(cpu::best_isa()));
}

/// Intel's bf16 dot products are slower than its FMAs: not the default, but there for who asks.
TEST(Backend, SlowerOnesRunWhenAskedFor) {
  using cpu::Isa;
  if (!cpu::machine_has(Isa::avx512bf16) || cpu::best_isa() == Isa::avx512bf16)
    GTEST_SKIP() << "the best instruction set of this machine is its last";
  EXPECT_EQ(kernel(""), "cpu:avx512 forward bf16");
  EXPECT_EQ(kernel("cpu:avx512bf16"), "cpu:avx512bf16 forward bf16");
  EXPECT_NE(explain(kProblem, {.threads = 1})
                .find("slower on this CPU than cpu:avx512, but runs when asked for"),
            std::string::npos);
}

}  // namespace
}  // namespace strobe::test
