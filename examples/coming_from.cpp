// How calls of flash_attn, PyTorch, ONNX and ggml are written here: see docs/coming_from.md.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <strobe/strobe.hpp>
#include <vector>

namespace {

// Sizes: batch, queries, keys, heads, key heads, head_dim.
constexpr std::int64_t kBatch = 2, kQueries = 40, kKeys = 56, kHeads = 6, kHeadsKv = 2, kDim = 16;

// flash_attn_func(q, k, v, causal=True, window_size=(15, 0), return_attn_probs=True)
void flash_attn(const float* q, const float* k, const float* v, float* o, float* lse) {
  strobe::forward({.q = {q, {kBatch, kQueries, kHeads, kDim}},
                   .k = {k, {kBatch, kKeys, kHeadsKv, kDim}},
                   .v = {v, {kBatch, kKeys, kHeadsKv, kDim}},
                   .o = {o, {kBatch, kQueries, kHeads, kDim}},
                   .lse = {lse, {kBatch, kHeads, kQueries}}},
                  {.mask = {.causal = true, .left = 15, .right = 0}});
}

// flash_attn_qkvpacked_func(qkv): [batch, seqlen, 3, heads, dim], three views with strides
void flash_attn_qkvpacked(const float* qkv, float* o) {
  const strobe::Shape shape{kBatch, kQueries, kHeads, kDim};
  const strobe::Shape strides{kQueries * 3 * kHeads * kDim, 3 * kHeads * kDim, kDim, 1};
  strobe::forward({.q = {qkv, shape, strides},
                   .k = {qkv + kHeads * kDim, shape, strides},
                   .v = {qkv + 2 * kHeads * kDim, shape, strides},
                   .o = {o, shape}});
}

// flash_attn_varlen_func(q, k, v, cu_q, cu_k, max_q, max_k, causal=True)
void flash_attn_varlen(const float* q, const float* k, const float* v, float* o,
                       const std::vector<std::int32_t>& cu) {
  const std::int64_t total = cu.back(), entries = static_cast<std::int64_t>(cu.size());
  strobe::forward({.q = {q, {total, kHeads, kDim}},
                   .k = {k, {total, kHeadsKv, kDim}},
                   .v = {v, {total, kHeadsKv, kDim}},
                   .o = {o, {total, kHeads, kDim}},
                   .cu_seqlens_q = {cu.data(), {entries}},
                   .cu_seqlens_k = {cu.data(), {entries}}},
                  {.mask = {.causal = true}});
}

// Memory [batch, heads, seqlen, dim] as a view with the axes batch, seqlen, head, dim.
strobe::ConstTensorView bhsd(const float* data, std::int64_t heads, std::int64_t seqlen) {
  return {data, {kBatch, seqlen, heads, kDim}, {heads * seqlen * kDim, kDim, seqlen * kDim, 1}};
}

// scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
void pytorch(const float* q, const float* k, const float* v, float* o) {
  const strobe::Shape shape{kBatch, kQueries, kHeads, kDim};
  const strobe::Shape strides{kHeads * kQueries * kDim, kDim, kQueries * kDim, 1};
  strobe::forward({.q = bhsd(q, kHeads, kQueries),
                   .k = bhsd(k, kHeadsKv, kKeys),
                   .v = bhsd(v, kHeadsKv, kKeys),
                   .o = {o, shape, strides}},
                  {.mask = {.causal = true, .align = strobe::Align::top_left}});
}

// Attention(Q, K, V, past_key, past_value, is_causal=1): 3D tensors [batch, seqlen, heads * dim].
// Keys are past and new ones, one after the other in a cache with room for `room` tokens.
void onnx(const float* q, const float* k_cache, const float* v_cache, float* o, std::int64_t room) {
  const strobe::Shape keys{kBatch, kKeys, kHeadsKv, kDim};
  const strobe::Shape strides{room * kHeadsKv * kDim, kHeadsKv * kDim, kDim, 1};
  strobe::forward({.q = {q, {kBatch, kQueries, kHeads, kDim}},
                   .k = {k_cache, keys, strides},
                   .v = {v_cache, keys, strides},
                   .o = {o, {kBatch, kQueries, kHeads, kDim}}},
                  {.mask = {.causal = true}});  // past = kKeys - kQueries: bottom right
}

// ggml_flash_attn_ext(ctx, q, k, v, NULL, scale, 0, 0): q [D, Sq, H, B], result [D, H, Sq, B]
void ggml(const float* q, const float* k, const float* v, float* result, float scale) {
  strobe::forward({.q = bhsd(q, kHeads, kQueries),
                   .k = bhsd(k, kHeadsKv, kKeys),
                   .v = bhsd(v, kHeadsKv, kKeys),
                   .o = {result, {kBatch, kQueries, kHeads, kDim}}},
                  {.score = {.scale = scale}});
}

// --- what each of them must give, in plain loops -------------------------------------------------

/// A tensor by its element (batch, row, head, dim).
struct Tensor {
  const float* data;
  std::array<std::int64_t, 3> strides;  // of batch, row, head

