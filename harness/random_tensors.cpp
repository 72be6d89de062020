// Random tensors: splitmix64 streams and Box-Muller in plain f32 arithmetic.
// SPDX-License-Identifier: Apache-2.0
#include "harness/random_tensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/messages.hpp"
#include "harness/draws.hpp"

namespace strobe::harness {
namespace {

/// ln(x) for normal x > 0: x = 2^e m with m in [sqrt(1/2), sqrt(2)), and ln(m) =
/// 2 atanh((m - 1) / (m + 1)) as a series, whose first dropped term is below 2^-28 of the sum.
float natural_log(float x) {
  const std::int32_t bits = std::bit_cast<std::int32_t>(x) - 0x3f3504f3;
  const float exponent = static_cast<float>(bits >> 23);
  const float m = std::bit_cast<float>((bits & 0x007fffff) + 0x3f3504f3);
  const float z = (m - 1.0f) / (m + 1.0f);
  const float zz = z * z;
  const float series = zz * (0.333333333f + zz * (0.2f + zz * (0.142857143f + zz * 0.111111111f)));
  return exponent * 0.693147181f + 2.0f * (z + z * series);
}

struct Turn {
  float cos;
  float sin;
};

/// cos and sin of word / 2^32 of a full turn: the upper two bits choose the quarter, the rest is an
/// angle within pi / 4 of its middle.
Turn turn(std::uint32_t word) {
  constexpr float kAngle = 1.46291808e-9f;  // 2 pi / 2^32
  constexpr float kHalfRoot = 0.707106781f;
  const auto rest = static_cast<std::int32_t>(word & 0x3fffffffu) - 0x20000000;
  const float a = static_cast<float>(rest) * kAngle;
  const float aa = a * a;
  const float c =
      1.0f + aa * (-0.5f + aa * (4.16666667e-2f + aa * (-1.38888889e-3f + aa * 2.48015873e-5f)));
  const float s = a + a * aa * (-0.166666667f + aa * (8.33333333e-3f + aa * -1.98412698e-4f));
  const float x = kHalfRoot * (c - s);
  const float y = kHalfRoot * (c + s);
  const bool odd_quarter = (word & 0x40000000u) != 0;
  const float sign = (word & 0x80000000u) != 0 ? -1.0f : 1.0f;
  return {sign * (odd_quarter ? -y : x), sign * (odd_quarter ? x : y)};
}

constexpr int kBlock = 64;  // pairs: a row of head_dim 128 in one go

/// Draws first, first + 1, ... of a stream as 2 * kBlock normals. The hash runs apart from the
/// arithmetic, which the compiler turns into vectors.
void normals(std::uint64_t stream, std::uint64_t first, int pairs, float* out) {
  std::array<std::int32_t, kBlock> high;
  std::array<std::uint32_t, kBlock> low;
  for (int i = 0; i < pairs; ++i) {
    const std::uint64_t draw = next(stream, first + static_cast<std::uint64_t>(i));
    high[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(draw >> 33);
    low[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(draw);
  }
  for (int i = 0; i < pairs; ++i) {
    const float u = (static_cast<float>(high[static_cast<std::size_t>(i)]) + 0.5f) * 0x1p-31f;
    const float radius = std::sqrt(-2.0f * natural_log(u));
    const Turn t = turn(low[static_cast<std::size_t>(i)]);
    out[2 * i] = radius * t.cos;
    out[2 * i + 1] = radius * t.sin;
  }
}

template <class T>
void store_row(const float* values, std::int64_t count, std::byte* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T element = static_cast<T>(values[i]);
    std::memcpy(to + i * static_cast<std::int64_t>(sizeof(T)), &element, sizeof(T));
  }
}

/// One row of `dim` elements, rounded to the type.
void fill_row(std::uint64_t stream, DType dtype, std::int64_t dim, std::byte* to) {
  std::array<float, 2 * kBlock> values;
  for (std::int64_t first = 0; first < dim; first += 2 * kBlock) {
    const std::int64_t count = std::min<std::int64_t>(dim - first, 2 * kBlock);
    normals(stream, static_cast<std::uint64_t>(first / 2), static_cast<int>((count + 1) / 2),
            values.data());
    std::byte* at = to + first * size_of(dtype);
    if (dtype == DType::f32) store_row<float>(values.data(), count, at);
    if (dtype == DType::f16) store_row<float16>(values.data(), count, at);
    if (dtype == DType::bf16) store_row<bfloat16>(values.data(), count, at);
    if (dtype == DType::f64) store_row<double>(values.data(), count, at);
  }
}

/// The same for f64, with as many digits as it has: f32 numbers alone would have exact products.
void fill_row_f64(std::uint64_t stream, std::int64_t dim, std::byte* to) {
  const auto count = static_cast<std::size_t>(dim);
  std::vector<double> values(count), digits(count);
  fill_row(stream, DType::f64, dim, reinterpret_cast<std::byte*>(values.data()));
  fill_row(next(stream, 0), DType::f64, dim, reinterpret_cast<std::byte*>(digits.data()));
  for (std::size_t i = 0; i < count; ++i) values[i] += 0x1p-25 * digits[i];
  std::memcpy(to, values.data(), count * sizeof(double));
}

/// Fills the rows of one sequence of a tensor [.., rows, heads, dim], from element `offset` on.
void fill_sequence(HostTensor& tensor, std::int64_t offset, std::int64_t rows,
                   std::uint64_t stream) {
  const int axis = tensor.rank() - 3;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::uint64_t row_stream = next(stream, static_cast<std::uint64_t>(row));
    for (std::int64_t head = 0; head < tensor.shape()[axis + 1]; ++head) {
      const std::int64_t at =
          offset + row * tensor.strides()[axis] + head * tensor.strides()[axis + 1];
      const std::uint64_t own = next(row_stream, static_cast<std::uint64_t>(head));
      std::byte* const to = tensor.data() + at * size_of(tensor.dtype());
      if (tensor.dtype() == DType::f64)
        fill_row_f64(own, tensor.shape()[axis + 2], to);
      else
        fill_row(own, tensor.dtype(), tensor.shape()[axis + 2], to);
    }
  }
}

[[noreturn]] void throw_lengths(const std::string& what) {
  throw api::error("random-length", "strobe::random_tensors: " + what);
}

/// How long each sequence is, i32 [batch].
HostTensor draw_lengths(std::int64_t batch, std::int64_t longest, std::uint64_t stream) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (longest < 0 || longest > kMost)
    throw_lengths(
        fmt::format("sequences of up to {} rows cannot have lengths of type i32; take "
                    "from 0 to {}, or leave varlen and seqlens out",
                    longest, kMost));
  HostTensor lengths(DType::i32, {batch});
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t length = b == 0 ? longest : draw_to(stream, b, longest);
    lengths.as<std::int32_t>()[b] = static_cast<std::int32_t>(length);
  }
  return lengths;
}

