// Plain loops: vectorised over columns, never over the sum.
// SPDX-License-Identifier: Apache-2.0
#include "harness/ordered_products.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace strobe::harness {
namespace {

constexpr std::int64_t kDepth = 384;
constexpr std::int64_t kColumns = 256;

/// The product of two floats is exact in double, so that the sum is rounded once, but for one case
/// in 2^29: a fused multiply-add on machines that have none.
float multiply_add(float a, float b, float c) {
  return static_cast<float>(static_cast<double>(a) * static_cast<double>(b) +
                            static_cast<double>(c));
}
double multiply_add(double a, double b, double c) { return std::fma(a, b, c); }

}  // namespace

template <class Real>
void multiply_in_order(ConstMatrix<Real> a, ConstMatrix<Real> b, Matrix<Real> c, ProductSizes n,
                       Real alpha) {
  for (std::int64_t row = 0; row < n.rows; ++row)
    std::fill_n(c.data + row * c.row, n.columns, Real(0));
  for (std::int64_t k0 = 0; k0 < n.depth; k0 += kDepth) {
    const std::int64_t k1 = std::min(n.depth, k0 + kDepth);
    for (std::int64_t first = 0; first < n.columns; first += kColumns) {
      const std::int64_t columns = std::min(n.columns - first, kColumns);
      for (std::int64_t row = 0; row < n.rows; ++row) {
        std::array<Real, kColumns> sum{};
        for (std::int64_t k = k0; k < k1; ++k) {
          const Real factor = a.data[row * a.row + k];
          const Real* const other = b.data + k * b.row + first;
          for (std::int64_t i = 0; i < columns; ++i) {
            Real& part = sum[static_cast<std::size_t>(i)];
            part = multiply_add(factor, other[i], part);
          }
        }
        Real* const to = c.data + row * c.row + first;
        for (std::int64_t i = 0; i < columns; ++i)
          to[i] += alpha * sum[static_cast<std::size_t>(i)];
      }
    }
  }
}

template <class Real>
void transpose(ConstMatrix<Real> from, std::int64_t rows, std::int64_t columns, Matrix<Real> to) {
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column)
      to.data[column * to.row + row] = from.data[row * from.row + column];
}

template void multiply_in_order(ConstMatrix<float>, ConstMatrix<float>, Matrix<float>, ProductSizes,
                                float);
template void multiply_in_order(ConstMatrix<double>, ConstMatrix<double>, Matrix<double>,
                                ProductSizes, double);
template void transpose(ConstMatrix<float>, std::int64_t, std::int64_t, Matrix<float>);
template void transpose(ConstMatrix<double>, std::int64_t, std::int64_t, Matrix<double>);

}  // namespace strobe::harness
