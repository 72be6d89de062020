// The parts of check_forward and check_decode, and what they share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "strobe/attention.hpp"

namespace strobe::api {

/// A tensor and its name in messages.
struct Named {
  const char* name = "";
  ConstTensorView view{};
};

/// What masks and scores take from memory, in a forward call as in a decode call.
struct PairViews {
  ConstTensorView key_begin{}, key_end{}, allowed{}, blocks{}, bias{}, alibi_slopes{},
      sink_logits{};
};
template <class Tensors>
PairViews pair_views(const Tensors& t) {
  return {t.key_begin, t.key_end, t.allowed, t.blocks, t.bias, t.alibi_slopes, t.sink_logits};
}

/// Which axis is which. Packed tensors have no batch axis, so theirs is -1.
struct Axes {
  int batch = 0;
  int row = 1;
  int head = 2;
  int dim = 3;
};
constexpr Axes axes_of(bool packed) { return packed ? Axes{-1, 0, 1, 2} : Axes{}; }

inline bool is_packed(const ForwardTensors& t) { return t.cu_seqlens_q.given(); }

inline const std::int32_t* entries(const ConstTensorView& view) {
  return view.given() ? static_cast<const std::int32_t*>(view.data) : nullptr;
}

// --- sizes (check_problem.cpp)

/// Is their product an int64? Sizes of 0 count as 1: a tensor of zero bytes still has strides to
/// compute.
bool product_fits(std::initializer_list<std::int64_t> sizes);

/// The bytes of a tensor that has these sizes, whatever its strides, are an int64.
void check_bytes(const char* name, std::array<std::int64_t, 4> sizes, DType dtype,
                 const char* where);

// --- shapes (check_shapes.cpp, check_cache_shapes.cpp)

/// `needed` lists what the call needs: "q, k, v and o".
void check_given(const Named& tensor, const char* needed, const char* where);

/// The tensor has `rank` axes, which `axes` names, of sizes from 0 on.
void check_rank(const Named& tensor, int rank, const char* axes, const char* where);
void check_type(const Named& tensor, DType type, const char* where);
/// Values in f32 or another type, which depends on q's.
void check_real(const Named& tensor, DType other, const char* where);

/// One size that two tensors have in common, each at an axis of its own.
struct Common {
  const char* size;
  int axis_a;
  int axis_b;
};
void check_equal(const Common& common, const Named& a, const Named& b, const char* where);

/// i32, one entry for each sequence, where it is given.
void check_seqlens_shape(const Named& seqlens, std::int64_t batch, const char* where);

/// Ranks, types, shapes against each other. Returns sizes, types, storage and layout that the
/// tensors agree on; of packed tensors the seqlens are still 0.
Problem check_shapes(const ForwardTensors& t, const char* where);
/// The same for decode; seqlen_k and seqlen_new are still 0.
Problem check_shapes(const DecodeTensors& t, const char* where);

// --- quantised caches (check_kv_scales.cpp)

/// A cache of q's type or of codes; new keys and values of q's type.
void check_cache_types(const DecodeTensors& t, const char* where);
/// A row of i4 takes whole bytes.
void check_code_dims(const Named& cache, const char* where);
/// Scales where the cache is quantised, and nowhere else. Returns their granularity.
KvScales check_kv_scales(const DecodeTensors& t, const char* where);
/// Does the call write scales, of tokens or groups? The tensors passed check_kv_scales.
bool appends_scales(const DecodeTensors& t);

// --- masks and scores in memory (check_pairs.cpp)

/// Their types and ranks. Notes in the problem which of them is there, and along which axes it has
/// values of its own.
void check_pair_types(const PairViews& t, Problem& problem, const char* where);

/// Axes that may be longer than the lengths: their rest is never read.
struct MayBeLonger {
  bool queries = false;
  bool keys = false;
};

/// Their shapes, once the lengths are known: those of `problem` are the longest sequence's.
void check_pair_shapes(const PairViews& t, const Problem& problem, MayBeLonger longer,
                       const char* where);

void check_dropout_state_shape(const ConstTensorView& state, const char* where);

// --- memory (check_memory.cpp, check_cache_memory.cpp)

/// What the last axis of a tensor may be.
enum class Last { free, contiguous, contiguous_or_repeated };

/// Strides and pointer of a tensor whose rank and type passed; one that is not given passes.
void check_tensor(const Named& tensor, Last last, const char* where);
void check_tensors(std::span<const Named> tensors, Last last, const char* where);

/// Each element of an output has a place of its own.
void check_output(const Named& output, const char* where);

/// No element of an output is one of `other`. Both passed check_tensor.
void check_apart(const Named& output, const Named& other, const char* where);

/// Both, for all outputs of a call and against all its inputs.
void check_outputs(std::span<const Named> outputs,
                   std::initializer_list<std::span<const Named>> inputs, const char* where);

std::array<Named, 7> named(const PairViews& t);

/// Strides and pointers: every element has an address, rows are contiguous along dim.
void check_memory(const ForwardTensors& t, const char* where);
void check_memory(const DecodeTensors& t, const char* where);

/// No element of an output is another's or an input's.
void check_overlaps(const ForwardTensors& t, const char* where);
void check_overlaps(const DecodeTensors& t, const char* where);

// --- lengths (check_lengths.cpp, check_cache_lengths.cpp)

/// cu_seqlens, and the rows that they divide.
struct CuSeqlens {
  const char* name = "";
  std::span<const std::int32_t> entries{};  ///< at least one
  const char* rows_name = "";               ///< "q"
  std::int64_t rows = 0;
};

/// Entries never fall and lie within [0, rows].
void check_cu_seqlens(const CuSeqlens& cu, const char* where);

/// One side of a call, queries or keys: its rows, and the lengths that divide them.
struct Side {
  const char* rows_name = "";  ///< "q"
  const char* cu_name = "";
  const char* seqlens_name = "";
  std::int64_t rows = 0;                  ///< of one padded sequence, or of all packed ones
  const std::int32_t* cu = nullptr;       ///< [batch + 1], or null
  const std::int32_t* seqlens = nullptr;  ///< [batch], or null
  std::int64_t batch = 0;

