// What a worker keeps while it is on a decode task: rows of queries, their states, scores, keys.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/few_softmax.hpp"
#include "cpu/tiles/tiling.hpp"
#include "cpu/tiles/unpack.hpp"

namespace strobe::cpu::STROBE_ISA {

/// One worker's memory for a task: rows in groups of up to kLanes.
///   rows   [groups]                    q [groups][k_pitch][lanes]  o [groups][lanes][o_pitch]
///   s      [tile_k][lanes]: scores, then p; twice where something is added to them
///   k      [kChunk][k_pitch]: keys as the products want them
///   numbers  of codes: keys, then values of a block and key head, as rows of whole vectors
template <class C>
struct DecodeScratch {
  using Word = WordOf<C>;
  using Real = RealOf<C>;
  int words, k_pitch, o_pitch;
  std::int64_t groups_a_head;
  std::int64_t k_numbers, v_numbers;  // of a row that codes become
  FewRows<C>* rows = nullptr;
  Word* q = nullptr;
  Real* o = nullptr;
  Real* s = nullptr;
  Word* k = nullptr;
  KeptOf<C>* zeros = nullptr;  // a row of values
  KeptOf<C>* numbers = nullptr;
  std::size_t bytes = 0;

  DecodeScratch(const DecodeShape& n, std::byte* memory) {
    words = static_cast<int>(round_up(n.head_dim, C::kPerWord) / C::kPerWord);
    k_pitch = static_cast<int>(round_up(words, C::kLanes));
    o_pitch = static_cast<int>(round_up(n.head_dim_v, C::kLanes));
    groups_a_head = round_up(n.rows, C::kLanes) / C::kLanes;
    const auto groups = static_cast<std::size_t>(groups_a_head * n.kv_heads * n.sequences);
    take(memory, rows, groups);
    take(memory, q, groups * static_cast<std::size_t>(k_pitch) * C::kLanes);
    take(memory, o, groups * static_cast<std::size_t>(o_pitch) * C::kLanes);
    take(memory, s, std::size_t{2} * kTileK * C::kLanes);
    take(memory, k, static_cast<std::size_t>(C::kChunk) * static_cast<std::size_t>(k_pitch));
    take(memory, zeros, static_cast<std::size_t>(n.head_dim_v));
    k_numbers = unpacked(n.head_dim);
    v_numbers = unpacked(n.head_dim_v);
    const std::int64_t keys = n.coded && !C::kIntegers ? kTileK : 0;
    take(memory, numbers, static_cast<std::size_t>(keys * (k_numbers + v_numbers)));
  }

 private:
  template <class T>
  void take(std::byte* memory, T*& part, std::size_t count) {
    part = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + bytes);
    bytes += (count * sizeof(T) + 63) / 64 * 64;
  }
};

}  // namespace strobe::cpu::STROBE_ISA
