// Copies of cache pages.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/kv_cache.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "api/checks.hpp"
#include "api/memory.hpp"
#include "api/messages.hpp"

namespace strobe {
namespace {

using api::fail;
using api::Named;

constexpr const char* kWhere = "strobe::copy_pages";

void check_given(const Named& cache) {
  if (!cache.view.given())
    fail("tensor-missing", kWhere, {cache.name, " is not given; k_cache and v_cache are needed"});
  api::check_rank(cache, 4, "pages, page_size, heads, dim", kWhere);
}

void check_types(const Named& k, const Named& v) {
  const DType dtype = k.view.dtype;
  const bool plain =
      dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
  if (!plain && !is_code(dtype))
    fail("copy-type", kWhere,
         {"k_cache is ", dtype,
          "; a cache is f32, f16, bf16 or f64, or quantised, e4m3, e5m2, i8 or i4"});
  api::check_type(v, dtype, kWhere);
}

/// Pages, slots and heads are the same ones; dims are the caches' own.
void check_shapes(const Named& k, const Named& v) {
  const char* const sizes[] = {"the number of pages", "page_size", "num_heads_kv"};
  for (int axis = 0; axis < 3; ++axis) {
    if (k.view.shape[axis] == v.view.shape[axis]) continue;
    fail("shape-mismatch", kWhere,
         {sizes[axis], " is ", k.view.shape[axis], " in k_cache ", k.view.shape, " and ",
          v.view.shape[axis], " in v_cache ", v.view.shape, "; they must be equal"});
  }
}

void check_copies(std::span<const PageCopy> copies, std::int64_t pages) {
  const auto is_page = [pages](std::int64_t page) { return page >= 0 && page < pages; };
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (is_page(copies[i].from) && is_page(copies[i].to)) continue;
    fail("copy-page", kWhere,
         {"copies[", i, "] is from page ", copies[i].from, " to page ", copies[i].to,
          " of a cache of ", pages, " pages; they are numbered from 0 on"});
  }
}

/// Slot by slot and head by head, as strides may leave gaps anywhere but inside a head.
void copy_page(const TensorView& cache, const PageCopy& copy) {
  if (std::ranges::find(cache.shape, 0) != cache.shape.end()) return;
  auto* const data = static_cast<std::byte*>(cache.data);
  const auto at = [&](std::int64_t page, std::int64_t slot, std::int64_t head) {
    const Shape& strides = cache.strides;
    return data + bytes_of(cache.dtype, page * strides[0] + slot * strides[1] + head * strides[2]);
  };
  const auto bytes = static_cast<std::size_t>(bytes_of(cache.dtype, cache.shape[3]));
  for (std::int64_t slot = 0; slot < cache.shape[1]; ++slot)
    for (std::int64_t head = 0; head < cache.shape[2]; ++head)
      std::memcpy(at(copy.to, slot, head), at(copy.from, slot, head), bytes);
}

void check(const TensorView& k_cache, const TensorView& v_cache, std::span<const PageCopy> copies) {
  const Named k{"k_cache", k_cache}, v{"v_cache", v_cache};
  for (const Named& cache : {k, v}) check_given(cache);
  check_types(k, v);
  check_shapes(k, v);
  for (const Named& cache : {k, v}) {
    api::check_code_dims(cache, kWhere);
    api::check_tensor(cache, api::Last::contiguous, kWhere);
    api::check_output(cache, kWhere);
  }
  api::check_apart(k, v, kWhere);
  check_copies(copies, k_cache.shape[0]);
}

}  // namespace

void copy_pages(const TensorView& k_cache, const TensorView& v_cache,
                std::span<const PageCopy> copies) {
  api::with_memory_for("the message of an error (a few KiB)", kWhere,
                       [&] { check(k_cache, v_cache, copies); });
  for (const PageCopy& copy : copies) {
    if (copy.from == copy.to) continue;
    for (const TensorView& cache : {k_cache, v_cache}) copy_page(cache, copy);
  }
}

}  // namespace strobe
