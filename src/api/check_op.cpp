// What a problem may ask of one operation and not of another.
// SPDX-License-Identifier: Apache-2.0
#include "api/case_reader.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

void check_forward_op(const Problem& p, const char* where) {
  if (!p.uses_cache()) return;
  fail("op-cache", where,
       {"\"", cache_words(p), "\" is what only decode answers, as forward has no cache; call ",
        "decode (a plan with PlanOptions::op, the tool with --op decode) or leave it out"});
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
