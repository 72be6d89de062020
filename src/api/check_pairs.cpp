// Checks of what masks and scores take from memory: key_begin, key_end, allowed, blocks, bias,
// alibi_slopes, sink_logits, dropout_state.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {

void check_real(const Named& tensor, DType other, const char* where) {
  const DType type = tensor.view.dtype;
  if (type == DType::f32 || type == other) return;
  fail("dtype-mismatch", where,
       {tensor.name, " is ", type, "; it must be f32",
        other == DType::f32 ? "" : std::string(" or ") + name_of(other) + ", q's type"});
}

namespace {

constexpr const char* kPairAxes =
    "batch or 1, num_heads or 1, seqlen_q or 1, seqlen_k or 1 (of the longest sequence)";
constexpr const char* kRowAxes = "batch or 1, num_heads or 1, seqlen_q (of the longest sequence)";
constexpr const char* kBlockAxes =
    "batch or 1, num_heads or 1, ceil(seqlen_q / block_q), ceil(seqlen_k / block_k)";

PairAxes own_axes(const ConstTensorView& view) {
  if (!view.given()) return {};
  const Shape& shape = view.shape;
  return {true, shape[0] != 1, shape[1] != 1, shape[2] != 1, shape[3] != 1};
}

/// One axis of such a tensor: how long it must be, and whether a single value may stand for all.
struct Extent {
  const char* name;
  std::int64_t size;
  bool may_be_one;
  bool may_be_longer;  // rows and keys past the longest are never read
};

void check_extent(const Named& tensor, int axis, const Extent& extent, const char* where) {
  const std::int64_t size = tensor.view.shape[axis];
  if (size == extent.size || (extent.may_be_one && size == 1)) return;
  if (extent.may_be_longer && size > extent.size) return;
  fail("pair-shape", where,
       {tensor.name, " has shape ", tensor.view.shape, " and ", extent.name, " is ", extent.size,
        "; axis ", axis, " must be ", extent.may_be_longer ? "at least " : "", extent.size,
        extent.may_be_one ? ", or 1 to serve all" : ""});
}

std::int64_t blocks_of(std::int64_t length, std::int64_t block) {
  return length / block + (length % block != 0 ? 1 : 0);
}

void check_blocks(const PairViews& t, const Problem& p, MayBeLonger longer, const char* where) {
  const bool sizes = p.mask.block_q > 0;
  if (t.blocks.given() != sizes) {
    fail("blocks-pair", where,
         {t.blocks.given() ? "blocks is given without mask.block_q and mask.block_k"
                           : "mask.block_q and mask.block_k are given without blocks",
          "; a block map needs both the tensor and the sizes of its blocks"});
  }
  if (!sizes) return;
  const Named blocks{"blocks", t.blocks};
  check_extent(blocks, 0, {"batch", p.batch, true, false}, where);
  check_extent(blocks, 1, {"num_heads", p.num_heads, true, false}, where);
  check_extent(
      blocks, 2,
      {"ceil(seqlen_q / block_q)", blocks_of(p.seqlen_q, p.mask.block_q), false, longer.queries},
      where);
  check_extent(
      blocks, 3,
      {"ceil(seqlen_k / block_k)", blocks_of(p.seqlen_k, p.mask.block_k), false, longer.keys},
      where);
}

}  // namespace

void check_pair_types(const PairViews& t, Problem& problem, const char* where) {
  for (const Named& rows : {Named{"key_begin", t.key_begin}, Named{"key_end", t.key_end}}) {
    if (!rows.view.given()) continue;
    check_rank(rows, 3, kRowAxes, where);
    check_type(rows, DType::i32, where);
    problem.intervals = Intervals::drawn;
  }
  if (t.allowed.given()) {
    check_rank({"allowed", t.allowed}, 4, kPairAxes, where);
    check_type({"allowed", t.allowed}, DType::boolean, where);
  }
  if (t.blocks.given()) {
    check_rank({"blocks", t.blocks}, 4, kBlockAxes, where);
    check_type({"blocks", t.blocks}, DType::boolean, where);
  }
  if (t.bias.given()) {
    check_rank({"bias", t.bias}, 4, kPairAxes, where);
    check_real({"bias", t.bias}, problem.dtype, where);
    problem.bias_dtype = t.bias.dtype;
  }
  if (t.alibi_slopes.given()) {
    const bool per_batch = t.alibi_slopes.rank() == 2;
    check_rank({"alibi_slopes", t.alibi_slopes}, per_batch ? 2 : 1,
               "num_heads (or two: batch, num_heads)", where);
    check_real({"alibi_slopes", t.alibi_slopes}, lse_dtype_of(problem.dtype), where);
  }
  if (t.sink_logits.given()) {
    check_rank({"sink_logits", t.sink_logits}, 1, "num_heads", where);
    check_real({"sink_logits", t.sink_logits}, lse_dtype_of(problem.dtype), where);
  }
  problem.alibi = t.alibi_slopes.given();
  problem.sink_logits = t.sink_logits.given();
  problem.bias = own_axes(t.bias);
  problem.allowed = own_axes(t.allowed);
}

void check_pair_shapes(const PairViews& t, const Problem& p, MayBeLonger longer,
                       const char* where) {
  for (const Named& rows : {Named{"key_begin", t.key_begin}, Named{"key_end", t.key_end}}) {
    if (!rows.view.given()) continue;
    check_extent(rows, 0, {"batch", p.batch, true, false}, where);
    check_extent(rows, 1, {"num_heads", p.num_heads, true, false}, where);
    check_extent(rows, 2, {"seqlen_q", p.seqlen_q, false, longer.queries}, where);
  }
  for (const Named& pairs : {Named{"allowed", t.allowed}, Named{"bias", t.bias}}) {
    if (!pairs.view.given()) continue;
    check_extent(pairs, 0, {"batch", p.batch, true, false}, where);
    check_extent(pairs, 1, {"num_heads", p.num_heads, true, false}, where);
    check_extent(pairs, 2, {"seqlen_q", p.seqlen_q, true, longer.queries}, where);
    check_extent(pairs, 3, {"seqlen_k", p.seqlen_k, true, longer.keys}, where);
  }
  check_blocks(t, p, longer, where);
  if (t.alibi_slopes.given()) {
    const Named slopes{"alibi_slopes", t.alibi_slopes};
    const int head = t.alibi_slopes.rank() - 1;
    if (head == 1) check_extent(slopes, 0, {"batch", p.batch, true, false}, where);
    check_extent(slopes, head, {"num_heads", p.num_heads, false, false}, where);
  }
  if (t.sink_logits.given())
    check_extent({"sink_logits", t.sink_logits}, 0, {"num_heads", p.num_heads, false, false},
                 where);
}

void check_dropout_state_shape(const ConstTensorView& state, const char* where) {
  if (!state.given()) return;
  const Named tensor{"dropout_state", state};
  check_rank(tensor, 1, "2 (seed, offset)", where);
  check_type(tensor, DType::u64, where);
  check_extent(tensor, 0, {"its size", 2, false, false}, where);
}

}  // namespace strobe::api
