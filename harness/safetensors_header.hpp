// The JSON header of a safetensors file, read strictly.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "strobe/tensor.hpp"

namespace strobe::harness {

/// What the header says of one tensor: [begin, end) are bytes of the data behind the header.
struct StoredTensor {
  std::string name{};
  DType dtype = DType::none;
  Shape shape{};
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// The tensors of a header, in its order; `__metadata__` is skipped. `file` names it in messages.
/// Throws Error(invalid_argument) for JSON that is broken or of another form than the format's,
/// names or fields given twice, types this project does not know, shapes of other than 1 to 4 axes,
/// numbers that are not whole or not in [0, 2^63), and offsets that do not fit shape and type.
/// Whether they fit the file and each other is for the caller to see.
std::vector<StoredTensor> parse_header(std::string_view text, const std::string& file);

/// "F32", "BF16", ...
std::string_view stored_name(DType dtype);

}  // namespace strobe::harness