  /// Rows that sequence `b` has in the tensor.
  std::int64_t slots(std::int64_t b) const {
    return cu != nullptr ? std::int64_t{cu[b + 1]} - cu[b] : rows;
  }
  std::int64_t length(std::int64_t b) const {
    return seqlens != nullptr ? std::int64_t{seqlens[b]} : slots(b);
  }
};

/// Reads cu_seqlens and seqlens of one side, and checks every entry. Returns the longest length;
/// of padded sequences, all their rows.
std::int64_t check_side(const Side& side, const char* where);

/// Checks Options::max_seqlen_q or max_seqlen_k, which has that name, against lengths that passed.
void check_max(const Side& side, const char* name, std::int64_t given, const char* where);

Side query_side(const ForwardTensors& t);
Side key_side(const ForwardTensors& t);

/// Padded queries, and the new keys; without k, none.
Side query_side(const DecodeTensors& t);
Side new_key_side(const DecodeTensors& t);

/// Of a decode call, of the sequences where each is longest. `lengths.k` counts new keys.
struct CacheLengths {
  Lengths lengths{};
  std::int64_t seqlen_new = 0;
};

/// Reads every length, index and page table entry of a decode call and checks it.
CacheLengths check_cache_lengths(const DecodeTensors& t, const char* where);

// --- rotary embedding (check_rotary.cpp)

/// What can be said without sizes.
void check_rotary(const Rotary& rotary, const char* where);

/// Both or neither, of one type.
void check_rotary_types(const DecodeTensors& t, const char* where);
/// Tables against the problem's rotary, and every position that is looked up in them. Rows before
/// position 0 have none and pass where they see no key.
void check_rotary_tables(const DecodeTensors& t, const Problem& problem, const char* where);

// --- plans (check_plan.cpp)

/// `actual`, with the longest lengths of its tensors, is what a plan for `planned` can run.
void check_fits(const Problem& actual, const Problem& planned, const char* where);

}  // namespace strobe::api
