// Matrix products in f32 and f64 for standard attention: OpenBLAS on one thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace strobe::harness {

/// A row-major matrix; `row` elements from one row to the next, at least the number of columns.
template <class Real>
struct ConstMatrix {
  const Real* data = nullptr;
  std::int64_t row = 0;
};
template <class Real>
struct Matrix {
  Real* data = nullptr;
  std::int64_t row = 0;
};
struct ProductSizes {
  std::int64_t rows = 0;     ///< of c
  std::int64_t columns = 0;  ///< of c
  std::int64_t depth = 0;    ///< summed over
};

/// c [rows, columns] = alpha a [rows, depth] b [columns, depth]^T.
/// Throws Error(unsupported) for a size that BLAS's 32-bit integers do not hold, std::bad_alloc
/// where OpenBLAS would not get the 128 MiB of addresses that it takes for each thread. Real:
/// float, double.
template <class Real>
void multiply_transposed(ConstMatrix<Real> a, ConstMatrix<Real> b, Matrix<Real> c, ProductSizes n,
                         Real alpha);

/// c [rows, columns] = a [rows, depth] b [depth, columns]; 0 where depth is 0.
template <class Real>
void multiply(ConstMatrix<Real> a, ConstMatrix<Real> b, Matrix<Real> c, ProductSizes n);

}  // namespace strobe::harness
