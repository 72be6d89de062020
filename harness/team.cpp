// Threads for measuring and checking.
// SPDX-License-Identifier: Apache-2.0
#include "harness/team.hpp"

namespace strobe::harness::detail {

void run_workers(const Team& team, void (*body)(void* argument), void* argument) {
  if (team.parallel.run != nullptr && team.threads > 1) {
    team.parallel.run(team.parallel.context, team.threads, body, argument);
    return;
  }
  for (int worker = 0; worker < team.threads; ++worker) body(argument);
}

}  // namespace strobe::harness::detail
