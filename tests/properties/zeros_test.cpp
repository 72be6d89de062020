// Zeros of o: the same bits in every cut of the queries.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "harness/random_tensors.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;

class Zeros : public testing::OnBackend {};

/// Rows [first, first + rows) of a prompt whose key 0 has all of the weight and a value of 0; the
/// weights of others, times values of either sign, round to 0 or next to it.
testing::Outcome rows_of_prompt(std::int64_t first, std::int64_t rows, const std::string& backend) {
  Problem p = Problem::parse("h1 q1 d16 causal scale=1");
  p.seqlen_q = rows;
  p.seqlen_k = first + rows;
  TensorMap in = harness::random_tensors(p, 0);
  for (const auto& [name, tensor] : in)
    for (std::int64_t row = 0; row < tensor.shape()[1]; ++row)
      for (std::int64_t d = 0; d < 16; ++d) {
        const bool value = name == "v";
        const double sign = row == 0 ? 0.0 : row < 40 ? -1.0 : 1.0;
        const double score = name == "q" ? 1.0 : row == 0 ? 148 * std::log(2.0) : 0.0;
        in.at(name).set({0, row, 0, d}, value ? sign * 1e-3 : d == 0 ? score : 0.0);
      }
  return testing::run(p, in, backend);
}

TEST_P(Zeros, HaveNoSign) {
  const testing::Outcome whole = rows_of_prompt(0, 200, backend());
  for (std::int64_t first = 0; first < 64; first += 9) {
    const testing::Outcome part = rows_of_prompt(first, 64, backend());
    for (std::int64_t row = 0; row < 64; ++row)
      for (std::int64_t d = 0; d < 16; ++d)
        ASSERT_EQ(std::signbit(part.o_at(0, row, 0, d)),
                  std::signbit(whole.o_at(0, first + row, 0, d)))
            << "row " << first + row << " of a part from " << first << ", dim " << d;
  }
}

STROBE_ON_BACKENDS(Zeros);

}  // namespace
}  // namespace strobe
