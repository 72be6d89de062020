// The inputs of a case, from a seed: the same values on every machine, in every layout.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "harness/tensor_map.hpp"
#include "strobe/problem.hpp"

namespace strobe::harness {

/// q, k and v, and with varlen cu_seqlens_q and cu_seqlens_k, with seqlens seqlens_q and seqlens_k.
/// Axes are always [batch, seqlen, heads, dim], packed [total, heads, dim]; the strides are those
/// of the problem's layout.
///
/// Values are normal (0, 1), rounded to the type. An element depends on seed, tensor name, batch
/// entry, row inside its sequence, head and dim alone: not on sizes, storage, layout or type. The
/// generator is counter based:
///   mix(x)     the finaliser of splitmix64 (Steele, Lea, Flood, 2014)
///   next(s, i) = mix(s + (i + 1) * 0x9e3779b97f4a7c15): draw i of the splitmix64 stream s
///   stream     = next(next(next(next(mix(seed), FNV-1a(name)), batch), row), head)
///   draw       = next(stream, dim / 2)
/// Its high 31 bits (+ 1/2) / 2^31 are u, its low 32 bits / 2^32 the turn t; Box-Muller, all in
/// f32, gives sqrt(-2 ln u) cos(2 pi t) to the even dim and sqrt(-2 ln u) sin(2 pi t) to the odd
/// one. ln, cos and sin are polynomials in plain f32 arithmetic, so the bits do not depend on a
/// maths library.
///
/// Lengths are drawn evenly from 0 to the longest, the first one full; those of k equal those of q
/// where seqlen_q == seqlen_k. They too depend on seed, name and batch entry alone, so that varlen
/// and seqlens pose the same sequences.
/// Types: f32, f16, bf16, f64. Throws Error(invalid_argument) where a size is negative or overflows
/// or a length does not fit an i32.
TensorMap random_tensors(const Problem& problem, std::uint64_t seed);

/// o [batch, seqlen_q, heads, head_dim_v] in o_dtype, with the layout's strides, and lse f32
/// [batch, heads, seqlen_q], row-major; packed [total, heads, head_dim_v] and [heads, total], with
/// the total of inputs' q. Every byte is 0xff, so that an element that nobody writes is a NaN.
TensorMap output_tensors(const Problem& problem, const TensorMap& inputs);

/// The strides of a tensor [batch, seqlen, heads, dim] or [total, heads, dim] in this layout.
Shape layout_strides(const Shape& shape, Layout layout);

}  // namespace strobe::harness
