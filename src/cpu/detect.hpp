// What this machine's CPU can run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strobe::cpu {

/// Instruction sets that have kernels; each includes those before it.
enum class Isa : std::int32_t { portable, avx2, avx512, avx512bf16 };

/// "portable", "avx2", "avx512", "avx512bf16"
const char* name_of(Isa isa);

/// Asks the CPU (and the operating system, which must save the registers), once.
bool machine_has(Isa isa);

/// The one that is fastest here, which is what backend "cpu" takes.
Isa best_isa();

}  // namespace strobe::cpu
