// The vector loops in 512-bit vectors, with the dot product of bf16 pairs.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_VECTOR_BYTES 64
#define STROBE_VECTOR_CHAINS 20
#include "harness/vector_loops_body.hpp"

namespace strobe::harness {

/// a += x . y for pairs of bf16, by the instruction itself: the compilers of the time name its
/// function differently.
template <int... kChain>
static double dot_chains(std::int64_t iterations, std::integer_sequence<int, kChain...>) {
  const Ints ones = Ints{} + 0x3f803f80;   // bf16 1
  const Ints small = Ints{} + 0x38003800;  // bf16 2^-15
  Floats chains[] = {(Floats{} + 0.1f * kChain)...};
  for (std::int64_t i = 0; i < iterations; ++i) {
    (([&](Floats& chain) {
       asm volatile("vdpbf16ps %2, %1, %0" : "+v"(chain) : "v"(ones), "v"(small));
     }(chains[kChain])),
     ...);
  }
  Floats sum{};
  ((sum += chains[kChain]), ...);
  return static_cast<double>(sum[0]);
}

static double dot_bf16(std::int64_t iterations) {
  return dot_chains(iterations, std::make_integer_sequence<int, kChains>{});
}

extern constexpr VectorLoops kAvx512Bf16Loops =
    loops_named("avx512bf16", {dot_bf16, 4.0 * kChains* kLanes});

}  // namespace strobe::harness
