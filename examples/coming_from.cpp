// Calls of flash_attn, PyTorch, ONNX and ggml, written with Strobe: the code of
// docs/coming_from.md. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <strobe/strobe.hpp>
#include <vector>

namespace {

// Sizes: batch, queries, keys, heads, key heads, head_dim.
constexpr std::int64_t B = 2, Sq = 40, Sk = 56, H = 6, Hk = 2, D = 16;

// flash_attn_func(q, k, v, causal=True, window_size=(15, 0), return_attn_probs=True)
void flash_attn(const float* q, const float* k, const float* v, float* o, float* lse) {
  strobe::forward({.q = {q, {B, Sq, H, D}},
                   .k = {k, {B, Sk, Hk, D}},
                   .v = {v, {B, Sk, Hk, D}},
                   .o = {o, {B, Sq, H, D}},
                   .lse = {lse, {B, H, Sq}}},
                  {.mask = {.causal = true, .left = 15, .right = 0}});
}

// flash_attn_qkvpacked_func(qkv): [batch, seqlen, 3, heads, dim], three views with strides
void flash_attn_qkvpacked(const float* qkv, float* o) {
  const strobe::Shape shape{B, Sq, H, D}, strides{Sq * 3 * H * D, 3 * H * D, D, 1};
  strobe::forward({.q = {qkv, shape, strides},
                   .k = {qkv + H * D, shape, strides},
                   .v = {qkv + 2 * H * D, shape, strides},
                   .o = {o, shape}});
}

// flash_attn_varlen_func(q, k, v, cu_q, cu_k, max_q, max_k, causal=True)
void flash_attn_varlen(const float* q, const float* k, const float* v, float* o,
                       const std::vector<std::int32_t>& cu) {
  const std::int64_t total = cu.back(), entries = static_cast<std::int64_t>(cu.size());
  strobe::forward({.q = {q, {total, H, D}},
                   .k = {k, {total, Hk, D}},
                   .v = {v, {total, Hk, D}},
                   .o = {o, {total, H, D}},
                   .cu_seqlens_q = {cu.data(), {entries}},
                   .cu_seqlens_k = {cu.data(), {entries}}},
                  {.mask = {.causal = true}});
}

// Memory [batch, heads, seqlen, dim] as a view with the axes batch, seqlen, head, dim.
strobe::ConstTensorView bhsd(const float* data, std::int64_t heads, std::int64_t seqlen) {
  return {data, {B, seqlen, heads, D}, {heads * seqlen * D, D, seqlen * D, 1}};
}

// scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
void pytorch(const float* q, const float* k, const float* v, float* o) {
  strobe::forward({.q = bhsd(q, H, Sq),
                   .k = bhsd(k, Hk, Sk),
                   .v = bhsd(v, Hk, Sk),
                   .o = {o, {B, Sq, H, D}, {H * Sq * D, D, Sq * D, 1}}},
                  {.mask = {.causal = true, .align = strobe::Align::top_left}});
}

// Attention(Q, K, V, past_key, past_value, is_causal=1): 3D tensors [batch, seqlen, heads * dim].
// Keys are past and new ones, one after the other in a cache with room for `room` tokens.
void onnx(const float* q, const float* k_cache, const float* v_cache, float* o, std::int64_t room) {
  const strobe::Shape keys{B, Sk, Hk, D}, strides{room * Hk * D, Hk * D, D, 1};
  strobe::forward({.q = {q, {B, Sq, H, D}},
                   .k = {k_cache, keys, strides},
                   .v = {v_cache, keys, strides},
                   .o = {o, {B, Sq, H, D}}},
                  {.mask = {.causal = true}});  // past = Sk - Sq: bottom right
}

// ggml_flash_attn_ext(ctx, q, k, v, NULL, scale, 0, 0): q [D, Sq, H, B], result [D, H, Sq, B]
void ggml(const float* q, const float* k, const float* v, float* result, float scale) {
  strobe::forward({.q = bhsd(q, H, Sq),
                   .k = bhsd(k, Hk, Sk),
                   .v = bhsd(v, Hk, Sk),
                   .o = {result, {B, Sq, H, D}}},
                  {.score = {.scale = scale}});
}

// --- what each of them must give, in plain loops -------------------------------------------------

using Tensor = std::function<float&(std::int64_t batch, std::int64_t row, std::int64_t head,
                                    std::int64_t dim)>;
using Sees = std::function<bool(std::int64_t row, std::int64_t key)>;

Tensor in_bshd(std::vector<float>& data, std::int64_t seqlen, std::int64_t heads) {
  return [&data, seqlen, heads](auto b, auto row, auto head, auto dim) -> float& {
    return data[static_cast<std::size_t>(((b * seqlen + row) * heads + head) * D + dim)];
  };
}

Tensor in_bhsd(std::vector<float>& data, std::int64_t seqlen, std::int64_t heads) {
  return [&data, seqlen, heads](auto b, auto row, auto head, auto dim) -> float& {
    return data[static_cast<std::size_t>(((b * heads + head) * seqlen + row) * D + dim)];
  };
}

struct Inputs {
  Tensor q, k, v;
  std::int64_t keys = Sk;
  std::int64_t heads_kv = Hk;
  double scale = 1 / std::sqrt(static_cast<double>(D));
};

/// Largest difference of o from softmax(scale q kT) v over the keys that each row sees.
double error(const Inputs& in, const Tensor& o, const Sees& sees) {
  double largest = 0;
  for (std::int64_t b = 0; b < B; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t i = 0; i < Sq; ++i) {
        std::vector<double> sum(D);
        double weights = 0;
        for (std::int64_t j = 0; j < in.keys; ++j) {
          if (!sees(i, j)) continue;
          const std::int64_t hk = h / (H / in.heads_kv);
          double s = 0;
          for (std::int64_t d = 0; d < D; ++d) s += in.q(b, i, h, d) * in.k(b, j, hk, d);
          const double p = std::exp(in.scale * s);
          weights += p;
          for (std::int64_t d = 0; d < D; ++d)
            sum[static_cast<std::size_t>(d)] += p * in.v(b, j, hk, d);
        }
        for (std::int64_t d = 0; d < D; ++d)
          largest = std::max(
              largest, std::abs(sum[static_cast<std::size_t>(d)] / (weights > 0 ? weights : 1) -
                                o(b, i, h, d)));
      }
  return largest;
}

std::vector<float> numbers(std::int64_t count, double seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(seed + 1.7 * static_cast<double>(i)));
  return values;
}