/// Where each sequence starts and the last one ends, i32 [batch + 1].
HostTensor cumulated(const HostTensor& lengths) {
  const std::int64_t batch = lengths.shape()[0];
  HostTensor starts(DType::i32, {batch + 1});
  for (std::int64_t b = 0; b < batch; ++b) {
    std::int32_t& end = starts.as<std::int32_t>()[b + 1];
    if (__builtin_add_overflow(starts.as<std::int32_t>()[b], lengths.as<std::int32_t>()[b], &end))
      throw_lengths(
          fmt::format("the first {} sequences together have more rows than cu_seqlens of "
                      "type i32 can count; take fewer or shorter ones",
                      b + 1));
  }
  return starts;
}

/// A tensor [batch, seqlen, heads, dim] of the problem, or, where `starts` is given, [total, heads,
/// dim].
HostTensor normal_tensor(const Problem& problem, std::uint64_t stream, const Shape& shape,
                         const HostTensor* starts) {
  HostTensor tensor(problem.dtype, shape, layout_strides(shape, problem.layout));
  for (std::int64_t b = 0; b < problem.batch; ++b) {
    const std::int32_t* at = starts != nullptr ? starts->as<std::int32_t>() + b : nullptr;
    const std::int64_t first = at != nullptr ? at[0] : b;
    const std::int64_t rows = at != nullptr ? at[1] - at[0] : shape[1];
    fill_sequence(tensor, first * tensor.strides()[0], rows,
                  next(stream, static_cast<std::uint64_t>(b)));
  }
  return tensor;
}

