// The C interface: each function reads its structs, calls the C++ interface, and keeps what it
// threw. SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstring>
#include <limits>

#include "api/c_error.hpp"
#include "api/c_structs.hpp"
#include "api/messages.hpp"
#include "strobe/strobe.hpp"

namespace strobe::api {
namespace {

/// The place for what a function makes, null until it is made.
template <class Made>
void check_place(Made** place, const char* name, const char* where) {
  check_pointer(static_cast<const void*>(place), name, "place for the result", where);
  *place = nullptr;
}

Problem read_case(const char* case_text, const char* where) {
  check_pointer(case_text, "case_text", "string", where);
  return Problem::parse(case_text);
}

strobe_plan* make_plan(const Problem& problem, const PlanOptions& options) {
  return new strobe_plan{Plan(problem, options), problem.to_string()};
}

template <class Tensors>
Problem problem_of(const Call<Tensors>& call) {
  return Problem::of(call.tensors, call.options.value_or(Options{}));
}

char* make_string(const std::string& text) {
  char* const made = new char[text.size() + 1];
  std::memcpy(made, text.c_str(), text.size() + 1);
  return made;
}

/// A plan has its options; those of a run that say something else would be ignored in silence.
void check_same_meaning(const Options& options, const Problem& planned, const char* where) {
  const auto check = [where](bool is_same, const char* name) {
    if (is_same) return;
    fail(
        "plan-option", where,
        {name, " of the options differs from what the plan was made for; give the plan's options, ",
         "or null, which takes them"});
  };
  check(options.mask == planned.mask, "the mask");
  check(options.score == planned.score, "the score");
  check(options.dropout == planned.dropout, "the dropout");
  check(options.determinism == planned.determinism, "determinism");
  check(options.rotary == planned.rotary, "the rotary embedding");
  const auto is_longest = [](std::int64_t given, std::int64_t longest) {
    return given == 0 || given == longest;
  };
  check(is_longest(options.max_seqlen_q, planned.seqlen_q), "max_seqlen_q");
  check(is_longest(options.max_seqlen_k, planned.seqlen_k), "max_seqlen_k");
}

template <class Tensors>
void run_plan(const strobe_plan& plan, const Call<Tensors>& call, const strobe_exec* exec,
              const char* where) {
  if (call.options) check_same_meaning(*call.options, plan.plan.problem(), where);
  plan.plan.run(call.tensors, read_exec(exec, where));
}

/// What `of` says of a plan; `otherwise`, and an error, where there is none.
template <class Value, class Of>
Value ask_plan(const strobe_plan* plan, const char* where, Value otherwise, const Of& of) {
  guarded(where, [&] {
    check_pointer(plan, "plan", "strobe_plan", where);
    otherwise = of(*plan);
  });
  return otherwise;
}

}  // namespace
}  // namespace strobe::api

using namespace strobe::api;

#define STROBE_STRING_OF(number) #number
#define STROBE_DOTTED(major, minor, patch) \
  STROBE_STRING_OF(major) "." STROBE_STRING_OF(minor) "." STROBE_STRING_OF(patch)

const char* strobe_version() {
  return STROBE_DOTTED(STROBE_VERSION_MAJOR, STROBE_VERSION_MINOR, STROBE_VERSION_PATCH);
}

int32_t strobe_version_number() { return STROBE_VERSION_NUMBER; }

strobe_code strobe_tensor_init(strobe_tensor* tensor, const void* data, strobe_dtype dtype,
                               int32_t rank, const int64_t* shape) {
  constexpr const char* kWhere = "strobe_tensor_init";
  constexpr int64_t kTooFar = std::numeric_limits<int64_t>::max();  // every call refuses it
  return guarded(kWhere, [&] {
    check_pointer(tensor, "tensor", "strobe_tensor", kWhere);
    check_pointer(shape, "shape", "size for each axis", kWhere);
    strobe_tensor made{};
    made.data = const_cast<void*>(data);  // of inputs, which are only read, as well as outputs
    made.dtype = dtype;
    made.rank = rank;
    check_c_rank(made, "tensor", kWhere);
    int64_t step = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
      made.shape[axis] = shape[axis];
      made.strides[axis] = step;
      if (__builtin_mul_overflow(step, shape[axis], &step)) step = kTooFar;
    }
    *tensor = made;
  });
}

strobe_code strobe_options_init(strobe_options* options, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_options_init";
  return guarded(kWhere, [&] { init_struct(options, struct_size, kOptionsKind, kWhere); });
}

strobe_code strobe_forward_args_init(strobe_forward_args* args, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_forward_args_init";
  return guarded(kWhere, [&] { init_struct(args, struct_size, kForwardKind, kWhere); });
}

strobe_code strobe_decode_args_init(strobe_decode_args* args, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_decode_args_init";
  return guarded(kWhere, [&] { init_struct(args, struct_size, kDecodeKind, kWhere); });
}

strobe_code strobe_exec_init(strobe_exec* exec, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_exec_init";
  return guarded(kWhere, [&] { init_struct(exec, struct_size, kExecKind, kWhere); });
}

strobe_code strobe_plan_options_init(strobe_plan_options* options, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_plan_options_init";
  return guarded(kWhere, [&] { init_struct(options, struct_size, kPlanOptionsKind, kWhere); });
}

