// Three documents in one sequence: each token sees its own document only, up to itself.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <strobe/strobe.hpp>
#include <vector>

int main() {
  const std::vector<std::int32_t> lengths{4, 3, 2};  // of the documents, which fill 9 tokens
  std::vector<std::int32_t> cu_seqlens(4), key_begin(9), key_end(9);
  strobe::cu_seqlens_of_lengths(lengths, cu_seqlens);  // 0, 4, 7, 9
  strobe::KeyIntervals(key_begin, key_end, 9).documents(cu_seqlens);

  // Every key weighs the same, and the value of key j is j, so o is the mean of the keys seen.
  std::vector<float> q(9, 0.0f), v{0, 1, 2, 3, 4, 5, 6, 7, 8}, o(9);
  strobe::forward({.q = {q.data(), {1, 9, 1, 1}},
                   .k = {q.data(), {1, 9, 1, 1}},
                   .v = {v.data(), {1, 9, 1, 1}},
                   .o = {o.data(), {1, 9, 1, 1}},
                   .key_begin = {key_begin.data(), {1, 1, 9}},
                   .key_end = {key_end.data(), {1, 1, 9}}},
                  {.mask = {.causal = true}});
  for (const float mean : o) std::printf(" %.1f", mean);
  std::printf("\n");
}
