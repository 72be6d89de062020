// 2^x in f64, written in an instruction set's own operations.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "semantics/inline.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Numbers of exp2 in f64, kept in memory as whole vectors: the products leave few registers, and
/// an operand in memory costs no instruction of its own.
template <int kLanes>
struct alignas(64) Exp2ConstantsF64 {
  struct Repeated {
    double lane[kLanes];
  };
  Repeated round, least, c[11];

  constexpr Exp2ConstantsF64() : round(), least(), c() {
    // (2^r - 1) / r on [-.5, .5], minimax, error 1.3e-17.
    constexpr double kCoefficients[] = {
        0.6931471805599453,    0.24022650695910097,    0.05550410866482166,   0.009618129107606887,
        0.0013333558146396008, 0.00015403530441738457, 1.5252733853272818e-5, 1.321544258664418e-6,
        1.0178051732237914e-7, 7.0725861757099235e-9,  4.456674733778903e-10};
    for (int i = 0; i < kLanes; ++i) {
      round.lane[i] = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to whole numbers
      least.lane[i] = -1023.0;             // its power of two is 0
      for (int n = 0; n < 11; ++n) c[n].lane[i] = kCoefficients[n];
    }
  }
};
template <int kLanes>
inline constexpr Exp2ConstantsF64<kLanes> kExp2F64{};

/// 2^x = scale + scale * rest, with scale a power of two and rest = 2^r - 1 for |r| <= .5.
template <class S>
struct PowerOfTwo {
  typename S::Vec scale, rest;
};

/// For x <= 1000; scale is 0 below -1022.5. Two chains, one of the even coefficients and one of the
/// odd, halve the time that a result takes. max() hands on its second operand where that is NaN.
template <class S>
STROBE_INLINE PowerOfTwo<S> power_of_two(typename S::Vec x, const typename S::Constants* c) {
  using Vec = typename S::Vec;
  const Vec bounded = S::max(S::load(&c->least), x), round = S::load(&c->round);
  const Vec shifted = S::add(bounded, round), r = S::sub(bounded, S::sub(shifted, round));
  const Vec square = S::mul(r, r);
  Vec even = S::load(&c->c[10]), odd = S::load(&c->c[9]);
  for (int i = 8; i > 0; i -= 2) {
    even = S::fma(even, square, S::load(&c->c[i]));
    odd = S::fma(odd, square, S::load(&c->c[i - 1]));
  }
  even = S::fma(even, square, S::load(&c->c[0]));
  return {S::power(shifted), S::mul(r, S::fma(odd, r, even))};
}

/// Error below 1 ulp, exactly 1 at 0, 0 below 2^-1022.5.
template <class S>
STROBE_INLINE typename S::Vec exp2_f64(typename S::Vec x, const typename S::Constants* c) {
  const PowerOfTwo<S> power = power_of_two<S>(x, c);
  return S::fma(power.scale, power.rest, power.scale);
}

/// 2^x - 1, good to its last digits also near 0.
template <class S>
STROBE_INLINE typename S::Vec exp2_less_one_f64(typename S::Vec x) {
  const PowerOfTwo<S> power = power_of_two<S>(x, S::exp2_constants());
  return S::fma(power.scale, power.rest, S::sub(power.scale, S::set(1)));
}

}  // namespace strobe::cpu::STROBE_ISA
