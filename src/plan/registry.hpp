// The table of kernels: `strobe kernels`, explain, and the choice of a plan all read it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cpu/decode_task.hpp"
#include "cpu/detect.hpp"
#include "cpu/forward_task.hpp"
#include "strobe/plan.hpp"
#include "strobe/problem.hpp"

namespace strobe::plan {

struct KernelRow {
  cpu::Isa isa;
  const cpu::ForwardKernel* forward;  ///< the tile kernel: any queries over any keys
  const cpu::DecodeKernel* decode;    ///< or the leaf kernel: few queries, over a cache

  DType dtype() const { return forward != nullptr ? forward->dtype : decode->dtype; }
  const char* arithmetic() const {
    return forward != nullptr ? forward->arithmetic : decode->arithmetic;
  }
  /// How it reads a quantised cache.
  const char* codes(const Problem& problem) const;
  /// "cpu:avx512 forward f32"
  std::string name() const;
  /// Why this kernel does not take the problem when `allowed` is the best instruction set that may
  /// be used; empty: it does.
  std::string refuses(const Problem& problem, Op op, cpu::Isa allowed) const;
};

/// Every kernel of this build, best first.
std::span<const KernelRow> kernels();

/// The first row that does not refuse, or null.
const KernelRow* find(const Problem& problem, Op op, cpu::Isa allowed);

}  // namespace strobe::plan
