// CPUID, by way of the compiler's run-time library.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/detect.hpp"

namespace strobe::cpu {

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::portable: return "portable";
    case Isa::avx512: return "avx512";
    case Isa::avx512bf16: return "avx512bf16";
  }
  return "unknown";
}

bool machine_has(Isa isa) {
#if defined(STROBE_X86)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  switch (isa) {
    case Isa::portable: return true;
    case Isa::avx512: return avx512;
    case Isa::avx512bf16: return avx512 && __builtin_cpu_supports("avx512bf16");
  }
  return false;
#else
  return isa == Isa::portable;
#endif
}

}  // namespace strobe::cpu
