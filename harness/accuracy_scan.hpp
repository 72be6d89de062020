// What can be seen of a result without float64: elements unwritten, not finite, or not padding.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/accuracy.hpp"
#include "harness/team.hpp"
#include "semantics/forward_params.hpp"

namespace strobe::harness {

/// "o[batch 0, head 3, row 17, dim 5]", "lse[batch 0, head 3, row 17]"
std::string to_string(const Place& place);

/// The first few of possibly many findings, and how many there were.
class Findings {
 public:
  void add(std::string line) {
    add_made([&] { return std::move(line); });
  }
  /// `make` returns the line; it is asked only where the line is kept.
  template <class Make>
  void add_made(const Make& make) {
    if (kept_.size() < kMost) kept_.push_back(make());
    ++count_;
  }
  void add(const Findings& other) {
    for (const std::string& line : other.kept_) add(line);
    count_ += other.count_ - static_cast<std::int64_t>(other.kept_.size());
  }
  /// Those kept, and a last line with the number of the others.
  std::vector<std::string> lines() const;

 private:
  static constexpr std::size_t kMost = 8;
  std::vector<std::string> kept_{};
  std::int64_t count_ = 0;
};

/// Looks at every row of o and lse. NaN and infinities are findings only where q, k and v are
/// finite.
Findings scan_outputs(const ForwardParams& p, const Team& team);

}  // namespace strobe::harness
