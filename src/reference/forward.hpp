// Attention forward in float64 (f64: wider), plain loops: the project's literature and its oracle.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "semantics/forward_params.hpp"

namespace strobe::reference {

/// One row: o_row [head_dim_v], and its lse. Reads only keys that the row sees.
void forward_row(const ForwardParams& p, std::int64_t batch, std::int64_t head, std::int64_t row,
                 double* o_row, double* lse);

/// All rows of one head of one sequence, one after the other.
void forward_head(const ForwardParams& p, std::int64_t batch, std::int64_t head);

/// All rows; o in o_dtype (f32, f16, bf16, f64), lse in lse_dtype (f32, f64).
void forward(const ForwardParams& p);

}  // namespace strobe::reference
