// Where an allocation may fail: std::bad_alloc becomes an Error that says what it was for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <string_view>
#include <utility>

#include "api/messages.hpp"

namespace strobe::api {

/// Gives what `body` gives. Where memory ends inside it, throws Error(out_of_memory) that names
/// `what` the memory was for and how much that is: "a plan (a few KiB)". An Error of the body's own
/// passes; so does std::bad_alloc where not even the message finds memory.
template <class Body>
auto with_memory_for(std::string_view what, std::string_view where, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const std::bad_alloc&) {
    fail("memory", where,
         {"no memory is left for ", what, "; free some, or ask for less, then try again"});
  }
}

}  // namespace strobe::api