  float operator()(std::int64_t batch, std::int64_t row, std::int64_t head,
                   std::int64_t dim) const {
    return data[batch * strides[0] + row * strides[1] + head * strides[2] + dim];
  }
};

Tensor in_bshd(const std::vector<float>& data, std::int64_t seqlen, std::int64_t heads) {
  return {data.data(), {seqlen * heads * kDim, heads * kDim, kDim}};
}

Tensor in_bhsd(const std::vector<float>& data, std::int64_t seqlen, std::int64_t heads) {
  return {data.data(), {heads * seqlen * kDim, kDim, seqlen * kDim}};
}

constexpr std::int64_t kPast = kKeys - kQueries;

struct Inputs {
  Tensor q, k, v;
  std::int64_t keys = kKeys;
  std::int64_t heads_kv = kHeadsKv;
};

/// Largest difference of one row of o from softmax(q kT / sqrt(dim)) v over the keys it sees.
template <class Sees>
double row_error(const Inputs& in, const Tensor& o, std::array<std::int64_t, 3> at, Sees sees) {
  const auto [b, i, h] = at;
  const std::int64_t hk = h / (kHeads / in.heads_kv);
  std::array<double, kDim> sum{};
  double weights = 0;
  for (std::int64_t j = 0; j < in.keys; ++j) {
    if (!sees(i, j)) continue;
    double s = 0;
    for (std::int64_t d = 0; d < kDim; ++d) s += double{in.q(b, i, h, d)} * in.k(b, j, hk, d);
    const double p = std::exp(s / std::sqrt(static_cast<double>(kDim)));
    weights += p;
    for (std::size_t d = 0; d < kDim; ++d)
      sum[d] += p * in.v(b, j, hk, static_cast<std::int64_t>(d));
  }
  double largest = 0;
  for (std::size_t d = 0; d < kDim; ++d) {
    const double want = weights > 0 ? sum[d] / weights : 0;
    largest = std::max(largest, std::abs(want - o(b, i, h, static_cast<std::int64_t>(d))));
  }
  return largest;
}

/// Prints whether all rows of o are what they should be.
template <class Sees>
bool right(const char* name, const Inputs& in, const Tensor& o, Sees sees) {
  double error = 0;
  for (std::int64_t b = 0; b < kBatch; ++b)
    for (std::int64_t i = 0; i < kQueries; ++i)
      for (std::int64_t h = 0; h < kHeads; ++h)
        error = std::max(error, row_error(in, o, {b, i, h}, sees));
  std::printf("%-22s %s\n", name, error < 1e-5 ? "right" : "WRONG");
  return error < 1e-5;
}

std::vector<float> numbers(std::int64_t count, double seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(seed + 1.7 * static_cast<double>(i)));
  return values;
}

bool run_all() {
  constexpr std::int64_t kRoom = 64;
  const std::vector<float> q = numbers(kBatch * kQueries * kHeads * kDim, 1),
                           qkv = numbers(kBatch * kQueries * 3 * kHeads * kDim, 4);
  const std::vector<float> k = numbers(kBatch * kRoom * kHeadsKv * kDim, 2),
                           v = numbers(kBatch * kRoom * kHeadsKv * kDim, 3);
  std::vector<float> o(q.size()), lse(kBatch * kHeads * kQueries);
  const Tensor out = in_bshd(o, kQueries, kHeads);
  const Inputs rows{in_bshd(q, kQueries, kHeads), in_bshd(k, kKeys, kHeadsKv),
                    in_bshd(v, kKeys, kHeadsKv)};
  const Inputs heads{in_bhsd(q, kQueries, kHeads), in_bhsd(k, kKeys, kHeadsKv),
                     in_bhsd(v, kKeys, kHeadsKv)};
  const auto all = [](auto, auto) { return true; };
  const auto triangle = [](auto i, auto j) { return j <= i; };
  const auto shifted = [](auto i, auto j) { return j <= i + kPast; };
  const auto window = [](auto i, auto j) { return j <= i + kPast && j >= i + kPast - 15; };
  bool good = true;

  flash_attn(q.data(), k.data(), v.data(), o.data(), lse.data());
  good &= right("flash_attn", rows, out, window);

  flash_attn_qkvpacked(qkv.data(), o.data());
  const auto part = [&](std::int64_t n) -> Tensor {
    return {qkv.data() + n * kHeads * kDim,
            {kQueries * 3 * kHeads * kDim, 3 * kHeads * kDim, kDim}};
  };
  good &= right("flash_attn, qkvpacked", {part(0), part(1), part(2), kQueries, kHeads}, out, all);

  flash_attn_varlen(q.data(), k.data(), v.data(), o.data(), {0, kQueries, 2 * kQueries});
  const Inputs packed{in_bshd(q, kQueries, kHeads), in_bshd(k, kQueries, kHeadsKv),
                      in_bshd(v, kQueries, kHeadsKv), kQueries};
  good &= right("flash_attn, varlen", packed, out, triangle);

  pytorch(q.data(), k.data(), v.data(), o.data());
  good &= right("PyTorch", heads, in_bhsd(o, kQueries, kHeads), triangle);

  onnx(q.data(), k.data(), v.data(), o.data(), kRoom);
  const Inputs cached{in_bshd(q, kQueries, kHeads), in_bshd(k, kRoom, kHeadsKv),
                      in_bshd(v, kRoom, kHeadsKv)};
  good &= right("ONNX", cached, out, shifted);

  ggml(q.data(), k.data(), v.data(), o.data(), 0.25f);  // 1 / sqrt(16)
  return good & right("ggml", heads, out, all);
}

}  // namespace

int main() { return run_all() ? 0 : 1; }
