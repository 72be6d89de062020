// Checks of a problem's numbers: what needs no tensor to be seen.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <limits>

#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

void check_at_least(std::int64_t least, const char* name, std::int64_t value, const char* where) {
  if (value >= least) return;
  fail("size-range", where, {name, " is ", value, "; it must be at least ", least});
}

void check_head_dim(const char* name, std::int64_t value, const char* where) {
  check_at_least(1, name, value, where);
  if (value <= kMaxHeadDim) return;
  fail("head-dim", where,
       {name, " is ", value, "; kernels take 1 to ", kMaxHeadDim,
        "; split the heads or project to fewer dimensions"});
}

void check_types(const Problem& p, const char* where) {
  switch (p.dtype) {
    case DType::f32:
    case DType::f16:
    case DType::bf16:
    case DType::f64: break;
    default:
      fail("dtype-input", where,
           {"q, k and v are ", p.dtype, "; their type must be f32, f16, bf16 or f64"});
  }
  if (p.o_dtype == p.dtype || p.o_dtype == DType::f32) return;
  fail("dtype-output", where,
       {"o is ", p.o_dtype, " and q is ", p.dtype, "; o must have q's type or f32"});
}

/// A batch of empty sequences takes no memory for tensors, but some in the workspace.
void check_batch(std::int64_t batch, const char* where) {
  check_at_least(0, "batch", batch, where);
  if (batch <= kMaxBatch) return;
  fail("size-overflow", where,
       {"batch is ", batch, "; a call takes up to ", kMaxBatch, " sequences, so make it smaller"});
}

/// Work is counted in pairs of a query and a key, in int64.
void check_pairs(const Problem& p, const char* where) {
  if (product_fits({p.batch, p.num_heads, p.seqlen_q, p.seqlen_k})) return;
  fail("size-overflow", where,
       {p.batch, " x ", p.num_heads, " heads of ", p.seqlen_q, " queries x ", p.seqlen_k,
        " keys are more than ", std::numeric_limits<std::int64_t>::max(),
        " pairs; make the sizes smaller"});
}

void check_enumerations(const Problem& p, const char* where) {
  const auto check = [where](const char* name, auto value, auto last) {
    const auto number = static_cast<std::int32_t>(value);
    if (number >= 0 && number <= static_cast<std::int32_t>(last)) return;
    fail("enum-value", where,
         {name, " is ", number, ", which is none of its values; they go from 0 to ",
          static_cast<std::int32_t>(last)});
  };
  check("mask.align", p.mask.align, Align::top_left);
  check("storage", p.storage, Storage::varlen);
  check("layout", p.layout, Layout::bhsd);
  check("determinism", p.determinism, Determinism::batch_invariant);
  check("intervals", p.intervals, Intervals::full);
  check("kv_scales", p.kv_scales, KvScales::group);
}

void check_score(const Problem& p, const char* where) {
  if (p.score.scale && !(std::abs(*p.score.scale) <= 1e30)) {  // scores are numbers of f32
    fail("scale-finite", where,
         {"score.scale is ", *p.score.scale,
          "; it must be from -1e30 to 1e30; leave it out for 1 / sqrt(head_dim)"});
  }
  const double softcap = p.score.softcap;  // s / softcap must be a number in f32, and 1 / softcap
  if (softcap != 0 && !(softcap >= 1e-30 && softcap <= 1e30)) {
    fail("softcap-value", where,
         {"score.softcap is ", softcap, "; it must be from 1e-30 to 1e30, or 0 for none"});
  }
  const bool bias_type = p.bias_dtype == p.dtype || p.bias_dtype == DType::f32;
  if (p.bias.given ? !bias_type : p.bias_dtype != DType::none) {
    fail("dtype-bias", where,
         {"bias_dtype is ", p.bias_dtype, " for q of ", p.dtype,
          "; it is q's type or f32 where there is a bias, and none where there is not"});
  }
}

void check_dropout(const Dropout& dropout, const char* where) {
  if (!(dropout.probability >= 0) || dropout.probability * 65536.0 >= 65535.5) {
    fail("dropout-probability", where,
         {"dropout.probability is ", dropout.probability,
          "; it is at least 0 and below 1, in steps of 1 / 65536, and one entry in 65536 is kept"});
  }
  if (dropout.offset >= std::uint64_t{1} << 27) {
    fail("dropout-offset", where,
         {"dropout.offset is ", dropout.offset,
          "; it counts the uses of a seed below 2^27; go on with another seed"});
  }
}

void check_kv(const Problem& p, const char* where) {
  if (p.kv_dtype != DType::none && !is_code(p.kv_dtype)) {
    fail("kv-type", where,
         {"kv_dtype is ", p.kv_dtype,
          "; a quantised cache is e4m3, e5m2, i8 or i4, and none is a cache of q's type"});
  }
  if ((p.kv_dtype == DType::none) == (p.kv_scales == KvScales::none)) return;
  fail("kv-scales", where,
       {"kv_dtype is ", p.kv_dtype, " and kv_scales ",
        p.kv_scales == KvScales::none ? "none" : "not none",
        "; a quantised cache has scales of tensor, head, token or group, and no other has any"});
}

void check_kv_dim(const char* name, std::int64_t dim, DType kv_dtype, const char* where) {
  if (dim % packed_in_one(kv_dtype) == 0) return;
  fail("kv-dim", where,
       {name, " is ", dim, " and two codes of ", kv_dtype,
        " share a byte; make it even, with one more dim that is 0"});
}

