// What a plan decides: kernel, tiles, workspace; and its cost on paper.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "cpu/decode_call.hpp"
#include "plan/registry.hpp"

namespace strobe::plan {

struct Decision {
  const KernelRow* kernel = nullptr;  ///< null: no kernel takes the problem
  Op op = Op::forward;
  int tiles = 1;
  int threads = 1;
  int splits = 0;          ///< asked for; 0: as many as pay
  cpu::DecodeCall call{};  ///< op decode
  std::size_t workspace_bytes = 0;
};

/// Never throws for a problem that passed the checks.
Decision decide(const Problem& problem, cpu::Isa allowed, const PlanOptions& options);

}  // namespace strobe::plan
