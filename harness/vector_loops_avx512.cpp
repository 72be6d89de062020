// The vector loops in 512-bit vectors.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_VECTOR_BYTES 64
#define STROBE_VECTOR_CHAINS 20
#include "harness/vector_loops_body.hpp"

namespace strobe::harness {

extern constexpr VectorLoops kAvx512Loops = loops_named("avx512");

}  // namespace strobe::harness
