// The kernels that each instruction set contributes; which of them a machine can run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "cpu/decode_task.hpp"
#include "cpu/forward_task.hpp"

namespace strobe::cpu {

namespace portable {
extern const ForwardKernel kForward[4];
extern const DecodeKernel kDecode[4];
}  // namespace portable
namespace avx2 {
extern const ForwardKernel kForward[4];
extern const DecodeKernel kDecode[4];
}  // namespace avx2
namespace avx512 {
extern const ForwardKernel kForward[4];
extern const DecodeKernel kDecode[4];
}  // namespace avx512
namespace avx512bf16 {
extern const ForwardKernel kForward[1];
extern const DecodeKernel kDecode[1];
}  // namespace avx512bf16

}  // namespace strobe::cpu
