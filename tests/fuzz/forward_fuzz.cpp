// Any call is refused with an Error and nothing written, or it is right and touches nothing else.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "api/validate.hpp"
#include "bytes.hpp"
#include "harness/accuracy.hpp"
#include "hostile_call.hpp"

// Sizes beyond all memory are to end in a null pointer, as without a sanitizer.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace strobe::fuzz {
namespace {

constexpr std::byte kUntouched{0xa5};

/// Elements of an output become kUntouched again: what then is not, lay in a gap.
void erase_elements(const Slot& slot, int axis, std::int64_t offset) {
  if (axis == slot.shape.rank()) {
    const std::int64_t size = size_of(slot.dtype);
    std::fill_n(static_cast<std::byte*>(slot.data()) + offset * size, size, kUntouched);
    return;
  }
  for (std::int64_t i = 0; i < slot.shape[axis]; ++i)
    erase_elements(slot, axis + 1, offset + i * slot.strides[axis]);
}

std::optional<Problem> checked(const HostileCall& call) {
  try {
    return Problem::of(call.tensors(), call.options());
  } catch (const Error& error) {
    require(error.code() == Code::invalid_argument || error.code() == Code::unsupported,
            "a bad call is the caller's mistake", error.what());
    return std::nullopt;
  }
}

/// With a workspace that ends where its bytes do, at any alignment.
void run_plan(const HostileCall& call, const Problem& problem, Bytes& bytes) {
  constexpr const char* kBackends[] = {"cpu:portable", ""};  // ASan sees into the first alone
  const Plan plan(problem, {.threads = static_cast<int>(bytes.in(1, 3)),
                            .backend = kBackends[bytes.one_in(4) ? 1 : 0]});
  const auto shift = static_cast<std::size_t>(bytes.in(0, 15));
  std::vector<std::byte> workspace(plan.workspace_bytes() + shift);
  const Parallel loop{.run = [](void*, int workers, Parallel::Body body, void* argument) {
    for (int i = 0; i < workers; ++i) body(argument);
  }};
  plan.run(call.tensors(), {.parallel = bytes.one_in(2) ? loop : Parallel{},
                            .workspace = std::span(workspace).subspan(shift)});
}

void require_right(const HostileCall& call, const Problem& problem) {
  if (!call.comparable()) return;
  const harness::Comparison comparison =
      harness::compare_forward(api::forward_params(call.tensors(), problem), harness::Team{});
  require(comparison.passed(), "the result is that of float64",
          problem.to_string() + "\n" + comparison.to_string());
}

void run(const HostileCall& call, Bytes& bytes) {
  if (!call.checkable()) return;
  const std::vector<std::byte> before = call.outputs();
  const std::vector<std::byte> given = call.inputs();
  const std::optional<Problem> problem = checked(call);
  require(call.outputs() == before && call.inputs() == given, "checks write nothing");
  if (!problem || !call.runnable() || !is_small(*problem)) return;
  if (bytes.one_in(4))
    forward(call.tensors(), call.options());
  else
    run_plan(call, *problem, bytes);
  require(call.inputs() == given, "inputs are only read", problem->to_string());
  require_right(call, *problem);
  for (const Slot& slot : call.slots())
    if (slot.given && slot.is_output && !slot.null) erase_elements(slot, 0, 0);
  require(call.outputs() == before, "gaps of outputs are not written", problem->to_string());
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strobe::fuzz::Bytes bytes({data, size});
  const strobe::fuzz::HostileCall call(bytes);
  strobe::fuzz::run(call, bytes);
  return 0;
}
