// The parts of check_forward, and what they share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "strobe/attention.hpp"

namespace strobe::api {

/// A tensor and its name in messages.
struct Named {
  const char* name = "";
  ConstTensorView view{};
};

/// Which axis is which. Packed tensors have no batch axis, so theirs is -1.
struct Axes {
  int batch = 0;
  int row = 1;
  int head = 2;
  int dim = 3;
};
constexpr Axes axes_of(bool packed) { return packed ? Axes{-1, 0, 1, 2} : Axes{}; }

inline bool is_packed(const ForwardTensors& t) { return t.cu_seqlens_q.given(); }

/// The tensor has `rank` axes, which `axes` names, of sizes from 0 on.
void check_rank(const Named& tensor, int rank, const char* axes, const char* where);
void check_type(const Named& tensor, DType type, const char* where);

/// What the last axis of a tensor may be.
enum class Last { free, contiguous, contiguous_or_repeated };

/// Strides and pointer of a tensor whose rank and type passed; one that is not given passes.
void check_tensor(const Named& tensor, Last last, const char* where);

/// Each element of an output has a place of its own.
void check_output(const Named& output, const char* where);

/// No element of an output is one of `other`. Both passed check_tensor.
void check_apart(const Named& output, const Named& other, const char* where);

/// Ranks, types, shapes against each other. Returns sizes, types, storage and layout that the
/// tensors agree on; of packed tensors the seqlens are still 0.
Problem check_shapes(const ForwardTensors& t, const char* where);

/// Types and ranks of what masks and scores take from memory. Notes in the problem which of it is
/// there, and along which axes it has values of its own.
void check_pair_types(const ForwardTensors& t, Problem& problem, const char* where);

/// Its shapes, once the lengths are known: `longest` are those of the longest sequence.
void check_pair_shapes(const ForwardTensors& t, const Problem& problem, const char* where);

/// Strides and pointers: every element has an address, rows are contiguous along dim.
void check_memory(const ForwardTensors& t, const char* where);

/// No element of an output is another's or an input's.
void check_overlaps(const ForwardTensors& t, const char* where);

/// cu_seqlens, and the rows that they divide.
struct CuSeqlens {
  const char* name = "";
  std::span<const std::int32_t> entries{};  ///< at least one
  const char* rows_name = "";               ///< "q"
  std::int64_t rows = 0;
};

/// Entries never fall and lie within [0, rows].
void check_cu_seqlens(const CuSeqlens& cu, const char* where);

/// Reads cu_seqlens and seqlens, and checks every entry. Returns the longest lengths.
Lengths check_lengths(const ForwardTensors& t, const char* where);

/// Checks max_seqlen_q and max_seqlen_k against the lengths, which passed check_lengths.
void check_longest(const ForwardTensors& t, const Options& options, const char* where);

}  // namespace strobe::api