/// Adds the lengths that the problem's storage asks for.
void add_lengths(const Problem& problem, std::uint64_t seed, TensorMap& tensors) {
  const char* k_name = problem.seqlen_k == problem.seqlen_q ? "seqlens_q" : "seqlens_k";
  HostTensor q = draw_lengths(problem.batch, problem.seqlen_q, named_stream(seed, "seqlens_q"));
  HostTensor k = draw_lengths(problem.batch, problem.seqlen_k, named_stream(seed, k_name));
  if (problem.storage == Storage::varlen) {
    tensors.emplace("cu_seqlens_q", cumulated(q));
    tensors.emplace("cu_seqlens_k", cumulated(k));
  } else {
    tensors.emplace("seqlens_q", std::move(q));
    tensors.emplace("seqlens_k", std::move(k));
  }
}

/// The stream of one row of a tensor [batch, heads, rows, ..].
std::uint64_t row_stream(std::uint64_t stream, std::int64_t b, std::int64_t h, std::int64_t row) {
  for (const std::int64_t index : {b, h, row})
    stream = next(stream, static_cast<std::uint64_t>(index));
  return stream;
}

/// Calls fill(stream of the row, first byte of the row) for every row of a tensor of rank 3 or 4.
template <class Fill>
void fill_rows(HostTensor& tensor, std::uint64_t stream, Fill fill) {
  const Shape& shape = tensor.shape();
  const std::int64_t row_bytes = (tensor.rank() == 4 ? shape[3] : 1) * size_of(tensor.dtype());
  std::byte* at = tensor.data();
  for (std::int64_t b = 0; b < shape[0]; ++b)
    for (std::int64_t h = 0; h < shape[1]; ++h)
      for (std::int64_t row = 0; row < shape[2]; ++row, at += row_bytes)
        fill(row_stream(stream, b, h, row), at);
}

Shape pair_shape(const Problem& p, const PairAxes& axes) {
  return {axes.batch ? p.batch : 1, axes.heads ? p.num_heads : 1, axes.queries ? p.seqlen_q : 1,
          axes.keys ? p.seqlen_k : 1};
}

/// True with the probability `share` of 2^32.
HostTensor draw_truths(const Shape& shape, std::uint64_t stream, double share) {
  HostTensor tensor(DType::boolean, shape);
  const auto below = static_cast<std::uint64_t>(share * 0x1p32);
  fill_rows(tensor, stream, [&](std::uint64_t row, std::byte* to) {
    for (std::int64_t i = 0; i < shape[3]; ++i)
      to[i] = std::byte{(next(row, static_cast<std::uint64_t>(i)) >> 32) < below};
  });
  return tensor;
}

/// Two draws from 0 to seqlen_k a row: the smaller begins, the larger ends the row's interval.
void add_intervals(const Problem& p, std::uint64_t seed, TensorMap& tensors) {
  const Shape shape{p.batch, p.num_heads, p.seqlen_q};
  HostTensor begin(DType::i32, shape), end(DType::i32, shape);
  std::int64_t row = 0;
  fill_rows(begin, named_stream(seed, "intervals"), [&](std::uint64_t stream, std::byte*) {
    const auto draw = [&](std::int64_t index) {
      return static_cast<std::int32_t>(draw_to(stream, index, p.seqlen_k));
    };
    const auto [least, most] = std::minmax({draw(0), draw(1)});
    const bool full = p.intervals == Intervals::full;
    begin.as<std::int32_t>()[row] = full ? 0 : least;
    end.as<std::int32_t>()[row++] = full ? static_cast<std::int32_t>(p.seqlen_k) : most;
  });
  tensors.emplace("key_begin", std::move(begin));
  tensors.emplace("key_end", std::move(end));
}

