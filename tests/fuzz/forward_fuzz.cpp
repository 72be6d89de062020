// Any call is refused with an Error and nothing written, or it is right and touches nothing else.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <optional>

#include "api/validate.hpp"
#include "bytes.hpp"
#include "harness/accuracy.hpp"
#include "hostile_call.hpp"
#include "hostile_run.hpp"

namespace strobe::fuzz {
namespace {

void require_right(const HostileCall& call, const Problem& problem) {
  if (!call.comparable()) return;
  const harness::Comparison comparison = harness::compare_forward(
      api::forward_params(call.tensors(), problem), harness::Team{}, kOfTheWorst);
  require(comparison.passed(), "the result is that of float64",
          problem.to_string() + "\n" + comparison.to_string());
}

void run(const HostileCall& call, Bytes& bytes) {
  if (!call.checkable()) return;
  const Snapshot before(call);
  const std::optional<Problem> problem = checked(call);
  require(Snapshot(call) == before, "checks write nothing");
  if (!problem || !call.runnable() || !is_small(*problem)) return;
  if (bytes.one_in(4))
    forward(call.tensors(), call.options());
  else
    run_plan(call, *problem, {}, bytes);
  require(call.memory(Use::input) == before.inputs, "inputs are only read", problem->to_string());
  require_right(call, *problem);
  erase_outputs(call);
  require(call.memory(Use::output) == before.outputs, "gaps of outputs are not written",
          problem->to_string());
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strobe::fuzz::Bytes bytes({data, size});
  const strobe::fuzz::HostileCall call(bytes);
  strobe::fuzz::run(call, bytes);
  return 0;
}
