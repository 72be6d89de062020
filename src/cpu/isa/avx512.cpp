// The kernels for AVX-512; bf16 and f16 are widened to f32.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_ISA avx512
#include "cpu/simd/avx512.hpp"
#include "cpu/simd/avx512_f64.hpp"

namespace strobe::cpu::avx512 {
using Simd = Avx512;
}

#include "cpu/decode.hpp"
#include "cpu/forward.hpp"
#include "cpu/kernels.hpp"

namespace strobe::cpu::avx512 {

constinit const ForwardKernel kForward[4] = {
    forward_kernel<float>("f32 FMA, 512 bits"), forward_kernel<bfloat16>("f32 FMA, 512 bits"),
    forward_kernel<float16>("f32 FMA, 512 bits"), forward_kernel<double>("f64 FMA, 512 bits")};
constinit const DecodeKernel kDecode[4] = {
    decode_kernel<float>("f32 FMA, 512 bits"), decode_kernel<bfloat16>("f32 FMA, 512 bits"),
    decode_kernel<float16>("f32 FMA, 512 bits"), decode_kernel<double>("f64 FMA, 512 bits")};

}  // namespace strobe::cpu::avx512
