// A forward call made of a fuzzer's bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "hostile_tensors.hpp"

namespace strobe::fuzz {

class HostileCall : public HostileTensors {
 public:
  static constexpr std::size_t kSlots = 17;

  explicit HostileCall(Bytes& bytes);

  ForwardTensors tensors() const;

 private:
  void draw_sizes(Bytes& bytes);
  void add_tensors(Bytes& bytes);
  std::int64_t number_of(const Slot& slot, std::size_t index, Bytes& bytes) const override;

  bool packed_ = false;
};

}  // namespace strobe::fuzz
