// What to say where memory ends: what was asked for, and the largest case that fits.
// SPDX-License-Identifier: Apache-2.0
#include "fitting.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <string>

#include "harness/machine.hpp"
#include "messages.hpp"
#include "strobe/error.hpp"

namespace strobe::tool {
namespace {

/// What tensors and all that is counted may take of `available`: the rest is for stacks, alignment
/// to huge pages and whatever else a process holds.
std::int64_t usable(std::int64_t available) {
  constexpr std::int64_t kBeside = std::int64_t{64} << 20;
  return std::max<std::int64_t>(0, available - available / 16 - kBeside);
}

[[noreturn]] void fail_fitting(const Problem& problem, const ExtraBytes& extra,
                               const std::string& asked) {
  const std::int64_t memory = usable(harness::available_memory_bytes());
  fail("memory-case",
       fmt::format("\"{}\" does not fit in memory: {}. In the {} that it may use, the {} is {} and "
                   "the largest batch {}; strobe explain --memory says more",
                   problem.to_string(), asked, bytes_text(static_cast<double>(memory)),
                   problem.seqlen_q == problem.seqlen_k ? "longest sequence" : "longest seqlen_k",
                   longest(problem, memory, extra).seqlen_k,
                   largest_batch(problem, memory, extra).batch));
}

/// The message of a part of the work, without its id.
std::string without_id(const std::string& message) {
  return message.substr(0, message.rfind(" ["));
}

}  // namespace

void with_memory_for(const Problem& problem, const ExtraBytes& extra,
                     const std::function<void()>& work) {
  std::string asked;
  try {
    return work();
  } catch (const Error& error) {
    if (error.code() != Code::out_of_memory) throw;
    asked = without_id(error.what());
  } catch (const std::bad_alloc&) {
    asked = fmt::format(
        "its tensors take {} bytes, and the system refused a part of what is "
        "needed beside them",
        tensor_bytes(problem));
  }
  fail_fitting(problem, extra, asked);  // here all that the work held is free again
}

}  // namespace strobe::tool
