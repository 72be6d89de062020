// A small valid call with memory of its own, for tests to spoil one thing in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "api/validate.hpp"
#include "strobe/strobe.hpp"

namespace strobe::test {

/// Padded: b2 h4/2 q6 k5 d8/3. Packed: three sequences of 2, 0, 4 queries and 3, 1, 1 keys.
/// Types f32; tensors lie apart in `memory`. Not copied: the views point into it.
struct Call {
  std::vector<float> memory = std::vector<float>(4096);
  std::vector<std::int32_t> cu_q{0, 2, 2, 6};
  std::vector<std::int32_t> cu_k{0, 3, 4, 5};
  // Two entries each; the rest is room for an output that a test lays over them.
  std::vector<std::int32_t> lengths_q = roomy({6, 2});
  std::vector<std::int32_t> lengths_k = roomy({5, 0});
  ForwardTensors tensors{};
  Options options{};

  static std::vector<std::int32_t> roomy(std::vector<std::int32_t> entries) {
    entries.resize(256);
    return entries;
  }

  float* slice(int index) { return memory.data() + 512 * index; }

  Call() {
    tensors.q = {slice(0), {2, 6, 4, 8}};
    tensors.k = {slice(1), {2, 5, 2, 8}};
    tensors.v = {slice(2), {2, 5, 2, 3}};
    tensors.o = {slice(3), {2, 6, 4, 3}};
    tensors.lse = {slice(4), {2, 4, 6}};
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Adds seqlens_q and seqlens_k to the padded call.
  void shorten() {
    tensors.seqlens_q = {lengths_q.data(), {2}};
    tensors.seqlens_k = {lengths_k.data(), {2}};
  }

  void pack() {
    tensors.q = {slice(0), {6, 4, 8}};
    tensors.k = {slice(1), {5, 2, 8}};
    tensors.v = {slice(2), {5, 2, 3}};
    tensors.o = {slice(3), {6, 4, 3}};
    tensors.lse = {slice(4), {4, 6}};
    tensors.cu_seqlens_q = {cu_q.data(), {4}};
    tensors.cu_seqlens_k = {cu_k.data(), {4}};
  }

  Problem check() const { return api::check_forward(tensors, options, "strobe::forward"); }
  void check_against(const Problem& planned) const {
    api::check_planned(tensors, planned, "strobe::Plan::run");
  }
};

}  // namespace strobe::test
