// The kernels for AVX-512 with bf16 dot products.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_ISA avx512bf16
#include "cpu/simd/avx512bf16.hpp"
//
#include "cpu/decode.hpp"
#include "cpu/forward.hpp"
#include "cpu/kernels.hpp"

namespace strobe::cpu::avx512bf16 {

constinit const ForwardKernel kForward[1] = {forward_kernel<bfloat16>("bf16 dot, 512 bits")};
constinit const DecodeKernel kDecode[1] = {decode_kernel<bfloat16>("bf16 dot, 512 bits")};

}  // namespace strobe::cpu::avx512bf16
