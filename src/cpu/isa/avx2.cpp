// The kernels for AVX2 with FMA; bf16 and f16 are widened to f32.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_ISA avx2
#include "cpu/simd/avx2.hpp"
#include "cpu/simd/avx2_f64.hpp"

namespace strobe::cpu::avx2 {
using Simd = Avx2;
}

#include "cpu/decode.hpp"
#include "cpu/forward.hpp"
#include "cpu/kernels.hpp"

namespace strobe::cpu::avx2 {

constinit const ForwardKernel kForward[4] = {
    forward_kernel<float>("f32 FMA, 256 bits"), forward_kernel<bfloat16>("f32 FMA, 256 bits"),
    forward_kernel<float16>("f32 FMA, 256 bits"), forward_kernel<double>("f64 FMA, 256 bits")};
constinit const DecodeKernel kDecode[4] = {
    decode_kernel<float>("f32 FMA, 256 bits"), decode_kernel<bfloat16>("f32 FMA, 256 bits"),
    decode_kernel<float16>("f32 FMA, 256 bits"), decode_kernel<double>("f64 FMA, 256 bits")};

}  // namespace strobe::cpu::avx2
