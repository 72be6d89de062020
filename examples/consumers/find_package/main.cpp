// Causal attention in C++20, with what find_package or FetchContent found.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <strobe/strobe.hpp>
#include <vector>

int main() {
  std::vector<float> x(1024 * 8 * 64, 0.1f), o(x.size());
  const strobe::Shape bshd{1, 1024, 8, 64};  // batch, seqlen, num_heads, head_dim
  try {
    strobe::forward({.q = {x.data(), bshd}, .k = {x.data(), bshd}, .v = {x.data(), bshd}},
                    {.mask = {.causal = true}});  // without o, which is an error
  } catch (const strobe::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  strobe::forward(
      {.q = {x.data(), bshd}, .k = {x.data(), bshd}, .v = {x.data(), bshd}, .o = {o.data(), bshd}},
      {.mask = {.causal = true}});
  std::printf("%.3f\n", o[0]);
}
