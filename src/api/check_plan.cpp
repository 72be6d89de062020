// What tensors and the plan that they are run on must have in common.
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "api/case_reader.hpp"
#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

struct PlannedSize {
  const char* name;
  std::int64_t Problem::*member;
};

void check_same_sizes(const Problem& actual, const Problem& planned, const char* where) {
  static constexpr PlannedSize kSizes[] = {{"batch", &Problem::batch},
                                           {"num_heads", &Problem::num_heads},
                                           {"num_heads_kv", &Problem::num_heads_kv},
                                           {"head_dim", &Problem::head_dim},
                                           {"head_dim_v", &Problem::head_dim_v},
                                           {"page_size", &Problem::page_size}};
  for (const PlannedSize& size : kSizes) {
    if (actual.*size.member == planned.*size.member) continue;
    fail("plan-mismatch", where,
         {size.name, " is ", actual.*size.member, " and the plan was made for ",
          planned.*size.member, "; make a plan for this problem"});
  }
}

void check_same_types(const Problem& actual, const Problem& planned, const char* where) {
  if (actual.dtype == planned.dtype && actual.o_dtype == planned.o_dtype) return;
  fail(
      "plan-mismatch", where,
      {"q, k and v are ", actual.dtype, " and o is ", actual.o_dtype, " and the plan was made for ",
       planned.dtype, " and ", planned.o_dtype, "; make a plan for this problem"});
}

/// "f32", "i8 with token scales"
std::string cache_text(const Problem& p) {
  if (p.kv_dtype == DType::none) return name_of(p.dtype);
  const auto scales = static_cast<std::size_t>(p.kv_scales);
  return std::string(name_of(p.kv_dtype)).append(" with ").append(kKvScaleWords[scales]) +
         " scales";
}

/// One head's scale is the tensor's.
KvScales simplest(const Problem& p) {
  const bool one_head = p.kv_scales == KvScales::head && p.num_heads_kv == 1;
  return one_head ? KvScales::tensor : p.kv_scales;
}

void check_same_cache(const Problem& actual, const Problem& planned, const char* where) {
  if (actual.kv_dtype == planned.kv_dtype && simplest(actual) == simplest(planned)) return;
  fail("plan-mismatch", where,
       {"the cache is ", cache_text(actual), " and the plan was made for ", cache_text(planned),
        "; make a plan for this problem"});
}

void check_not_longer(const char* name, std::int64_t actual, std::int64_t planned,
                      const char* where) {
  if (actual <= planned) return;
  fail("plan-longer", where,
       {name, " is ", actual, " and the plan was made for at most ", planned,
        "; make a plan for the longest"});
}

/// The same options, each on in both or in neither: a kept plan has room for what it was made for.
void check_same_options(const Problem& actual, const Problem& planned, const char* where) {
  const auto check = [where](const char* name, bool is, bool was) {
    if (is == was) return;
    fail("plan-option", where,
         {name,
          is ? " is given and the plan was made without it"
             : " is not given and the plan was made with it",
          "; make a plan for this problem"});
  };
  check("key_begin or key_end", actual.intervals != Intervals::none,
        planned.intervals != Intervals::none);
  check("allowed", actual.allowed.given, planned.allowed.given);
  check("bias", actual.bias.given, planned.bias.given);
  check("alibi_slopes", actual.alibi, planned.alibi);
  check("sink_logits", actual.sink_logits, planned.sink_logits);
  check("cache_batch_idx", actual.cache_batch_idx, planned.cache_batch_idx);
  check("leftpad_k", actual.leftpad_k, planned.leftpad_k);
  if (actual.bias_dtype != planned.bias_dtype) {
    fail("plan-option", where,
         {"bias is ", actual.bias_dtype, " and the plan was made for ", planned.bias_dtype,
          "; make a plan for this problem"});
  }
}

}  // namespace

void check_fits(const Problem& actual, const Problem& planned, const char* where) {
  check_same_sizes(actual, planned, where);
  check_same_types(actual, planned, where);
  check_same_cache(actual, planned, where);
  check_not_longer("seqlen_q", actual.seqlen_q, planned.seqlen_q, where);
  check_not_longer("seqlen_k", actual.seqlen_k, planned.seqlen_k, where);
  check_not_longer("seqlen_new", actual.seqlen_new, planned.seqlen_new, where);
  check_same_options(actual, planned, where);
}

}  // namespace strobe::api
