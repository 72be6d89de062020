// Lets one allocation of this program fail, or all from one on; and counts those that are alive.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace strobe::testing {

enum class Fails { once, from_then_on };

/// While it lives, the nth allocation from its making on fails, whoever makes it: operator new, and
/// malloc and its kin where they can be replaced.
class FailingMemory {
 public:
  FailingMemory(long nth, Fails fails);
  ~FailingMemory();
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  /// Has an allocation failed?
  static bool happened();
};

/// Allocations that have not been freed.
long live_allocations();

/// Can malloc be replaced here? If not, only operator new fails and counts.
bool replaces_malloc();

}  // namespace strobe::testing
