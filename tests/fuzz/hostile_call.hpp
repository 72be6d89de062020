// A forward call made of a fuzzer's bytes: mostly right, with a few things spoilt.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bytes.hpp"
#include "strobe/strobe.hpp"

namespace strobe::fuzz {

/// One tensor of the call and the memory that its view claims.
struct Slot {
  const char* name = "";
  DType dtype = DType::none;
  Shape shape{};
  Shape strides{};
  bool given = false;
  bool is_output = false;
  bool null = false;
  std::size_t shift = 0;      ///< bytes that the data is moved off its alignment
  std::size_t bytes = 0;      ///< of the memory behind the view, exactly what it claims
  bool more_claimed = false;  ///< the view claims more than is there to be had
  std::unique_ptr<std::byte[]> memory{};

  void* data() const { return null ? nullptr : memory.get() + shift; }
};

/// Sizes and options come from the bytes too. Memory is as large as each view claims, to the byte,
/// up to kMostBytes a tensor; a call with a view that claims more must not be run.
class HostileCall {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 16;
  static constexpr std::size_t kSlots = 17;

  explicit HostileCall(Bytes& bytes);

  ForwardTensors tensors() const;
  const Options& options() const { return options_; }
  const std::array<Slot, kSlots>& slots() const { return slots_; }
  /// Is all memory there that the checks themselves may read: lengths and dropout_state?
  bool checkable() const;
  /// Is all memory there that a run may touch?
  bool runnable() const;
  /// All memory behind the outputs, or behind the inputs, gaps included.
  std::vector<std::byte> outputs() const { return memory(true); }
  std::vector<std::byte> inputs() const { return memory(false); }
  /// Do the numbers make scores for which float32 and float64 must agree?
  bool comparable() const;

 private:
  std::vector<std::byte> memory(bool of_outputs) const;
  void draw_sizes(Bytes& bytes);
  void add(const char* name, DType dtype, const Shape& shape, bool given = true);
  void add_tensors(Bytes& bytes);
  void add_pair_tensors(Bytes& bytes);
  void spoil(Bytes& bytes);
  void draw_options(Bytes& bytes);
  void allocate(Slot& slot);
  void fill(Slot& slot, Bytes& bytes);
  void fill_lengths(Slot& slot, Bytes& bytes);
  const Slot& slot(const char* name) const;

  std::int64_t batch_ = 0, heads_ = 0, heads_kv_ = 0, rows_ = 0, keys_ = 0, dim_ = 0, dim_v_ = 0;
  DType dtype_ = DType::f32;
  bool packed_ = false;
  std::array<Slot, kSlots> slots_{};
  std::size_t count_ = 0;
  Options options_{};
};

/// Is it small enough to be run here, in time and in workspace?
bool is_small(const Problem& problem);

}  // namespace strobe::fuzz
