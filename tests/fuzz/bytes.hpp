// Bytes from the fuzzer, taken as numbers; and the way a target says that something is wrong.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace strobe::fuzz {

/// Ends the program, so that the fuzzer keeps the input and a replayed corpus fails.
inline void require(bool holds, const char* what, const std::string& seen = "") {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n%s\n", what, seen.c_str());
  std::abort();
}

/// Takes numbers off an input until it is used up, and zeros from then on.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> data) : data_(data) {}

  template <class T>
  requires std::is_arithmetic_v<T> T take() {
    T value{};
    const std::size_t count = std::min(sizeof(T), data_.size());
    if (count > 0) std::memcpy(&value, data_.data(), count);
    data_ = data_.subspan(count);
    return value;
  }
  /// One byte's choice among low, low + 1, ..., high: at most 256 of them.
  std::int64_t in(std::int64_t low, std::int64_t high) {
    return low + take<std::uint8_t>() % (high - low + 1);
  }
  bool one_in(std::int64_t n) { return in(1, n) == n; }

 private:
  std::span<const std::uint8_t> data_;
};

}  // namespace strobe::fuzz
