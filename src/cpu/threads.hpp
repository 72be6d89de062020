// Runs a body on the caller's threads, whoever provides them, without allocating.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "strobe/plan.hpp"

namespace strobe::cpu {

/// Calls body() on up to `workers` threads; with no executor, once on the calling thread. Bodies
/// claim their work themselves, so fewer or more calls than asked for are correct too.
template <class Body>
void run_workers(const Parallel& parallel, int workers, Body&& body) {
  if (parallel.run == nullptr || workers <= 1) return body();
  parallel.run(
      parallel.context, workers,
      [](void* argument) { (*static_cast<std::remove_reference_t<Body>*>(argument))(); }, &body);
}

}  // namespace strobe::cpu
