// Tensors and options made of a fuzzer's bytes: mostly right, with a few things spoilt.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bytes.hpp"
#include "strobe/strobe.hpp"

namespace strobe::fuzz {

/// What a call does with a tensor; a cache is read, and may be written.
enum class Use { input, output, cache };

/// One tensor of the call and the memory that its view claims.
struct Slot {
  const char* name = "";
  DType dtype = DType::none;
  Shape shape{};
  Shape strides{};
  bool given = false;
  Use use = Use::input;
  bool null = false;
  std::size_t shift = 0;      ///< bytes that the data is moved off its alignment
  std::size_t bytes = 0;      ///< of the memory behind the view, exactly what it claims
  bool more_claimed = false;  ///< the view claims more than is there to be had
  std::unique_ptr<std::byte[]> memory{};

  void* data() const { return null ? nullptr : memory.get() + shift; }
};

/// Numbers at which sums and products overflow, and those beside small sizes.
std::int64_t hostile_number(Bytes& bytes);

/// 0 (off) mostly, a small number often, a hostile one at times.
std::int64_t option_number(Bytes& bytes, std::int64_t off);

double option_fraction(Bytes& bytes);

/// What calls of every kind are made of. Memory is as large as each view claims, to the byte, up to
/// kMostBytes a tensor; a call with a view that claims more must not be run.
class HostileTensors {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 16;

  HostileTensors(const HostileTensors&) = delete;
  HostileTensors& operator=(const HostileTensors&) = delete;

  const Options& options() const { return options_; }
  std::span<const Slot> slots() const { return slots_; }
  const Slot& slot(const char* name) const;
  /// Is all memory there that the checks themselves may read: lengths, page table, dropout_state?
  bool checkable() const;
  /// Is all memory there that a run may touch?
  bool runnable() const;
  /// All memory behind the tensors of one use, gaps included.
  std::vector<std::byte> memory(Use use) const;
  /// Do the numbers make scores for which float32 and float64 must agree?
  bool comparable() const;

 protected:
  HostileTensors() = default;
  virtual ~HostileTensors() = default;

  /// Draws dtype_ and options_, which need no sizes.
  void draw_dtype(Bytes& bytes);
  void draw_options(Bytes& bytes);
  void add(const char* name, DType dtype, const Shape& shape, bool given = true);
  /// Masks and scores in memory, for the sizes below.
  void add_pair_tensors(Bytes& bytes);
  /// Spoils a few of the tensors added, then gives all of them memory and values.
  void spoil_and_fill(Bytes& bytes);
  /// A number that makes sense at `index` of a tensor of lengths, pages or entries; one of them may
  /// be replaced by any other.
  virtual std::int64_t number_of(const Slot& slot, std::size_t index, Bytes& bytes) const = 0;
  /// What was filled in; 0 where there is none.
  static std::int32_t number_in(const Slot& slot, std::size_t index);

  ConstTensorView in(const char* name) const;
  TensorView out(const char* name) const;
  Slot& last() { return slots_.back(); }

  std::int64_t batch_ = 0, heads_ = 0, heads_kv_ = 0, rows_ = 0, keys_ = 0, dim_ = 0, dim_v_ = 0;
  DType dtype_ = DType::f32;
  Options options_{};

 private:
  void spoil(Bytes& bytes);
  void allocate(Slot& slot);
  void fill(Slot& slot, Bytes& bytes);
  void fill_numbers(Slot& slot, Bytes& bytes);

  std::vector<Slot> slots_{};
};

}  // namespace strobe::fuzz
