// Reads what callers in C fill in: sizes of structs, flags, enumerations. Everything else is for
// the checks that C++ callers meet too. SPDX-License-Identifier: Apache-2.0
#include "api/c_structs.hpp"

#include <cstddef>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "api/messages.hpp"

namespace strobe::api {
namespace {

template <class Mirror, class Value>
constexpr bool same(Mirror c, Value cxx) {
  return static_cast<std::int32_t>(c) == static_cast<std::int32_t>(cxx);
}
static_assert(same(STROBE_INVALID_ARGUMENT, Code::invalid_argument));
static_assert(same(STROBE_UNSUPPORTED, Code::unsupported));
static_assert(same(STROBE_OUT_OF_MEMORY, Code::out_of_memory));
static_assert(same(STROBE_DEVICE, Code::device));
static_assert(same(STROBE_OP_FORWARD, Op::forward) && same(STROBE_OP_DECODE, Op::decode));
static_assert(same(STROBE_DTYPE_NONE, DType::none) && same(STROBE_DTYPE_F32, DType::f32));
static_assert(same(STROBE_DTYPE_F16, DType::f16) && same(STROBE_DTYPE_BF16, DType::bf16));
static_assert(same(STROBE_DTYPE_F64, DType::f64) && same(STROBE_DTYPE_I32, DType::i32));
static_assert(same(STROBE_DTYPE_BOOL, DType::boolean) && same(STROBE_DTYPE_U64, DType::u64));
static_assert(same(STROBE_DTYPE_E4M3, DType::e4m3) && same(STROBE_DTYPE_E5M2, DType::e5m2));
static_assert(same(STROBE_DTYPE_I8, DType::i8) && same(STROBE_DTYPE_I4, DType::i4));
static_assert(same(STROBE_ALIGN_BOTTOM_RIGHT, Align::bottom_right));
static_assert(same(STROBE_ALIGN_TOP_LEFT, Align::top_left));
static_assert(std::is_same_v<strobe_body, Parallel::Body>);
static_assert(std::is_same_v<strobe_parallel, decltype(Parallel::run)>);

bool read_flag(std::int32_t value, const char* name, const char* where) {
  if (value != 0 && value != 1)
    fail("c-flag", where, {"options.", name, " is ", value, "; it must be 0 or 1"});
  return value == 1;
}

Mask read_mask(const strobe_options& given, const char* where) {
  Mask mask;
  mask.causal = read_flag(given.causal, "causal", where);
  mask.align = static_cast<Align>(given.align);
  if (read_flag(given.has_window, "has_window", where)) {
    mask.left = given.left;
    mask.right = given.right;
  } else if (given.left != 0 || given.right != 0) {
    fail("c-flag", where,
         {"options.left is ", given.left, ", options.right is ", given.right,
          " and options.has_window is 0; set has_window to 1, or both sides to 0"});
  }
  mask.chunk = given.chunk;
  mask.prefix = given.prefix;
  mask.sink_tokens = given.sink_tokens;
  mask.block_q = given.block_q;
  mask.block_k = given.block_k;
  return mask;
}

Score read_score(const strobe_options& given, const char* where) {
  Score score;
  score.softcap = given.softcap;
  if (read_flag(given.has_scale, "has_scale", where)) {
    score.scale = given.scale;
  } else if (given.scale != 0) {
    fail("c-flag", where,
         {"options.scale is ", given.scale,
          " and options.has_scale is 0; set has_scale to 1, or scale to 0"});
  }
  return score;
}

Rotary read_rotary(const strobe_options& given, const char* where) {
  Rotary rotary;
  rotary.dim = given.rotary_dim;
  rotary.interleaved = read_flag(given.rotary_interleaved, "rotary_interleaved", where);
  if (given.rotary_base != 0) rotary.base = given.rotary_base;
  return rotary;
}

}  // namespace

// The first version ends with the member that is named here; those appended later stand after it.
#define STROBE_KIND(name, type, last) \
  { name, #type, offsetof(type, last) + sizeof(type::last), sizeof(type) }
const StructKind kOptionsKind = STROBE_KIND("options", strobe_options, reserved);
const StructKind kForwardKind = STROBE_KIND("args", strobe_forward_args, dropout_state);
const StructKind kDecodeKind = STROBE_KIND("args", strobe_decode_args, sink_logits);
const StructKind kExecKind = STROBE_KIND("exec", strobe_exec, workspace_bytes);
const StructKind kPlanOptionsKind = STROBE_KIND("options", strobe_plan_options, reserved);
const StructKind kKeyIntervalsKind = STROBE_KIND("intervals", strobe_key_intervals, prefixes);
const StructKind kMergeKind = STROBE_KIND("args", strobe_merge_args, sink_logits);
const StructKind kRotaryTablesKind = STROBE_KIND("tables", strobe_rotary_tables, reserved);
#undef STROBE_KIND

void check_reserved(const Reserved& reserved, const char* where) {
  if (reserved.number == 0) return;
  fail("c-unknown", where,
       {reserved.owner, ".", reserved.member, " is ", reserved.number,
        ", which asks for what this version does not know; leave it at 0 or use a newer library"});
}

void check_value(const EnumValue& value, const char* where) {
  if (value.number >= 0 && value.number <= value.last) return;
  fail("enum-value", where,
       {value.owner, ".", value.member, " is ", value.number,
        ", which is none of its values; they go from 0 to ", value.last});
}

void check_pointer(const void* pointer, const char* name, const char* to, const char* where) {
  if (pointer == nullptr) fail("c-null", where, {name, " is null and must point to a ", to});
}

void init_struct(void* given, std::int64_t size, const StructKind& kind, const char* where) {
  check_pointer(given, kind.name, kind.type, where);
  if (size < kind.first || size > kMostStructBytes) {
    fail("c-struct-size", where,
         {"struct_size is ", size, "; give sizeof(", kind.type, "), which is ", kind.known,
          " in this version and from ", kind.first, " to ", kMostStructBytes, " in any"});
  }
  std::memset(given, 0, static_cast<std::size_t>(size));
  std::memcpy(given, &size, sizeof size);
}

void read_struct(const void* given, void* known, const StructKind& kind, const char* where) {
  std::int64_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < kind.first || size > kMostStructBytes) {
    fail("c-struct-size", where,
         {kind.name, ".struct_size is ", size, "; it is from ", kind.first, " to ",
          kMostStructBytes, ", and ", kind.type, "_init sets it"});
  }
  const auto* const bytes = static_cast<const unsigned char*>(given);
  for (std::int64_t at = kind.known; at < size; ++at) {
    if (bytes[at] == 0) continue;
    fail("c-unknown", where,
         {"byte ", at, " of ", kind.name, " is not 0 and this version knows ", kind.known,
          " of them; leave what is newer at 0 or use a newer library"});
  }
  std::memset(known, 0, static_cast<std::size_t>(kind.known));
  std::memcpy(known, given, static_cast<std::size_t>(size < kind.known ? size : kind.known));
}

Options read_options(const strobe_options* options, const char* where) {
  strobe_options given;
  read_struct(options, &given, kOptionsKind, where);
  check_reserved({"options", given.reserved}, where);
  check_reserved({"options", given.reserved_rotary, "reserved_rotary"}, where);
  check_value({"options", "determinism", given.determinism, STROBE_DETERMINISM_RUN_TO_RUN}, where);
  return {.mask = read_mask(given, where),
          .score = read_score(given, where),
          .dropout = {.probability = given.dropout_probability,
                      .seed = given.dropout_seed,
                      .offset = given.dropout_offset},
          .determinism = given.determinism == STROBE_DETERMINISM_RUN_TO_RUN
                             ? Determinism::run_to_run
                             : Determinism::batch_invariant,
          .max_seqlen_q = given.max_seqlen_q,
          .max_seqlen_k = given.max_seqlen_k,
          .rotary = read_rotary(given, where)};
}

Exec read_exec(const strobe_exec* exec, const char* where) {
  if (exec == nullptr) return {};
  strobe_exec given;
  read_struct(exec, &given, kExecKind, where);
  if (given.pool != nullptr && given.parallel != nullptr) {
    fail("c-executor", where,
         {"exec has both a pool and a parallel; a call runs on one of them, so leave the other ",
          "null"});
  }
  if (given.workspace_bytes < 0 || (given.workspace == nullptr) != (given.workspace_bytes == 0)) {
    fail("c-workspace", where,
         {"exec.workspace is ", given.workspace == nullptr ? "null" : "not null",
          " and exec.workspace_bytes is ", given.workspace_bytes,
          "; give memory and its size, or null and 0 for none"});
  }
  Exec taken;
  if (given.parallel != nullptr) taken.parallel = {given.parallel, given.context};
  if (given.pool != nullptr) taken.parallel = given.pool->threads.parallel();
  taken.workspace = {static_cast<std::byte*>(given.workspace),
                     static_cast<std::size_t>(given.workspace_bytes)};
  return taken;
}

PlanOptions read_plan_options(const strobe_plan_options* options, const char* where) {
  if (options == nullptr) return {};
  strobe_plan_options given;
  read_struct(options, &given, kPlanOptionsKind, where);
  check_reserved({"options", given.reserved}, where);
  PlanOptions taken;
  if (given.threads != 0) taken.threads = given.threads;
  if (given.backend != nullptr) taken.backend = given.backend;
  check_value({"options", "op", given.op, STROBE_OP_DECODE}, where);
  taken.op = static_cast<Op>(given.op);
  taken.splits = given.splits;
  return taken;
}

}  // namespace strobe::api
