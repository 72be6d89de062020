// What a problem may ask of one operation and not of another.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "api/case_reader.hpp"
#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"
#include "plan/heuristics.hpp"

namespace strobe::api {
namespace {

void check_forward_op(const Problem& p, const char* where) {
  if (!p.uses_cache()) return;
  fail("op-cache", where,
       {"\"", cache_words(p), "\" is what only decode answers, as forward has no cache; call ",
        "decode (a plan with PlanOptions::op, the tool with --op decode) or leave it out"});
}

/// States of leaves, turned queries, the order of tasks and the slots of new keys are counted in
/// int64. Each is less than one of these products, whatever the kernel.
void check_decode_workspace(const Problem& p, const char* where) {
  constexpr std::int64_t kNumber = 8, kRest = 32;  // bytes; numbers beside those of o
  const std::int64_t dims = std::max(p.head_dim, p.head_dim_v) + kRest;
  const std::int64_t leaves = cpu::count_leaves(p.seqlen_k);
  if (product_fits({2, kNumber, p.batch, leaves, p.num_heads, p.seqlen_q, dims}) &&
      product_fits({2, kNumber, p.batch, p.seqlen_new}))
    return;
  fail("size-overflow", where,
       {"the workspace for ", p.batch, " x ", p.num_heads, " heads of ", p.seqlen_q, " queries x ",
        p.seqlen_k, " keys may take more than ", std::numeric_limits<std::int64_t>::max(),
        " bytes; make the sizes smaller"});
}

void check_decode_op(const Problem& p, const char* where) {
  if (p.storage == Storage::varlen) {
    fail("op-packed", where,
         {"decode takes no packed sequences (varlen); pad q and give seqlens_q, the keys lie in ",
          "the cache"});
  }
  if (p.dropout != Dropout{}) {
    fail("op-dropout", where,
         {"decode has no dropout, and dropout.probability is ", p.dropout.probability, ", seed ",
          p.dropout.seed, ", offset ", p.dropout.offset, "; leave all three 0"});
  }
  check_decode_workspace(p, where);
}

}  // namespace

void check_op(const Problem& p, Op op, int splits, const char* where) {
  if (op != Op::forward && op != Op::decode) {
    fail("enum-value", where,
         {"op is ", static_cast<std::int32_t>(op), ", which is none of its values; they go from 0 ",
          "to ", static_cast<std::int32_t>(Op::decode)});
  }
  if (splits < 0 || (splits > 0 && op != Op::decode)) {
    fail("plan-splits", where,
         {"splits is ", splits, op == Op::decode ? "" : " and forward splits no keys",
          "; it is 0 for as many as pay, or, for decode, the parts that keys are cut into"});
  }
  op == Op::forward ? check_forward_op(p, where) : check_decode_op(p, where);
}

}  // namespace strobe::api
