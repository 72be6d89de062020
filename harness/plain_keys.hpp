// The call over a quantised cache as one over plain numbers, for whatever reads no codes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/host_tensor.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::harness {

/// Owns q, k and v as `dtype`; one entry of the cache for each sequence. f32, and f64 for queries
/// of f64, hold every value code * scale exactly; to other types they are rounded, as frameworks
/// do. Slots without a key are NaN.
class PlainKeys {
 public:
  PlainKeys(const ForwardParams& p, DType dtype);

  /// The same call: o and lse are the other's.
  const ForwardParams& params() const { return params_; }

 private:
  ForwardParams params_;
  HostTensor q_, k_, v_;
};

}  // namespace strobe::harness