strobe_code strobe_pool_create(int32_t threads, strobe_pool** pool) {
  constexpr const char* kWhere = "strobe_pool_create";
  return guarded(kWhere, [&] {
    check_place(pool, "pool", kWhere);
    *pool = new strobe_pool{strobe::ThreadPool(threads)};
  });
}

int32_t strobe_pool_size(const strobe_pool* pool) {
  constexpr const char* kWhere = "strobe_pool_size";
  int32_t size = -1;
  guarded(kWhere, [&] {
    check_pointer(pool, "pool", "strobe_pool", kWhere);
    size = pool->threads.size();
  });
  return size;
}

void strobe_pool_destroy(strobe_pool* pool) { delete pool; }

int32_t strobe_available_threads() { return strobe::available_threads(); }

strobe_code strobe_forward(const strobe_forward_args* args, const strobe_exec* exec) {
  constexpr const char* kWhere = "strobe_forward";
  return guarded(kWhere, [&] {
    const ForwardCall call = read_forward(args, kWhere);
    strobe::forward(call.tensors, call.options.value_or(strobe::Options{}),
                    read_exec(exec, kWhere));
  });
}

strobe_code strobe_decode(const strobe_decode_args* args, const strobe_exec* exec) {
  constexpr const char* kWhere = "strobe_decode";
  return guarded(kWhere, [&] {
    const DecodeCall call = read_decode(args, kWhere);
    strobe::decode(call.tensors, call.options.value_or(strobe::Options{}), read_exec(exec, kWhere));
  });
}

strobe_code strobe_plan_create(const strobe_forward_args* args, const strobe_plan_options* options,
                               strobe_plan** plan) {
  constexpr const char* kWhere = "strobe_plan_create";
  return guarded(kWhere, [&] {
    check_place(plan, "plan", kWhere);
    const strobe::Problem problem = problem_of(read_forward(args, kWhere));
    *plan = make_plan(problem, read_plan_options(options, kWhere));
  });
}

strobe_code strobe_plan_create_decode(const strobe_decode_args* args,
                                      const strobe_plan_options* options, strobe_plan** plan) {
  constexpr const char* kWhere = "strobe_plan_create_decode";
  return guarded(kWhere, [&] {
    check_place(plan, "plan", kWhere);
    const strobe::Problem problem = problem_of(read_decode(args, kWhere));
    strobe::PlanOptions how = read_plan_options(options, kWhere);
    how.op = strobe::Op::decode;
    *plan = make_plan(problem, how);
  });
}

strobe_code strobe_plan_create_from_case(const char* case_text, const strobe_plan_options* options,
                                         strobe_plan** plan) {
  constexpr const char* kWhere = "strobe_plan_create_from_case";
  return guarded(kWhere, [&] {
    check_place(plan, "plan", kWhere);
    const strobe::Problem problem = read_case(case_text, kWhere);
    *plan = make_plan(problem, read_plan_options(options, kWhere));
  });
}

void strobe_plan_destroy(strobe_plan* plan) { delete plan; }

int64_t strobe_plan_workspace_bytes(const strobe_plan* plan) {
  return ask_plan(plan, "strobe_plan_workspace_bytes", int64_t{-1}, [](const strobe_plan& of) {
    return static_cast<int64_t>(of.plan.workspace_bytes());
  });
}

const char* strobe_plan_kernel(const strobe_plan* plan) {
  return ask_plan<const char*>(plan, "strobe_plan_kernel", nullptr,
                               [](const strobe_plan& of) { return of.plan.kernel().c_str(); });
}

const char* strobe_plan_case(const strobe_plan* plan) {
  return ask_plan<const char*>(plan, "strobe_plan_case", nullptr,
                               [](const strobe_plan& of) { return of.case_text.c_str(); });
}

strobe_code strobe_plan_run(const strobe_plan* plan, const strobe_forward_args* args,
                            const strobe_exec* exec) {
  constexpr const char* kWhere = "strobe_plan_run";
  return guarded(kWhere, [&] {
    check_pointer(plan, "plan", "strobe_plan", kWhere);
    run_plan(*plan, read_forward(args, kWhere), exec, kWhere);
  });
}

strobe_code strobe_plan_run_decode(const strobe_plan* plan, const strobe_decode_args* args,
                                   const strobe_exec* exec) {
  constexpr const char* kWhere = "strobe_plan_run_decode";
  return guarded(kWhere, [&] {
    check_pointer(plan, "plan", "strobe_plan", kWhere);
    run_plan(*plan, read_decode(args, kWhere), exec, kWhere);
  });
}

strobe_code strobe_explain(const char* case_text, const strobe_plan_options* options, char** text) {
  constexpr const char* kWhere = "strobe_explain";
  return guarded(kWhere, [&] {
    check_place(text, "text", kWhere);
    const strobe::Problem problem = read_case(case_text, kWhere);
    *text = make_string(strobe::explain(problem, read_plan_options(options, kWhere)));
  });
}

strobe_code strobe_list_kernels(char** text) {
  constexpr const char* kWhere = "strobe_list_kernels";
  return guarded(kWhere, [&] {
    check_place(text, "text", kWhere);
    *text = make_string(strobe::list_kernels());
  });
}

// NOLINTNEXTLINE(readability-non-const-parameter): the string is given back
void strobe_string_destroy(char* text) { delete[] text; }
