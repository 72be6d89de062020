// A small valid decode call with memory of its own, for tests to spoil one thing in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "api/validate.hpp"
#include "plan/heuristics.hpp"
#include "strobe/strobe.hpp"

namespace strobe::test {

/// b2 h4/2 q3 d8/3, f32, over a contiguous cache of 8 slots that hold 5 and 2 keys. Tensors lie
/// apart in `memory`. Not copied: the views point into it.
struct DecodeCall {
  std::vector<float> memory = std::vector<float>(12 * 512);
  std::vector<std::int32_t> lengths = roomy({5, 2});
  std::vector<std::int32_t> lengths_q = roomy({3, 1});
  std::vector<std::int32_t> lengths_new = roomy({2, 1});
  std::vector<std::int32_t> index = roomy({1, 0});
  std::vector<std::int32_t> leftpad = roomy({1, 2});
  /// Lengths of 7 and 4 reach two entries of the first row and one of the second.
  std::vector<std::int32_t> table = roomy({4, 0, -1, 2, -7, 1 << 30});
  DecodeTensors tensors{};
  Options options{};

  /// With room for an output that a test lays over them.
  static std::vector<std::int32_t> roomy(std::vector<std::int32_t> entries) {
    entries.resize(512);
    return entries;
  }

  float* slice(int number) { return memory.data() + 512 * number; }

  DecodeCall() {
    tensors.q = {slice(0), {2, 3, 4, 8}};
    tensors.o = {slice(1), {2, 3, 4, 3}};
    tensors.lse = {slice(2), {2, 4, 3}};
    tensors.cache.k_cache = {slice(3), {2, 8, 2, 8}};
    tensors.cache.v_cache = {slice(4), {2, 8, 2, 3}};
    tensors.cache.cache_seqlens = {lengths.data(), {2}};
  }
  DecodeCall(const DecodeCall&) = delete;
  DecodeCall& operator=(const DecodeCall&) = delete;

  /// Two new keys for each sequence.
  void append() {
    tensors.k = {slice(5), {2, 2, 2, 8}};
    tensors.v = {slice(6), {2, 2, 2, 3}};
  }
  /// The cache in 6 pages of 4 slots, of which a sequence may have 3.
  void page() {
    tensors.cache.k_cache = {slice(3), {6, 4, 2, 8}};
    tensors.cache.v_cache = {slice(4), {6, 4, 2, 3}};
    tensors.cache.page_table = {table.data(), {2, 3}};
  }
  void shorten() {
    tensors.seqlens_q = {lengths_q.data(), {2}};
    if (tensors.k.given()) tensors.seqlens_new = {lengths_new.data(), {2}};
  }
  void name_entries() { tensors.cache.cache_batch_idx = {index.data(), {2}}; }
  void pad_left() { tensors.cache.leftpad_k = {leftpad.data(), {2}}; }
  /// Turns 6 of 8 dimensions, from tables of 10 positions.
  void rotate() {
    options.rotary.dim = 6;
    tensors.rotary_cos = {slice(7), {10, 3}};
    tensors.rotary_sin = {slice(8), {10, 3}};
  }

  /// A cache of codes, with scales [1], [2], [2, 8, 2] or [2, 8, 2, 1]. Call before page().
  void quantise(DType dtype, KvScales kind) {
    tensors.cache.k_cache.dtype = tensors.cache.v_cache.dtype = dtype;
    const Shape shapes[] = {{}, {1}, {2}, {2, 8, 2}, {2, 8, 2, 1}};
    const Shape& shape = shapes[static_cast<std::size_t>(kind)];
    tensors.cache.k_scale = {slice(10), shape};
    tensors.cache.v_scale = {slice(11), shape};
  }

  Problem check() const { return api::check_decode(tensors, options, "strobe::decode"); }
  void check_against(const Problem& planned) const {
    api::check_planned(tensors, planned, "strobe::Plan::run");
  }
  /// The check that needs room, which it gets.
  void check_append() const {
    const Problem problem = check();
    std::vector<std::int64_t> room(static_cast<std::size_t>(plan::append_slots(problem)));
    api::check_append_slots(tensors, problem, room, "strobe::decode");
  }
};

using Random = std::mt19937_64;

inline std::int32_t draw(Random& random, std::int32_t from, std::int32_t to) {
  return std::uniform_int_distribution<std::int32_t>(from, to)(random);
}

/// Lengths, new keys, and pages or entries, which may be anybody's.
inline void draw_places(Random& random, DecodeCall& call, bool paged) {
  call.append();
  call.shorten();
  if (paged)
    call.page();
  else
    call.name_entries();
  for (std::int32_t& page : call.table) page = draw(random, 0, 5);
  for (std::size_t b = 0; b < 2; ++b) {
    call.index[b] = draw(random, 0, 1);
    call.lengths[b] = draw(random, 0, paged ? 10 : 6);
    call.lengths_new[b] = draw(random, 0, 2);
  }
}

}  // namespace strobe::test
