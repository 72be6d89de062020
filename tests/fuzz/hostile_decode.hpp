// A decode call made of a fuzzer's bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "hostile_tensors.hpp"

namespace strobe::fuzz {

class HostileDecode : public HostileTensors {
 public:
  explicit HostileDecode(Bytes& bytes);

  DecodeTensors tensors() const;

 private:
  void draw_sizes(Bytes& bytes);
  void draw_rotary(Bytes& bytes);
  void draw_codes(Bytes& bytes);
  void add_tensors(Bytes& bytes);
  void add_cache(Bytes& bytes);
  void add_tables(Bytes& bytes);
  std::int64_t number_of(const Slot& slot, std::size_t index, Bytes& bytes) const override;

  bool paged_ = false, appends_ = false, shuffled_ = false;
  std::int64_t places_ = 0;      ///< entries of the cache, or its pages
  std::int64_t place_size_ = 0;  ///< slots of each
  std::int64_t max_pages_ = 0;
  std::int64_t added_ = 0;  ///< rows of k and v
  DType cache_dtype_ = DType::f32;
  std::int64_t scales_ = 0;  ///< of codes: tensor, head, token, group
};

}  // namespace strobe::fuzz
