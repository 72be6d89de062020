// The table of kernels: `strobe kernels`, explain, and the choice of a plan all read it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cpu/detect.hpp"
#include "cpu/forward_task.hpp"
#include "strobe/problem.hpp"

namespace strobe::plan {

struct KernelRow {
  cpu::Isa isa;
  const cpu::ForwardKernel* forward;

  /// "cpu:avx512 forward f32"
  std::string name() const;
  /// Why this kernel does not take the problem when `allowed` is the best instruction set that may
  /// be used; empty: it does.
  std::string refuses(const Problem& problem, cpu::Isa allowed) const;
};

/// Every kernel of this build, best first.
std::span<const KernelRow> kernels();

/// The first row that does not refuse, or null.
const KernelRow* find(const Problem& problem, cpu::Isa allowed);

}  // namespace strobe::plan