bool report(const char* name, double error) {
  std::printf("%-22s %s\n", name, error < 1e-5 ? "right" : "WRONG");
  return error < 1e-5;
}

bool run_all() {
  constexpr std::int64_t kRoom = 64;
  std::vector<float> q = numbers(B * Sq * H * D, 1), o(q.size()), lse(B * H * Sq);
  std::vector<float> k = numbers(B * kRoom * Hk * D, 2), v = numbers(B * kRoom * Hk * D, 3);
  const Tensor out = in_bshd(o, Sq, H);
  const Inputs rows{in_bshd(q, Sq, H), in_bshd(k, Sk, Hk), in_bshd(v, Sk, Hk)};
  const Inputs heads{in_bhsd(q, Sq, H), in_bhsd(k, Sk, Hk), in_bhsd(v, Sk, Hk)};
  const std::int64_t past = Sk - Sq;
  bool right = true;

  flash_attn(q.data(), k.data(), v.data(), o.data(), lse.data());
  right &=
      report("flash_attn",
             error(rows, out, [&](auto i, auto j) { return j <= i + past && j >= i + past - 15; }));

  std::vector<float> qkv = numbers(B * Sq * 3 * H * D, 4);
  const Tensor all = in_bshd(qkv, Sq, 3 * H);
  const auto part = [&](std::int64_t n) -> Tensor {
    return [&all, n](auto b, auto i, auto h, auto d) -> float& { return all(b, i, n * H + h, d); };
  };
  flash_attn_qkvpacked(qkv.data(), o.data());
  right &= report("flash_attn, qkvpacked",
                  error({part(0), part(1), part(2), Sq, H}, out, [](auto, auto) { return true; }));

  flash_attn_varlen(q.data(), k.data(), v.data(), o.data(), {0, Sq, 2 * Sq});
  const Inputs packed{in_bshd(q, Sq, H), in_bshd(k, Sq, Hk), in_bshd(v, Sq, Hk), Sq};
  right &= report("flash_attn, varlen", error(packed, out, [](auto i, auto j) { return j <= i; }));

  pytorch(q.data(), k.data(), v.data(), o.data());
  right &=
      report("PyTorch", error(heads, in_bhsd(o, Sq, H), [](auto i, auto j) { return j <= i; }));

  onnx(q.data(), k.data(), v.data(), o.data(), kRoom);
  const Inputs cached{in_bshd(q, Sq, H), in_bshd(k, kRoom, Hk), in_bshd(v, kRoom, Hk)};
  right &= report("ONNX", error(cached, out, [&](auto i, auto j) { return j <= i + past; }));

  ggml(q.data(), k.data(), v.data(), o.data(), 0.25f);
  return right & report("ggml", error(heads, out, [](auto, auto) { return true; }));
}

}  // namespace

int main() { return run_all() ? 0 : 1; }
