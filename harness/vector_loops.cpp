// Which vector loops this machine can run.
// SPDX-License-Identifier: Apache-2.0
#include "harness/vector_loops.hpp"

#include <array>

namespace strobe::harness {
namespace {

struct Choice {
  const VectorLoops* loops;
  bool (*runs_here)();
};

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
constexpr std::array kChoices{Choice{&kAvx512Bf16Loops, has_avx512bf16},
                              Choice{&kAvx512Loops, has_avx512}, Choice{&kAvx2Loops, has_avx2},
                              Choice{&kPortableLoops, [] { return true; }}};
#else
constexpr std::array kChoices{Choice{&kPortableLoops, [] { return true; }}};
#endif

}  // namespace

const VectorLoops* vector_loops(std::string_view name) {
  for (const Choice& choice : kChoices) {
    if (name == choice.loops->name) return choice.runs_here() ? choice.loops : nullptr;
  }
  return nullptr;
}

const VectorLoops& best_vector_loops() {
  for (const Choice& choice : kChoices) {
    if (choice.runs_here()) return *choice.loops;
  }
  return kPortableLoops;
}

}  // namespace strobe::harness
