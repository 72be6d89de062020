// The kernels in plain C++, for any machine.
// SPDX-License-Identifier: Apache-2.0
#define STROBE_ISA portable
#include "cpu/simd/portable.hpp"
#include "cpu/simd/portable_f64.hpp"
//
#include "cpu/decode.hpp"
#include "cpu/forward.hpp"
#include "cpu/kernels.hpp"

namespace strobe::cpu::portable {

constinit const ForwardKernel kForward[4] = {forward_kernel<float>("f32 mul + add, 128 bits"),
                                             forward_kernel<bfloat16>("f32 mul + add, 128 bits"),
                                             forward_kernel<float16>("f32 mul + add, 128 bits"),
                                             forward_kernel<double>("f64 mul + add, 128 bits")};
constinit const DecodeKernel kDecode[4] = {decode_kernel<float>("f32 mul + add, 128 bits"),
                                           decode_kernel<bfloat16>("f32 mul + add, 128 bits"),
                                           decode_kernel<float16>("f32 mul + add, 128 bits"),
                                           decode_kernel<double>("f64 mul + add, 128 bits")};

}  // namespace strobe::cpu::portable
