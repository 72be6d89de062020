// Any decode call is refused and nothing written, or it is right, and so is what it appends.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "api/validate.hpp"
#include "bytes.hpp"
#include "harness/accuracy.hpp"
#include "hostile_decode.hpp"
#include "hostile_run.hpp"
#include "reference/decode.hpp"

namespace strobe::fuzz {
namespace {

/// A copy of the memory behind one tensor of the cache, for the reference to append to.
class CacheCopy {
 public:
  explicit CacheCopy(const Slot& slot) : shift_(slot.shift) {
    if (slot.given && !slot.null)
      bytes_.assign(slot.memory.get(), slot.memory.get() + slot.shift + slot.bytes);
  }
  TensorView in_place_of(TensorView view) {
    if (view.data != nullptr) view.data = bytes_.data() + shift_;
    return view;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::size_t shift_;
  std::vector<std::byte> bytes_{};
};

/// The cache before the call, and what the reference makes of it.
struct Expected {
  CacheCopy k_cache, v_cache, k_scale, v_scale;

  explicit Expected(const HostileDecode& call)
      : k_cache(call.slot("k_cache")),
        v_cache(call.slot("v_cache")),
        k_scale(call.slot("k_scale")),
        v_scale(call.slot("v_scale")) {}

  std::vector<std::byte> caches() const {
    std::vector<std::byte> all = k_cache.bytes();
    for (const CacheCopy* more : {&v_cache, &k_scale, &v_scale})
      all.insert(all.end(), more->bytes().begin(), more->bytes().end());
    return all;
  }
};

void require_right(const HostileDecode& call, const Problem& problem, Expected& expected) {
  DecodeTensors tensors = call.tensors();
  tensors.cache.k_cache = expected.k_cache.in_place_of(tensors.cache.k_cache);
  tensors.cache.v_cache = expected.v_cache.in_place_of(tensors.cache.v_cache);
  tensors.cache.k_scale = expected.k_scale.in_place_of(tensors.cache.k_scale);
  tensors.cache.v_scale = expected.v_scale.in_place_of(tensors.cache.v_scale);
  const DecodeParams p = api::decode_params(tensors, problem);
  reference::append(p);
  require(call.memory(Use::cache) == expected.caches(), "the cache is that of the reference",
          problem.to_string());
  if (!call.comparable()) return;
  const std::vector<std::byte> turned = reference::turn_queries(p);
  const harness::Comparison comparison =
      harness::compare_forward(reference::turned_params(p, turned), harness::Team{}, kOfTheWorst);
  require(comparison.passed(), "the result is that of float64",
          problem.to_string() + "\n" + comparison.to_string());
}

/// False where new keys go to slots that are not free, which only a run looks for.
bool decoded(const HostileDecode& call, const Problem& problem, Bytes& bytes) {
  if (bytes.one_in(4)) return passes([&] { decode(call.tensors(), call.options()); });
  const PlanOptions options{.op = Op::decode, .splits = static_cast<int>(bytes.in(0, 4))};
  return passes([&] { run_plan(call, problem, options, bytes); });
}

void run(const HostileDecode& call, Bytes& bytes) {
  if (!call.checkable()) return;
  const Snapshot before(call);
  const std::optional<Problem> problem = checked(call);
  require(Snapshot(call) == before, "checks write nothing");
  if (!problem || !call.runnable() || !is_small(*problem)) return;
  Expected expected(call);
  if (!decoded(call, *problem, bytes)) {
    require(Snapshot(call) == before, "a call that fails writes nothing", problem->to_string());
    return;
  }
  require(call.memory(Use::input) == before.inputs, "inputs are only read", problem->to_string());
  require_right(call, *problem, expected);
  erase_outputs(call);
  require(call.memory(Use::output) == before.outputs, "gaps of outputs are not written",
          problem->to_string());
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strobe::fuzz::Bytes bytes({data, size});
  const strobe::fuzz::HostileDecode call(bytes);
  strobe::fuzz::run(call, bytes);
  return 0;
}
