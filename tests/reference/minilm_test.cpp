// The reference on a real transformer layer, against numbers that others computed.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "harness/safetensors.hpp"
#include "reference/forward.hpp"

namespace strobe {
namespace {

constexpr std::int64_t kSeqlen = 512, kHeads = 12, kDim = 32;

/// q, k, v of the file, and this reference's o and lse in float64.
struct Layer {
  harness::TensorMap file = harness::read_safetensors("data/minilm/layer3.safetensors");
  std::vector<double> o = std::vector<double>(kSeqlen * kHeads * kDim);
  std::vector<double> lse = std::vector<double>(kHeads * kSeqlen);
  ForwardParams params{};

  Layer() {
    params.q = file.at("q").data();
    params.k = file.at("k").data();
    params.v = file.at("v").data();
    params.o = o.data();
    params.lse = lse.data();
    params.o_dtype = params.lse_dtype = DType::f64;
    params.q_strides = params.k_strides = params.v_strides =
        params.o_strides = {.row = kHeads * kDim, .head = kDim};
    params.lse_strides = {.row = 1, .head = kSeqlen};
    params.batch = 1;
    params.num_heads = params.num_heads_kv = kHeads;
    params.seqlen_q = params.seqlen_k = kSeqlen;
    params.head_dim = params.head_dim_v = kDim;
    params.softmax_scale = 1 / std::sqrt(double{kDim});
    reference::forward(params);
  }
};

// The file's note: lse in float64 rounded to float32, o at most 1.6e-6 (in full: 1.634e-6) from
// float64.
TEST(ReferenceOnMinilm, EqualsWhatOthersComputed) {
  const Layer layer;
  double worst_o = 0, worst_lse = 0;
  for (std::int64_t h = 0; h < kHeads; ++h)
    for (std::int64_t i = 0; i < kSeqlen; ++i) {
      const double lse = layer.lse[static_cast<std::size_t>(h * kSeqlen + i)];
      worst_lse = std::max(worst_lse,
                           std::abs(static_cast<float>(lse) - layer.file.at("lse").get({0, h, i})));
      for (std::int64_t d = 0; d < kDim; ++d) {
        const double o = layer.o[static_cast<std::size_t>((i * kHeads + h) * kDim + d)];
        worst_o = std::max(worst_o, std::abs(o - layer.file.at("o").get({0, i, h, d})));
      }
    }
  EXPECT_LE(worst_o, 1.64e-6);
  EXPECT_LE(worst_lse, 1e-6) << "one ulp of 10 in float32";
}

// docs/math.md quotes these two numbers.
TEST(ReferenceOnMinilm, UnsafeSoftmaxWouldOverflowInF16) {
  const Layer layer;
  const double log_of_overflow = std::log(65520.0);  // rounds to infinity in f16
  const float* q = layer.file.at("q").as<float>();
  const float* k = layer.file.at("k").as<float>();
  double largest = 0;
  std::int64_t rows = 0;
  for (std::int64_t row = 0; row < kSeqlen * kHeads; ++row) {
    double row_max = 0;  // every row here has a positive score
    for (std::int64_t key = row % kHeads; key < kSeqlen * kHeads; key += kHeads) {
      double s = 0;
      for (std::int64_t d = 0; d < kDim; ++d) s += double{q[row * kDim + d]} * k[key * kDim + d];
      row_max = std::max(row_max, s * layer.params.softmax_scale);
    }
    largest = std::max(largest, row_max);
    rows += row_max >= log_of_overflow ? 1 : 0;
  }
  EXPECT_NEAR(largest, 13.83, 0.005);
  EXPECT_EQ(rows, 61);
}

}  // namespace
}  // namespace strobe
