// What a worker keeps while it is on a task: tiles, key blocks, states.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "cpu/tiles/state.hpp"
#include "cpu/tiles/tiling.hpp"
#include "cpu/tiles/unpack.hpp"

namespace strobe::cpu::STROBE_ISA {

/// One worker's memory. Query tiles stay for the whole task; keys pass in blocks.
///   q      [tiles][words][tile_q]    o [2][tiles][dims][tile_q]: the open leaf, closed leaves
///   s      [2][tile_k][tile_q]       k, v [2][tile_k][pitch]: this block and the next
///   numbers  two rows of what codes stand for      units [tiles][tile_q], of q as integers
template <class C>
struct Scratch {
  using Word = WordOf<C>;
  using Real = RealOf<C>;
  int words, dims, k_pitch, v_pitch;
  std::size_t q_size, o_size, k_size, v_size;  // words of one of each
  Word* q = nullptr;
  Real *o = nullptr, *s = nullptr, *sums = nullptr, *units = nullptr;
  Word *k = nullptr, *v = nullptr;
  KeptOf<C>* numbers = nullptr;
  TileRows* rows = nullptr;
  std::size_t bytes = 0;

  Scratch(std::int64_t head_dim, std::int64_t head_dim_v, int tiles, std::byte* memory) {
    words = static_cast<int>(round_up(head_dim, C::kPerWord) / C::kPerWord);
    dims = static_cast<int>(round_up(head_dim_v, C::kRows));
    k_pitch = static_cast<int>(round_up(words, C::kLanes));
    v_pitch = static_cast<int>(round_up(head_dim_v, 2 * C::kLanes));
    q_size = static_cast<std::size_t>(k_pitch) * C::kTileQ;  // load_q writes whole vectors
    o_size = static_cast<std::size_t>(dims) * C::kTileQ;
    k_size = static_cast<std::size_t>(k_pitch) * kTileK;
    v_size = static_cast<std::size_t>(v_pitch) * kTileK / C::kPerWord;
    const auto n = static_cast<std::size_t>(tiles);
    take(memory, q, n * q_size);
    take(memory, o, 2 * n * o_size);
    take(memory, s, 2 * kTileK * C::kTileQ);
    take(memory, k, 2 * k_size);
    take(memory, v, 2 * v_size);
    take(memory, sums, 4 * n * C::kTileQ);
    take(memory, rows, n);
    if constexpr (C::kIntegers)
      take(memory, units, n * C::kTileQ);
    else
      take(memory, numbers, 2 * static_cast<std::size_t>(unpacked(std::max(head_dim, head_dim_v))));
  }

 private:
  template <class T>
  void take(std::byte* memory, T*& part, std::size_t count) {
    part = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + bytes);
    bytes += (count * sizeof(T) + 63) / 64 * 64;
  }
};

/// A query tile on its way over the keys.
template <class C>
struct QueryTile {
  TileState<C> leaf, total;
  std::int64_t leaf_index = -1;  // of the open leaf; -1: no key seen yet
  bool has_total = false;        // some leaf is closed
  bool stored = false;
};

}  // namespace strobe::cpu::STROBE_ISA
