// What the CPU forward kernels of all instruction sets share: tasks, rows, and the table entry.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "semantics/forward_params.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::cpu {

/// Key blocks, and leaves: a leaf starts from the empty softmax state, and leaf states are folded
/// left to right, so that splitting the keys at leaf boundaries will not change a bit.
inline constexpr int kTileK = 128;
inline constexpr int kLeafBlocks = 8;  // 1024 keys: folding costs .3 % (f32) to .6 % (bf16)
inline constexpr int kMaxTileQ = 64;
inline constexpr int kMaxGroups = 4;
inline constexpr int kMaxTiles = 32;      // query tiles of a task
inline constexpr int kMaxTaskRows = 512;  // of tasks with more than 16 tiles

/// The work between two claims of the counter: some query rows of one head of one sequence.
struct ForwardTask {
  Sequence sequence{};
  std::int64_t head = 0;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;  ///< at most tiles * tile_q; those past lengths.q are cleared
};

/// The rows of one query tile and what they see.
struct TileRows {
  std::int64_t first_row = 0;
  int count = 0;  ///< rows that exist; the lanes behind them repeat the last one
  Keys keys[kMaxTileQ];
  RowBounds group[kMaxGroups];  ///< of each vector of queries
  RowBounds all;
};

/// Fills tiles [0, ceil(rows / tile_q)) and returns their common bounds. Compiled once, for the
/// baseline machine: here the mask is asked.
RowBounds see(const ForwardParams& p, const ForwardTask& task, int lanes, int groups,
              TileRows* tiles);

/// What rows [first_row, first_row + rows) of the task's head see of keys [begin, end) as far as
/// the block map goes; Full where there is none.
Tile block_tile(const ForwardParams& p, const ForwardTask& task, std::int64_t first_row,
                std::int64_t rows, Range keys);

/// Which of up to 32 keys the block map hides from the row (bits, the first key lowest).
std::uint32_t hidden_keys(const ForwardParams& p, const ForwardTask& task, std::int64_t row,
                          Range keys);

/// Which rows of a tile (bits, the first row lowest) may see one key, but for intervals.
std::uint64_t pair_bits(const ForwardParams& p, const ForwardTask& task, const TileRows& tile,
                        std::int64_t key);

/// o = 0 and lse = -inf, or the sink logit where the row has a query, for rows [first_row,
/// first_row + rows) of the task's head.
void clear_rows(const ForwardParams& p, const ForwardTask& task, std::int64_t first_row,
                std::int64_t rows);

/// One kernel of one instruction set, for one element type, and keys of it or of codes.
struct ForwardKernel {
  DType dtype;
  const char* arithmetic;  ///< what the products run on, for people
  int tile_q;
  int tile_k;
  /// Scratch of one worker for this many query tiles, a multiple of 64 bytes.
  std::size_t (*scratch_bytes)(std::int64_t head_dim, std::int64_t head_dim_v, int tiles);
  /// `scratch` is aligned to 64 bytes; `tiles` is what scratch_bytes was asked for.
  void (*run)(const ForwardParams& p, const ForwardTask& task, int tiles, std::byte* scratch);
  bool integers = false;  ///< int8 codes with a scale a row meet 16-bit integers
};

}  // namespace strobe::cpu
