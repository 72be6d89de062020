// Executors as callers may write them: correct, however many calls they make and in what order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <thread>
#include <vector>

#include "strobe/plan.hpp"

namespace strobe::testing {

struct Executor {
  const char* name;
  void (*run)(void* context, int workers, Parallel::Body body, void* argument);
};

inline constexpr Executor kExecutors[] = {
    {"one_after_the_other",
     [](void*, int workers, Parallel::Body body, void* argument) {
       for (int i = 0; i < workers; ++i) body(argument);
     }},
    {"a_single_call", [](void*, int, Parallel::Body body, void* argument) { body(argument); }},
    {"more_calls_than_asked",
     [](void*, int workers, Parallel::Body body, void* argument) {
       std::vector<std::thread> threads;
       threads.reserve(static_cast<std::size_t>(workers) + 3);
       for (int i = 0; i < workers + 3; ++i) threads.emplace_back(body, argument);
       for (std::thread& thread : threads) thread.join();
     }},
    {"the_last_begins_when_the_others_are_done",
     [](void*, int workers, Parallel::Body body, void* argument) {
       std::vector<std::thread> threads;
       threads.reserve(static_cast<std::size_t>(workers));
       for (int i = 1; i < workers; ++i) threads.emplace_back(body, argument);
       for (std::thread& thread : threads) thread.join();
       body(argument);
     }},
};

}  // namespace strobe::testing
