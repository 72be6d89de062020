// Any arguments through the C interface: a code and a message and nothing written, or what C++
// does.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bytes.hpp"
#include "hostile_call.hpp"
#include "hostile_run.hpp"
#include "strobe/strobe.h"

namespace strobe::fuzz {
namespace {

/// A failure leaves its code and a message; success is 0.
bool succeeded(strobe_code code) {
  require(code >= STROBE_OK && code <= STROBE_DEVICE, "a code is one of strobe.h");
  if (code == STROBE_OK) return true;
  require(strobe_last_error_code() == code, "the last code is the one returned");
  require(std::strlen(strobe_last_error()) > 10, "a failure leaves a message");
  return false;
}

strobe_tensor tensor_of(const Slot& slot) {
  strobe_tensor tensor{};
  if (!slot.given) return tensor;
  tensor.data = slot.data();
  tensor.dtype = static_cast<strobe_dtype>(slot.dtype);
  tensor.rank = slot.shape.rank();
  for (int axis = 0; axis < std::min(slot.shape.rank(), Shape::kMaxRank); ++axis) {
    tensor.shape[axis] = slot.shape[axis];
    tensor.strides[axis] = slot.strides[axis];
  }
  return tensor;
}

strobe_options options_of(const Options& from) {
  strobe_options to{};
  to.struct_size = sizeof to;
  to.causal = from.mask.causal ? 1 : 0;
  to.align = static_cast<strobe_align>(from.mask.align);
  to.has_window = from.mask.left != -1 || from.mask.right != -1 ? 1 : 0;
  to.left = to.has_window != 0 ? from.mask.left : 0;
  to.right = to.has_window != 0 ? from.mask.right : 0;
  to.chunk = from.mask.chunk;
  to.prefix = from.mask.prefix;
  to.sink_tokens = from.mask.sink_tokens;
  to.block_q = from.mask.block_q;
  to.block_k = from.mask.block_k;
  to.has_scale = from.score.scale ? 1 : 0;
  to.scale = from.score.scale.value_or(0.0);
  to.softcap = from.score.softcap;
  to.dropout_probability = from.dropout.probability;
  to.dropout_seed = from.dropout.seed;
  to.dropout_offset = from.dropout.offset;
  to.max_seqlen_q = from.max_seqlen_q;
  to.max_seqlen_k = from.max_seqlen_k;
  switch (from.determinism) {
    case Determinism::batch_invariant: to.determinism = STROBE_DETERMINISM_BATCH_INVARIANT; break;
    case Determinism::run_to_run: to.determinism = STROBE_DETERMINISM_RUN_TO_RUN; break;
    default: to.determinism = static_cast<strobe_determinism>(from.determinism); break;
  }
  return to;
}

strobe_forward_args args_of(const HostileCall& call, const strobe_options* options) {
  strobe_forward_args args{};
  args.struct_size = sizeof args;
  args.options = options;
  strobe_tensor* const tensors[] = {&args.q,
                                    &args.k,
                                    &args.v,
                                    &args.o,
                                    &args.lse,
                                    &args.cu_seqlens_q,
                                    &args.cu_seqlens_k,
                                    &args.seqlens_q,
                                    &args.seqlens_k,
                                    &args.key_begin,
                                    &args.key_end,
                                    &args.allowed,
                                    &args.blocks,
                                    &args.bias,
                                    &args.alibi_slopes,
                                    &args.sink_logits,
                                    &args.dropout_state};
  static_assert(std::size(tensors) == HostileCall::kSlots);
  for (std::size_t i = 0; i < HostileCall::kSlots; ++i) *tensors[i] = tensor_of(call.slots()[i]);
  return args;
}

/// A struct as a caller of another version has it: more or fewer bytes, of which some are not zero,
/// in memory of exactly as many.
template <class Struct>
std::vector<std::byte> resized(const Struct& from, Bytes& bytes) {
  std::vector<std::byte> memory(sizeof from);
  if (bytes.one_in(4))
    memory.resize(8 + static_cast<std::size_t>(bytes.take<std::uint16_t>()) % 3000);
  std::memcpy(memory.data(), &from, std::min(memory.size(), sizeof from));
  if (memory.size() > sizeof from && bytes.one_in(2))
    memory.back() = std::byte{bytes.take<std::uint8_t>()};
  auto size = static_cast<std::int64_t>(memory.size());
  if (bytes.one_in(30)) size = std::min<std::int64_t>(bytes.take<std::int64_t>(), 7);
  std::memcpy(memory.data(), &size, sizeof size);
  return memory;
}

void run_call(const HostileCall& call, Bytes& bytes) {
  if (!call.checkable() || !call.runnable()) return;
  for (const Slot& slot : call.slots())  // C has no strides of another rank
    if (slot.given && slot.strides.rank() != slot.shape.rank()) return;
  const std::optional<Problem> problem = checked(call);
  if (problem && !is_small(*problem)) return;

  const Snapshot before(call);
  const strobe_options options = options_of(call.options());
  const std::vector<std::byte> options_memory = resized(options, bytes);
  const bool known = options_memory.size() == sizeof options;
  const strobe_forward_args args =
      args_of(call, reinterpret_cast<const strobe_options*>(options_memory.data()));
  const std::vector<std::byte> args_memory = resized(args, bytes);
  const auto* const passed = reinterpret_cast<const strobe_forward_args*>(args_memory.data());
  const bool ok = succeeded(strobe_forward(bytes.one_in(40) ? nullptr : passed, nullptr));
  require(call.memory(Use::input) == before.inputs, "inputs are only read");
  if (!ok) require(call.memory(Use::output) == before.outputs, "a call that fails writes nothing");
  if (ok && known && args_memory.size() == sizeof args)
    require(problem.has_value(), "what C++ refuses, C refuses", strobe_last_error());

  strobe_plan* plan = nullptr;
  const bool planned = succeeded(strobe_plan_create(passed, nullptr, &plan));
  require(planned == (plan != nullptr), "a plan where there is no error, else null");
  if (planned) require(strobe_plan_workspace_bytes(plan) > 0, "a plan knows its workspace");
  strobe_plan_destroy(plan);
}

void run_text(Bytes& bytes) {
  std::string text;
  for (std::int64_t left = bytes.in(0, 60); left > 0; --left)
    text += static_cast<char>(bytes.in(1, 127));
  strobe_plan* plan = nullptr;
  if (succeeded(strobe_plan_create_from_case(text.c_str(), nullptr, &plan)))
    require(std::strlen(strobe_plan_case(plan)) > 0, "a plan prints its case");
  strobe_plan_destroy(plan);
}

/// Initialisers write the bytes that they are told, and no others.
void run_initialisers(Bytes& bytes) {
  const auto size = static_cast<std::int64_t>(bytes.take<std::int16_t>());
  std::vector<std::byte> memory(static_cast<std::size_t>(std::max<std::int64_t>(size, 0)));
  succeeded(strobe_options_init(reinterpret_cast<strobe_options*>(memory.data()), size));
  succeeded(strobe_forward_args_init(reinterpret_cast<strobe_forward_args*>(memory.data()), size));
  succeeded(strobe_exec_init(reinterpret_cast<strobe_exec*>(memory.data()), size));
  succeeded(
      strobe_key_intervals_init(reinterpret_cast<strobe_key_intervals*>(memory.data()), size));
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strobe::fuzz::Bytes bytes({data, size});
  strobe::fuzz::run_initialisers(bytes);
  strobe::fuzz::run_text(bytes);
  const strobe::fuzz::HostileCall call(bytes);
  strobe::fuzz::run_call(call, bytes);
  return 0;
}
