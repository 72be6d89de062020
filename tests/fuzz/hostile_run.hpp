// What forward and decode have in common when they are run on a fuzzer's call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bytes.hpp"
#include "harness/accuracy.hpp"
#include "hostile_tensors.hpp"

namespace strobe::fuzz {

constexpr std::byte kUntouched{0xa5};

/// The worst of millions of calls, with few rows of inputs that are looked for, errs by more than
/// what calls do that are drawn; what is wrong is so by far more.
inline const harness::CompareOptions kOfTheWorst{.slack = 4.0};

/// Elements of an output become kUntouched again: what then is not, lay in a gap.
inline void erase_elements(const Slot& slot, int axis = 0, std::int64_t offset = 0) {
  if (axis == slot.shape.rank()) {
    const std::int64_t size = size_of(slot.dtype);
    std::fill_n(static_cast<std::byte*>(slot.data()) + offset * size, size, kUntouched);
    return;
  }
  for (std::int64_t i = 0; i < slot.shape[axis]; ++i)
    erase_elements(slot, axis + 1, offset + i * slot.strides[axis]);
}
inline void erase_outputs(const HostileTensors& call) {
  for (const Slot& slot : call.slots())
    if (slot.given && slot.use == Use::output && !slot.null) erase_elements(slot);
}

/// All memory of a call.
struct Snapshot {
  std::vector<std::byte> inputs, outputs, caches;

  explicit Snapshot(const HostileTensors& call)
      : inputs(call.memory(Use::input)),
        outputs(call.memory(Use::output)),
        caches(call.memory(Use::cache)) {}
  bool operator==(const Snapshot&) const = default;
};

/// Does `act` go through? What it refuses must be an Error that blames the caller.
template <class Act>
bool passes(Act&& act) {
  try {
    act();
    return true;
  } catch (const Error& error) {
    require(error.code() == Code::invalid_argument || error.code() == Code::unsupported,
            "a bad call is the caller's mistake", error.what());
    return false;
  }
}

/// The problem that a call poses, if it is one.
template <class Call>
std::optional<Problem> checked(const Call& call) {
  std::optional<Problem> problem;
  passes([&] { problem = Problem::of(call.tensors(), call.options()); });
  return problem;
}

/// Runs a plan with a workspace that ends where its bytes do, at any alignment.
template <class Call>
void run_plan(const Call& call, const Problem& problem, PlanOptions options, Bytes& bytes) {
  constexpr const char* kBackends[] = {"cpu:portable", ""};  // ASan sees into the first alone
  options.threads = static_cast<int>(bytes.in(1, 3));
  options.backend = kBackends[bytes.one_in(4) ? 1 : 0];
  const Plan plan(problem, options);
  const auto shift = static_cast<std::size_t>(bytes.in(0, 15));
  std::vector<std::byte> workspace(plan.workspace_bytes() + shift);
  const Parallel loop{.run = [](void*, int workers, Parallel::Body body, void* argument) {
    for (int i = 0; i < workers; ++i) body(argument);
  }};
  plan.run(call.tensors(), {.parallel = bytes.one_in(2) ? loop : Parallel{},
                            .workspace = std::span(workspace).subspan(shift)});
}

/// Is it small enough to be run here, in time and in workspace?
inline bool is_small(const Problem& p) {
  double work = 1.0;
  for (const std::int64_t size : {p.batch, p.num_heads, p.seqlen_q + 1, p.seqlen_k + 1})
    work *= static_cast<double>(size);
  return p.batch < 1000 && work * static_cast<double>(p.head_dim + p.head_dim_v) < 5e7;
}

}  // namespace strobe::fuzz
