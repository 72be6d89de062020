// The smallest program: causal attention over a sequence of 1024, and one number of the result.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <strobe/strobe.hpp>
#include <vector>

int main() {
  std::vector<float> q(1024 * 8 * 64, 0.1f), k = q, v = q, o(q.size());
  const strobe::Shape bshd{1, 1024, 8, 64};  // batch, seqlen, num_heads, head_dim
  strobe::forward(
      {.q = {q.data(), bshd}, .k = {k.data(), bshd}, .v = {v.data(), bshd}, .o = {o.data(), bshd}},
      {.mask = {.causal = true}});
  std::printf("%.3f\n", o[0]);  // every value is 0.1, and so is every average of values
}
