// The kernels that each instruction set contributes; which of them a machine can run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "cpu/forward_task.hpp"

namespace strobe::cpu {

namespace portable {
extern const ForwardKernel kForward[4];
}
namespace avx2 {
extern const ForwardKernel kForward[4];
}
namespace avx512 {
extern const ForwardKernel kForward[4];
}
namespace avx512bf16 {
extern const ForwardKernel kForward[1];
}

}  // namespace strobe::cpu
