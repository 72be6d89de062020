// Values that are hard on an online softmax: drawn ones, changed by a rule that has a name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "harness/tensor_map.hpp"
#include "strobe/problem.hpp"

namespace strobe::harness {

/// What q, k and v hold. Every kind but the first starts from the same draws and changes them;
/// `row` is the row inside its sequence, packed ones counted through.
enum class Values : std::int32_t {
  normal,    ///< as random_tensors() draws them
  peaked,    ///< q 12 times as large: few keys take all the weight
  rising,    ///< q = |q|, k = k / 10 + row / 50: every block of keys beats those before it
  falling,   ///< k tripled in every other 64 rows, less row / 1000: just under the first maximum
  outliers,  ///< k 50 times as large in every 97th row, v 1000 times in every 61st
  denormal,  ///< v, and k in every third row, so small that the type loses digits
  largest,   ///< v as large as its unnormalised sum allows
};

/// "rising"
const char* name_of(Values values);
/// Nothing for a name that there is not.
std::optional<Values> find_values(std::string_view name);
/// "normal, peaked, rising, ...", for messages.
std::string values_names();

/// Changes the drawn q, k and v of the problem.
void make_hard(Values values, const Problem& problem, TensorMap& tensors);

/// What fixes the tensors of a case.
struct Draw {
  // A seed alone is a draw of normal values.
  Draw(std::uint64_t number, Values kind = Values::normal) : seed(number), values(kind) {}

  std::uint64_t seed;
  Values values;
};

/// random_tensors() of the seed, made hard.
TensorMap drawn_tensors(const Problem& problem, const Draw& draw);

}  // namespace strobe::harness
