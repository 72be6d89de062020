// Writes every query, key and value of a call out as plain numbers.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plain_keys.hpp"

#include <algorithm>
#include <cstddef>

#include "semantics/quantised_row.hpp"

namespace strobe::harness {
namespace {

std::int64_t longest(const ForwardParams& p) {
  std::int64_t most = 0;
  for (std::int64_t b = 0; b < p.batch; ++b) most = std::max(most, sequence(p, b).lengths.k);
  return most;
}

Strides strides_of(const HostTensor& tensor) {
  const Shape& strides = tensor.strides();
  return {.batch = strides[0], .row = strides[1], .head = strides[2]};
}

/// Writes row `at` of `to`; `from` gives a value for each dimension.
template <class Row>
void write_row(const Row& from, const Shape& at, HostTensor& to) {
  const std::int64_t first = strides_of(to).offset(at[0], at[1], at[2]);
  for (std::int64_t d = 0; d < to.shape()[3]; ++d)
    store_element(to.data(), to.dtype(), first + d, from[d]);
}

HostTensor made(DType dtype, const Shape& shape) {
  HostTensor tensor(dtype, shape);
  tensor.fill_bytes(std::byte{0xff});
  return tensor;
}

}  // namespace

PlainKeys::PlainKeys(const ForwardParams& p, DType dtype) : params_(p) {
  const std::int64_t keys = longest(p);
  q_ = made(dtype, {p.batch, p.seqlen_q, p.num_heads, p.head_dim});
  k_ = made(dtype, {p.batch, keys, p.num_heads_kv, p.head_dim});
  v_ = made(dtype, {p.batch, keys, p.num_heads_kv, p.head_dim_v});
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const Sequence s = sequence(p, b);
    for (std::int64_t row = 0; row < s.lengths.q; ++row)
      for (std::int64_t h = 0; h < p.num_heads; ++h)
        write_row(KeyRow{.data = p.q, .dtype = p.dtype, .first = p.q_strides.offset(b, row, h)},
                  {b, row, h}, q_);
    for (std::int64_t key = s.leftpad; key < s.lengths.k; ++key)
      for (std::int64_t h = 0; h < p.num_heads_kv; ++h) {
        write_row(key_row(p, s, key, h), {b, key, h}, k_);
        write_row(value_row(p, s, key, h), {b, key, h}, v_);
      }
  }
  params_.q = q_.data();
  params_.k = k_.data();
  params_.v = v_.data();
  params_.dtype = dtype;
  params_.q_strides = strides_of(q_);
  params_.k_strides = strides_of(k_);
  params_.v_strides = strides_of(v_);
  params_.page_table = params_.cache_batch_idx = nullptr;
  params_.kv_dtype = DType::none;
  params_.kv_scales = KvScales::none;
  params_.k_scales = params_.v_scales = {};
}

}  // namespace strobe::harness