/// Sizes that only a cache has. Those of k and v have passed.
void check_cache(const Problem& p, const char* where) {
  check_at_least(0, "page_size", p.page_size, where);
  check_at_least(0, "seqlen_new", p.seqlen_new, where);
  if (p.seqlen_new > p.seqlen_k) {
    fail("append-length", where,
         {"seqlen_new is ", p.seqlen_new, " and seqlen_k, which counts new keys too, is ",
          p.seqlen_k, "; make seqlen_k the length after the append"});
  }
  if (p.rotary.dim > p.head_dim) {
    fail("rotary-dim", where,
         {"rotary.dim is ", p.rotary.dim, " and head_dim is ", p.head_dim,
          "; it turns the first dimensions of a head, at most all of them"});
  }
  check_kv_dim("head_dim", p.head_dim, p.kv_dtype, where);
  check_kv_dim("head_dim_v", p.head_dim_v, p.kv_dtype, where);
  if (p.page_size == 0) return;
  if (p.cache_batch_idx) {
    fail("cache-batch-idx-paged", where,
         {"cache_batch_idx (batch_idx) joins pages of ", p.page_size,
          " slots; a page table says where each sequence lies, so leave the index out"});
  }
  const std::int64_t pages = p.seqlen_k / p.page_size + (p.seqlen_k % p.page_size != 0 ? 1 : 0);
  check_bytes("k_cache", {p.batch, pages, p.page_size, p.num_heads_kv * p.head_dim}, p.dtype,
              where);
  check_bytes("v_cache", {p.batch, pages, p.page_size, p.num_heads_kv * p.head_dim_v}, p.dtype,
              where);
}

}  // namespace

bool product_fits(std::initializer_list<std::int64_t> sizes) {
  std::int64_t product = 1;
  bool overflow = false;
  for (const std::int64_t size : sizes)
    overflow = __builtin_mul_overflow(product, size > 0 ? size : 1, &product) || overflow;
  return !overflow;
}

void check_bytes(const char* name, std::array<std::int64_t, 4> sizes, DType dtype,
                 const char* where) {
  if (product_fits({size_of(dtype), sizes[0], sizes[1], sizes[2], sizes[3]})) return;
  fail("size-overflow", where,
       {name, " of ", sizes[0], " x ", sizes[1], " x ", sizes[2], " x ", sizes[3], " ", dtype,
        " takes more than ", std::numeric_limits<std::int64_t>::max(),
        " bytes; make the sizes smaller"});
}

void check_meaning(const Problem& p, const char* where) {
  check_enumerations(p, where);
  const auto check_side = [where](const char* name, std::int64_t side) {
    if (side >= -1) return;
    fail("mask-window", where,
         {name, " is ", side, "; a window side is a number of keys from 0 on, or -1 for all"});
  };
  check_side("mask.left", p.mask.left);
  check_side("mask.right", p.mask.right);
  const auto check_number = [where](const char* name, std::int64_t number) {
    if (number >= 0) return;
    fail("mask-number", where, {name, " is ", number, "; it must be at least 0, and 0 is off"});
  };
  check_number("mask.chunk", p.mask.chunk);
  check_number("mask.prefix", p.mask.prefix);
  check_number("mask.sink_tokens", p.mask.sink_tokens);
  check_number("mask.block_q", p.mask.block_q);
  check_number("mask.block_k", p.mask.block_k);
  if ((p.mask.block_q == 0) != (p.mask.block_k == 0)) {
    fail("blocks-size", where,
         {"mask.block_q is ", p.mask.block_q, " and mask.block_k is ", p.mask.block_k,
          "; a block map needs both, and 0 for both is none"});
  }
  check_score(p, where);
  check_dropout(p.dropout, where);
  check_rotary(p.rotary, where);
  check_kv(p, where);
}

void check_problem(const Problem& p, const char* where) {
  check_types(p, where);
  check_batch(p.batch, where);
  check_at_least(0, "seqlen_q", p.seqlen_q, where);
  check_at_least(0, "seqlen_k", p.seqlen_k, where);
  check_at_least(1, "num_heads", p.num_heads, where);
  check_at_least(1, "num_heads_kv", p.num_heads_kv, where);
  check_head_dim("head_dim", p.head_dim, where);
  check_head_dim("head_dim_v", p.head_dim_v, where);
  if (p.num_heads % p.num_heads_kv != 0) {
    fail("heads-ratio", where,
         {"q has ", p.num_heads, " heads and k has ", p.num_heads_kv,
          "; each key head must serve the same number of query heads, so the first number must be ",
          "a multiple of the second"});
  }
  check_bytes("q", {p.batch, p.seqlen_q, p.num_heads, p.head_dim}, p.dtype, where);
  check_bytes("k", {p.batch, p.seqlen_k, p.num_heads_kv, p.head_dim}, p.dtype, where);
  check_bytes("v", {p.batch, p.seqlen_k, p.num_heads_kv, p.head_dim_v}, p.dtype, where);
  check_bytes("o", {p.batch, p.seqlen_q, p.num_heads, p.head_dim_v}, p.o_dtype, where);
  check_bytes("lse", {p.batch, p.num_heads, p.seqlen_q, 1}, lse_dtype_of(p.dtype), where);
  check_pairs(p, where);
  check_meaning(p, where);
  check_cache(p, where);
}

}  // namespace strobe::api
