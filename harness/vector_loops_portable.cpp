// The vector loops in 128-bit vectors, which every machine has.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_VECTOR_BYTES 16
#if defined(__aarch64__)
#  define STROBE_VECTOR_CHAINS 24
#else
#  define STROBE_VECTOR_CHAINS 12
#endif
#include "harness/vector_loops_body.hpp"

namespace strobe::harness {

extern constexpr VectorLoops kPortableLoops = loops_named("portable");

}  // namespace strobe::harness