/// What the problem's masks and scores take from memory.
void add_pair_tensors(const Problem& p, std::uint64_t seed, TensorMap& tensors) {
  if (p.bias.given) {
    HostTensor bias(p.bias_dtype, pair_shape(p, p.bias));
    fill_rows(bias, named_stream(seed, "bias"), [&](std::uint64_t row, std::byte* to) {
      fill_row(row, bias.dtype(), bias.shape()[3], to);
    });
    tensors.emplace("bias", std::move(bias));
  }
  if (p.allowed.given)
    tensors.emplace("allowed",
                    draw_truths(pair_shape(p, p.allowed), named_stream(seed, "allowed"), 0.7));
  if (p.mask.block_q > 0) {
    const Shape shape{p.batch, p.num_heads, (p.seqlen_q + p.mask.block_q - 1) / p.mask.block_q,
                      (p.seqlen_k + p.mask.block_k - 1) / p.mask.block_k};
    tensors.emplace("blocks", draw_truths(shape, named_stream(seed, "blocks"), 0.5));
  }
  if (p.intervals != Intervals::none) add_intervals(p, seed, tensors);
  if (p.alibi) {
    HostTensor slopes(lse_dtype_of(p.dtype), {p.num_heads});
    for (std::int64_t h = 0; h < p.num_heads; ++h)
      slopes.set({h},
                 std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(p.num_heads)));
    tensors.emplace("alibi_slopes", std::move(slopes));
  }
  if (p.sink_logits) {
    HostTensor sinks(lse_dtype_of(p.dtype), {p.num_heads});
    fill_row(named_stream(seed, "sink_logits"), sinks.dtype(), p.num_heads, sinks.data());
    tensors.emplace("sink_logits", std::move(sinks));
  }
}

}  // namespace

Shape layout_strides(const Shape& shape, Layout layout) {
  checked_bytes(DType::boolean, shape, "strobe::layout_strides");
  if (layout == Layout::bshd || shape.rank() < 3) return shape.contiguous_strides();
  const int axis = shape.rank() - 3;
  Shape memory = shape;
  std::swap(memory[axis], memory[axis + 1]);
  Shape strides = memory.contiguous_strides();
  std::swap(strides[axis], strides[axis + 1]);
  return strides;
}

TensorMap random_tensors(const Problem& problem, std::uint64_t seed) {
  const DType dtype = problem.dtype;
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16 && dtype != DType::f64)
    throw api::error("dtype-input",
                     fmt::format("strobe::random_tensors: no random tensors of {}; there are f32, "
                                 "f16, bf16 and f64",
                                 name_of(dtype)));
  TensorMap tensors;
  if (problem.storage != Storage::dense) add_lengths(problem, seed, tensors);
  const auto add = [&](const char* name, const char* starts_name, Shape sizes) {
    const auto starts = tensors.find(starts_name);
    const bool packed = starts != tensors.end();
    const Shape shape =
        packed ? Shape{starts->second.as<std::int32_t>()[problem.batch], sizes[1], sizes[2]}
               : Shape{problem.batch, sizes[0], sizes[1], sizes[2]};
    tensors.emplace(name, normal_tensor(problem, named_stream(seed, name), shape,
                                        packed ? &starts->second : nullptr));
  };
  add("q", "cu_seqlens_q", {problem.seqlen_q, problem.num_heads, problem.head_dim});
  add("k", "cu_seqlens_k", {problem.seqlen_k, problem.num_heads_kv, problem.head_dim});
  add("v", "cu_seqlens_k", {problem.seqlen_k, problem.num_heads_kv, problem.head_dim_v});
  add_pair_tensors(problem, seed, tensors);
  return tensors;
}

TensorMap output_tensors(const Problem& problem, const TensorMap& inputs) {
  Shape o{problem.batch, problem.seqlen_q, problem.num_heads, problem.head_dim_v};
  Shape lse{problem.batch, problem.num_heads, problem.seqlen_q};
  if (problem.storage == Storage::varlen) {
    const auto q = inputs.find("q");
    if (q == inputs.end() || q->second.rank() != 3)
      throw api::error(
          "tensor-missing",
          "strobe::output_tensors: packed outputs are as long as q [total, heads, dim]; "
          "the inputs hold no such tensor");
    const std::int64_t total = q->second.shape()[0];
    o = {total, problem.num_heads, problem.head_dim_v};
    lse = {problem.num_heads, total};
  }
  TensorMap outputs;
  outputs.emplace("o", HostTensor(problem.o_dtype, o, layout_strides(o, problem.layout)));
  outputs.emplace("lse", HostTensor(lse_dtype_of(problem.dtype), lse));
  for (auto& entry : outputs) entry.second.fill_bytes(std::byte{0xff});
  return outputs;
}

}  // namespace strobe::harness
