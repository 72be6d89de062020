// From the structs of the C interface to those of the C++ interface.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "strobe/attention.hpp"
#include "strobe/strobe.h"

/// What the C interface hands out.
struct strobe_pool {
  strobe::ThreadPool threads;
};
struct strobe_plan {
  strobe::Plan plan;
  std::string case_text;
};

namespace strobe::api {

/// A struct that begins with struct_size and grows at its end.
struct StructKind {
  const char* name;    ///< of the argument, in messages
  const char* type;    ///< "strobe_exec"; its initialiser is type + "_init"
  std::int64_t first;  ///< bytes that the first version had: no caller has fewer
  std::int64_t known;  ///< bytes that this library has
};

/// No struct grows beyond: a larger size is memory that nobody initialised.
inline constexpr std::int64_t kMostStructBytes = 65536;

/// Refuses a null pointer; `to` says what it must point to.
void check_pointer(const void* pointer, const char* name, const char* to, const char* where);

/// Writes `size` bytes, the caller's own idea of the struct: zeros, and the size.
void init_struct(void* given, std::int64_t size, const StructKind& kind, const char* where);

/// Copies what the caller gave into `known`, a struct of this library. What an older caller lacks
/// is zero, which is off; what a newer one has beyond must be.
void read_struct(const void* given, void* known, const StructKind& kind, const char* where);

extern const StructKind kOptionsKind, kForwardKind, kDecodeKind, kExecKind, kPlanOptionsKind,
    kKeyIntervalsKind, kMergeKind, kRotaryTablesKind;

/// A member that nobody may use yet.
struct Reserved {
  const char* owner;
  std::int64_t number;
  const char* member = "reserved";
};
void check_reserved(const Reserved& reserved, const char* where);

/// A value of an enumeration, from 0 to `last`.
struct EnumValue {
  const char* owner;
  const char* member;
  std::int32_t number;
  std::int32_t last;
};
void check_value(const EnumValue& value, const char* where);

/// What meaning; `options` is not null.
Options read_options(const strobe_options* options, const char* where);

/// A call; of its numbers nothing is checked here but what C++ cannot say wrong. Allocates nothing
/// unless it throws.
template <class Tensors>
struct Call {
  Tensors tensors{};
  std::optional<Options> options{};  ///< empty: the caller gave none
};
using ForwardCall = Call<ForwardTensors>;
using DecodeCall = Call<DecodeTensors>;
ForwardCall read_forward(const strobe_forward_args* args, const char* where);
DecodeCall read_decode(const strobe_decode_args* args, const char* where);

/// Null is the default, here and below.
Exec read_exec(const strobe_exec* exec, const char* where);
PlanOptions read_plan_options(const strobe_plan_options* options, const char* where);

/// TensorView or ConstTensorView.
template <class View>
View read_tensor(const strobe_tensor& tensor, const char* name, const char* where);

/// Refuses a rank that no tensor has.
void check_c_rank(const strobe_tensor& tensor, const char* name, const char* where);

}  // namespace strobe::api
