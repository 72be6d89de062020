// CPUID, by way of the compiler's run-time library.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/detect.hpp"

#if defined(STROBE_X86)
#  include <cpuid.h>
#endif

namespace strobe::cpu {
#if defined(STROBE_X86)
namespace {

/// Conversions of f16, which clang 14 cannot be asked for by name.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace
#endif

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::portable: return "portable";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::avx512bf16: return "avx512bf16";
  }
  return "unknown";
}

bool machine_has(Isa isa) {
#if defined(STROBE_X86)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  switch (isa) {
    case Isa::portable: return true;
    case Isa::avx2: return avx2;
    case Isa::avx512: return avx512;
    case Isa::avx512bf16:
      return avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return isa == Isa::portable;
#endif
}

/// Intel's cores do a 512-bit bf16 dot product every other cycle and two FMAs every cycle, so that
/// bf16 widened to f32 is faster there: 1.5 x on Sapphire Rapids (bench/notes.md).
Isa best_isa() {
#if defined(STROBE_X86)
  if (machine_has(Isa::avx512bf16) && !__builtin_cpu_is("intel")) return Isa::avx512bf16;
  if (machine_has(Isa::avx512)) return Isa::avx512;
  if (machine_has(Isa::avx2)) return Isa::avx2;
#endif
  return Isa::portable;
}

}  // namespace strobe::cpu
