// A call in C: structs with memory of their own, small and valid, or made from a case.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/random_tensors.hpp"
#include "harness/tensor_map.hpp"
#include "strobe/strobe.h"
#include "strobe/strobe.hpp"

namespace strobe::test {

template <class View>
strobe_tensor c_tensor(const View& view) {
  strobe_tensor tensor{};
  tensor.data = const_cast<void*>(static_cast<const void*>(view.data));
  tensor.dtype = static_cast<strobe_dtype>(view.dtype);
  tensor.rank = view.rank();
  for (int axis = 0; axis < view.rank(); ++axis) {
    tensor.shape[axis] = view.shape[axis];
    tensor.strides[axis] = view.strides[axis];
  }
  return tensor;
}

inline strobe_forward_args c_args(const ForwardTensors& t) {
  strobe_forward_args args;
  strobe_forward_args_init(&args, sizeof args);
  args.q = c_tensor(t.q);
  args.k = c_tensor(t.k);
  args.v = c_tensor(t.v);
  args.o = c_tensor(t.o);
  args.lse = c_tensor(t.lse);
  args.cu_seqlens_q = c_tensor(t.cu_seqlens_q);
  args.cu_seqlens_k = c_tensor(t.cu_seqlens_k);
  args.seqlens_q = c_tensor(t.seqlens_q);
  args.seqlens_k = c_tensor(t.seqlens_k);
  args.key_begin = c_tensor(t.key_begin);
  args.key_end = c_tensor(t.key_end);
  args.allowed = c_tensor(t.allowed);
  args.blocks = c_tensor(t.blocks);
  args.bias = c_tensor(t.bias);
  args.alibi_slopes = c_tensor(t.alibi_slopes);
  args.sink_logits = c_tensor(t.sink_logits);
  args.dropout_state = c_tensor(t.dropout_state);
  return args;
}

inline strobe_decode_args c_args(const DecodeTensors& t) {
  strobe_decode_args args;
  strobe_decode_args_init(&args, sizeof args);
  args.q = c_tensor(t.q);
  args.k = c_tensor(t.k);
  args.v = c_tensor(t.v);
  args.o = c_tensor(t.o);
  args.lse = c_tensor(t.lse);
  args.k_cache = c_tensor(t.cache.k_cache);
  args.v_cache = c_tensor(t.cache.v_cache);
  args.page_table = c_tensor(t.cache.page_table);
  args.cache_seqlens = c_tensor(t.cache.cache_seqlens);
  args.cache_batch_idx = c_tensor(t.cache.cache_batch_idx);
  args.leftpad_k = c_tensor(t.cache.leftpad_k);
  args.k_scale = c_tensor(t.cache.k_scale);
  args.v_scale = c_tensor(t.cache.v_scale);
  args.seqlens_q = c_tensor(t.seqlens_q);
  args.seqlens_new = c_tensor(t.seqlens_new);
  args.rotary_cos = c_tensor(t.rotary_cos);
  args.rotary_sin = c_tensor(t.rotary_sin);
  args.key_begin = c_tensor(t.key_begin);
  args.key_end = c_tensor(t.key_end);
  args.allowed = c_tensor(t.allowed);
  args.blocks = c_tensor(t.blocks);
  args.bias = c_tensor(t.bias);
  args.alibi_slopes = c_tensor(t.alibi_slopes);
  args.sink_logits = c_tensor(t.sink_logits);
  return args;
}

inline strobe_options c_options(const Options& from) {
  strobe_options options;
  strobe_options_init(&options, sizeof options);
  options.causal = from.mask.causal ? 1 : 0;
  options.align =
      from.mask.align == Align::top_left ? STROBE_ALIGN_TOP_LEFT : STROBE_ALIGN_BOTTOM_RIGHT;
  options.has_window = from.mask.left != -1 || from.mask.right != -1 ? 1 : 0;
  options.left = options.has_window != 0 ? from.mask.left : 0;
  options.right = options.has_window != 0 ? from.mask.right : 0;
  options.chunk = from.mask.chunk;
  options.prefix = from.mask.prefix;
  options.sink_tokens = from.mask.sink_tokens;
  options.block_q = from.mask.block_q;
  options.block_k = from.mask.block_k;
  options.has_scale = from.score.scale ? 1 : 0;
  options.scale = from.score.scale.value_or(0);
  options.softcap = from.score.softcap;
  options.dropout_probability = from.dropout.probability;
  options.dropout_seed = from.dropout.seed;
  options.dropout_offset = from.dropout.offset;
  options.determinism = from.determinism == Determinism::run_to_run
                            ? STROBE_DETERMINISM_RUN_TO_RUN
                            : STROBE_DETERMINISM_BATCH_INVARIANT;
  options.max_seqlen_q = from.max_seqlen_q;
  options.max_seqlen_k = from.max_seqlen_k;
  options.rotary_dim = from.rotary.dim;
  options.rotary_base = from.rotary.base;
  options.rotary_interleaved = from.rotary.interleaved ? 1 : 0;
  return options;
}

/// b1 h1 q2 k3 d4 f32, every input .5: what a test spoils one thing in. Not copied: it points into
/// itself.
struct CCall {
  std::vector<float> memory = std::vector<float>(64, 0.5f);
  strobe_options options{};
  strobe_forward_args args{};
  strobe_exec exec{};

  CCall() {
    const std::int64_t queries[] = {1, 2, 1, 4}, keys[] = {1, 3, 1, 4};
    strobe_options_init(&options, sizeof options);
    strobe_forward_args_init(&args, sizeof args);
    strobe_exec_init(&exec, sizeof exec);
    args.options = &options;
    strobe_tensor_init(&args.q, memory.data(), STROBE_DTYPE_F32, 4, queries);
    strobe_tensor_init(&args.k, memory.data() + 8, STROBE_DTYPE_F32, 4, keys);
    strobe_tensor_init(&args.v, memory.data() + 20, STROBE_DTYPE_F32, 4, keys);
    strobe_tensor_init(&args.o, memory.data() + 32, STROBE_DTYPE_F32, 4, queries);
  }
  CCall(const CCall&) = delete;
  CCall& operator=(const CCall&) = delete;

  strobe_code forward() const { return strobe_forward(&args, &exec); }
};

/// Inputs of a case, and the options that it has.
struct CaseCall {
  Problem problem;
  harness::TensorMap in;
  Options options;

  explicit CaseCall(const std::string& text)
      : problem(Problem::parse(text)),
        in(harness::random_tensors(problem, 0)),
        options{.mask = problem.mask,
                .score = problem.score,
                .dropout = problem.dropout,
                .determinism = problem.determinism} {}
};

/// A plan that goes when the test does.
struct CPlan {
  strobe_plan* plan = nullptr;
  CPlan() = default;
  CPlan(const CPlan&) = delete;
  CPlan& operator=(const CPlan&) = delete;
  ~CPlan() { strobe_plan_destroy(plan); }
};

struct CPool {
  strobe_pool* pool = nullptr;
  CPool() = default;
  CPool(const CPool&) = delete;
  CPool& operator=(const CPool&) = delete;
  ~CPool() { strobe_pool_destroy(pool); }
};

}  // namespace strobe::test
