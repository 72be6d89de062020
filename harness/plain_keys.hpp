// The call over a quantised cache as one over plain numbers, for whatever reads no codes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/host_tensor.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::harness {

/// Owns q, k and v as f32 (of f64 queries as f64), which hold every value code * scale exactly; one
/// entry of the cache for each sequence. Slots without a key are NaN.
class PlainKeys {
 public:
  explicit PlainKeys(const ForwardParams& p);

  /// The same call: o and lse are the other's.
  const ForwardParams& params() const { return params_; }

 private:
  ForwardParams params_;
  HostTensor q_, k_, v_;
};

}  // namespace strobe::harness
