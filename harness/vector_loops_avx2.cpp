// The vector loops in 256-bit vectors with FMA.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_VECTOR_BYTES 32
#define STROBE_VECTOR_CHAINS 12
#include "harness/vector_loops_body.hpp"

namespace strobe::harness {

extern constexpr VectorLoops kAvx2Loops = loops_named("avx2");

}  // namespace strobe::harness
