// Makes each allocation of a call fail in turn and looks at what becomes of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <new>
#include <string>

#include "failing_memory.hpp"
#include "strobe/error.hpp"

namespace strobe::testing {

/// What came out of a call, kept without allocating.
struct Ending {
  enum class Kind { done, error, bad_alloc } kind = Kind::done;
  Code code{};
  std::array<char, 600> message{};
  bool failed = false;  ///< an allocation did
  long leaked = 0;      ///< allocations that are alive and were not before
};

inline Ending ending_of(const std::function<void()>& call, long nth, Fails fails) {
  Ending ending;
  const long before = live_allocations();
  {
    const FailingMemory memory(nth, fails);
    try {
      call();
    } catch (const Error& error) {
      ending.kind = Ending::Kind::error;
      ending.code = error.code();
      std::strncpy(ending.message.data(), error.what(), ending.message.size() - 1);
    } catch (const std::bad_alloc&) {
      ending.kind = Ending::Kind::bad_alloc;
    }
    ending.failed = FailingMemory::happened();
  }
  ending.leaked = live_allocations() - before;
  return ending;
}

/// Fails allocation 1, 2, ... of `call`, until none is left to fail. Each must end in an Error of
/// memory that says what was asked for, or go unnoticed (some are optional, as std::stable_sort's);
/// with all from the nth on failing, std::bad_alloc will do, as a message needs memory too. Nothing
/// may leak, and `untouched` must hold after each failure. `prepare` comes before each call and
/// does not fail. Returns how many ended in an Error.
inline int fail_each(
    const std::function<void()>& call, const std::function<bool()>& untouched = [] { return true; },
    const std::function<void()>& prepare = [] {}) {
  prepare();
  call();  // what is made once and kept (a locale, stacks of threads) is no leak
  int errors = 0;
  constexpr long kMost = 100000;
  for (long nth = 1; nth < kMost; ++nth) {
    for (const Fails fails : {Fails::from_then_on, Fails::once}) {
      prepare();
      const Ending ending = ending_of(call, nth, fails);
      EXPECT_EQ(ending.leaked, 0) << "allocation " << nth << ": " << ending.message.data();
      if (!ending.failed) {
        EXPECT_EQ(ending.kind, Ending::Kind::done) << ending.message.data();
        return errors;
      }
      if (ending.kind == Ending::Kind::done) continue;
      EXPECT_TRUE(untouched()) << "allocation " << nth << ": " << ending.message.data();
      if (fails == Fails::from_then_on) continue;
      ++errors;
      EXPECT_EQ(ending.kind, Ending::Kind::error) << "allocation " << nth << " is std::bad_alloc";
      EXPECT_EQ(ending.code, Code::out_of_memory) << ending.message.data();
      const std::string text = ending.message.data();
      EXPECT_TRUE(text.find("no memory is left for ") != std::string::npos ||
                  text.find("cannot allocate ") != std::string::npos ||
                  text.find("cannot be allocated") != std::string::npos ||
                  text.find("the system refused thread ") != std::string::npos)
          << text;
    }
  }
  ADD_FAILURE() << "a call with more than " << kMost << " allocations";
  return errors;
}

}  // namespace strobe::testing
