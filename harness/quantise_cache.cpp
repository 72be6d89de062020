// Row by row, with the rounding that an append has.
// SPDX-License-Identifier: Apache-2.0
#include "harness/quantise_cache.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "harness/random_tensors.hpp"
#include "semantics/quantised_row.hpp"

namespace strobe::harness {
namespace {

/// Calls fill(outer, slot, head) for each row of a tensor [outer, slots, heads, dim].
template <class Fill>
void for_each_row(const HostTensor& tensor, Fill&& fill) {
  const Shape& shape = tensor.shape();
  for (std::int64_t outer = 0; outer < shape[0]; ++outer)
    for (std::int64_t slot = 0; slot < shape[1]; ++slot)
      for (std::int64_t head = 0; head < shape[2]; ++head) fill(outer, slot, head);
}

std::int64_t offset(const Shape& strides, std::int64_t outer, std::int64_t slot,
                    std::int64_t head) {
  return outer * strides[0] + slot * strides[1] + head * strides[2];
}

std::vector<float> row_of(const HostTensor& tensor, std::int64_t first) {
  std::vector<float> row;
  for (std::int64_t d = 0; d < tensor.shape()[3]; ++d)
    row.push_back(static_cast<float>(load_element(tensor.data(), tensor.dtype(), first + d)));
  return row;
}

HostTensor made_scales(const Problem& p, const Shape& cache) {
  switch (p.kv_scales) {
    case KvScales::tensor: return HostTensor(DType::f32, {1});
    case KvScales::head: return HostTensor(DType::f32, {cache[2]});
    case KvScales::token: return HostTensor(DType::f32, {cache[0], cache[1], cache[2]});
    default: break;
  }
  const std::int64_t groups = (cache[3] + kScaleGroup - 1) / kScaleGroup;
  return HostTensor(DType::f32, {cache[0], cache[1], cache[2], groups});
}

/// The step of a head in k_scale or v_scale, and of a slot and an entry.
Shape scale_strides(const HostTensor& scales) {
  const Shape& strides = scales.strides();
  if (scales.rank() > 1) return {strides[0], strides[1], strides[2]};
  return {0, 0, scales.shape()[0] > 1 ? 1 : 0};
}

/// Raises scales of tensor or head to what the rows of `from` need; NaN is no number.
void raise_scales(const HostTensor& from, DType dtype, HostTensor& scales) {
  for_each_row(from, [&](std::int64_t outer, std::int64_t slot, std::int64_t head) {
    float& scale = scales.as<float>()[offset(scale_strides(scales), 0, 0, head)];
    const float needed = scale_of(row_of(from, offset(from.strides(), outer, slot, head)), dtype);
    if (needed > scale) scale = needed;
  });
}

}  // namespace

void quantise_cache(const Problem& p, const std::string& name, TensorMap& tensors) {
  const HostTensor from = std::move(tensors.extract(name + "_cache").mapped());
  HostTensor codes(p.kv_dtype, from.shape(), layout_strides(from.shape(), p.layout));
  HostTensor scales = made_scales(p, from.shape());
  const bool written = scales.rank() > 1;
  if (written) {
    scales.fill_bytes(std::byte{0xff});
  } else {
    raise_scales(from, p.kv_dtype, scales);
    if (const auto added = tensors.find(name); added != tensors.end())
      raise_scales(added->second, p.kv_dtype, scales);
  }
  codes.fill_bytes(std::byte{0xff});
  for_each_row(from, [&](std::int64_t outer, std::int64_t slot, std::int64_t head) {
    const std::vector<float> x = row_of(from, offset(from.strides(), outer, slot, head));
    if (std::isnan(x[0])) return;
    const KeyRow row{.dtype = p.kv_dtype,
                     .first = offset(codes.strides(), outer, slot, head),
                     .scales = scales.as<float>(),
                     .scale_first = offset(scale_strides(scales), outer, slot, head),
                     .group = scales.rank() == 4 ? 1 : 0};
    quantise_row(x, p.kv_scales, row, {codes.data(), written ? scales.as<float>() : nullptr});
  });
  tensors.emplace(name + "_cache", std::move(codes));
  tensors.emplace(name + "_scale", std::move(scales));
}

}  // namespace strobe::harness
