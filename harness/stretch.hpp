// Progress of a part, told as progress of the whole.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace strobe::harness {

/// Told the share that is done, from 0 to 1.
using Told = std::function<void(double)>;

/// Tells `whole`, which must outlive it, of a part as of the stretch from `begin` to `end`; none of
/// none.
inline Told stretch(const Told& whole, double begin, double end) {
  if (!whole) return {};
  return [&whole, begin, end](double part) { whole(begin + (end - begin) * part); };
}

}  // namespace strobe::harness
