// Matrix products whose sums have one order on every machine: the yardstick of accuracy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/standard_products.hpp"

namespace strobe::harness {

/// c [rows, columns] = alpha a [rows, depth] b [depth, columns], as matrix libraries sum it:
/// one fused multiply-add after the other, 384 of the depth at a time (GotoBLAS keeps that much of
/// both factors in cache), each such part from zero and added to c. A library's own kernels differ
/// from core to core, the error of small products by a factor of three: OpenBLAS 0.3.21 sums them
/// in 16 lanes at once where the core has AVX-512, and a verdict would depend on the machine.
template <class Real>
void multiply_in_order(ConstMatrix<Real> a, ConstMatrix<Real> b, Matrix<Real> c, ProductSizes n,
                       Real alpha);

/// to [columns, rows] = from [rows, columns]^T
template <class Real>
void transpose(ConstMatrix<Real> from, std::int64_t rows, std::int64_t columns, Matrix<Real> to);

}  // namespace strobe::harness
