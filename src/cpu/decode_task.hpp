// What the CPU decode kernels of all instruction sets share: tasks, leaf states, the table entry.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/forward_task.hpp"

namespace strobe::cpu {

/// Keys of a leaf. Its state starts empty and is a function of row and keys alone, so leaves may be
/// worked on anywhere and in any order.
inline constexpr std::int64_t kLeafKeys = std::int64_t{kTileK} * kLeafBlocks;

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr std::int64_t count_leaves(std::int64_t seqlen_k) { return ceil_div(seqlen_k, kLeafKeys); }

/// The states that the leaves of one sequence leave behind, in numbers of the kernel's type. A row
/// is a query of one of the heads that share a key head: row = query * group + head % group.
struct LeafStates {
  void* o = nullptr;     ///< [leaf][kv head][row][head_dim_v]; not written where row_sum is 0
  void* sums = nullptr;  ///< [leaf][kv head][row][2]: row_max, row_sum
};

/// A sequence of a task.
struct DecodeMember {
  Sequence sequence{};
  LeafStates states{};
};

inline constexpr int kMostMembers = 8;

/// The work between two claims of the counter: some leaves of some key heads, for all rows of those
/// heads, of one sequence or of several whose keys are the same ones in memory.
struct DecodeTask {
  DecodeMember member[kMostMembers];
  int members = 1;
  std::int64_t first_kv_head = 0;
  std::int64_t kv_heads = 0;
  std::int64_t first_leaf = 0;
  std::int64_t leaves = 0;
};

/// What a row of a key head is.
struct DecodeRow {
  std::int64_t query = 0;
  std::int64_t head = 0;
};
constexpr DecodeRow decode_row(const ForwardParams& p, std::int64_t kv_head, std::int64_t row) {
  const std::int64_t group = p.num_heads / p.num_heads_kv;
  return {row / group, kv_head * group + row % group};
}

/// The intervals of rows [first, first + count) of a key head, and their common bounds. Compiled
/// once, for the baseline machine: here the mask is asked.
RowBounds see_few(const ForwardParams& p, const Sequence& sequence, std::int64_t kv_head,
                  std::int64_t first, int count, Keys* keys);

/// Does the row see the key, all masks counted?
bool sees(const ForwardParams& p, const Sequence& sequence, const DecodeRow& row, const Keys& keys,
          std::int64_t key);

/// What the scratch of a worker is made for.
struct DecodeShape {
  std::int64_t head_dim = 0;
  std::int64_t head_dim_v = 0;
  std::int64_t rows = 0;       ///< of a key head, at most
  std::int64_t kv_heads = 0;   ///< of a task, at most
  bool coded = false;          ///< the cache is quantised
  std::int64_t sequences = 1;  ///< of a task, at most
};

/// One kernel of one instruction set, for one element type, and caches of it or of codes.
struct DecodeKernel {
  DType dtype;
  const char* arithmetic;  ///< what the products run on, for people
  /// Scratch of one worker, a multiple of 64 bytes.
  std::size_t (*scratch_bytes)(const DecodeShape& shape);
  /// Bytes of a number of the leaf states.
  std::size_t number_bytes;
  /// Leaf states of a task. `scratch` is aligned to 64 bytes.
  void (*run)(const ForwardParams& p, const DecodeTask& task, std::byte* scratch);
  /// o and lse of the task's key heads, from the states of all leaves of the sequence.
  void (*combine)(const ForwardParams& p, const DecodeTask& task, std::byte* scratch);
  bool integers = false;  ///< int8 codes with a scale a row meet 16-bit integers
};

}  // namespace strobe::cpu
