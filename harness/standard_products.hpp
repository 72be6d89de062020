// Matrix products in f32 for standard attention: OpenBLAS on one thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace strobe::harness {

/// A row-major matrix; `row` elements from one row to the next, at least the number of columns.
struct ConstMatrix {
  const float* data = nullptr;
  std::int64_t row = 0;
};
struct Matrix {
  float* data = nullptr;
  std::int64_t row = 0;
};
struct ProductSizes {
  std::int64_t rows = 0;     ///< of c
  std::int64_t columns = 0;  ///< of c
  std::int64_t depth = 0;    ///< summed over
};

/// c [rows, columns] = alpha a [rows, depth] b [columns, depth]^T.
/// Throws Error(unsupported) for a size that BLAS's 32-bit integers do not hold.
void multiply_transposed(ConstMatrix a, ConstMatrix b, Matrix c, ProductSizes n, float alpha);

/// c [rows, columns] = a [rows, depth] b [depth, columns]; 0 where depth is 0.
void multiply(ConstMatrix a, ConstMatrix b, Matrix c, ProductSizes n);

}  // namespace strobe::harness
