// The error of a run's result, and of a result that came with the input, against float64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/team.hpp"
#include "harness/tensor_map.hpp"
#include "progress.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::tool {

/// Throws Error(invalid_argument) when a tensor that came with the input, o or lse, has not the
/// shape of what the run writes.
void check_comparable(const harness::TensorMap& in, const harness::TensorMap& out);

/// Prints the errors of o and lse against float64, those of the input's own o and lse where it
/// holds them, and standard attention's. `p` must have been run.
void print_report(const ForwardParams& p, const harness::TensorMap& in, const harness::Team& team,
                  Progress& progress);

/// Bytes of the f32 scores of all heads, which standard attention holds: the sum over sequences.
double score_matrix_bytes(const ForwardParams& p);

}  // namespace strobe::tool
