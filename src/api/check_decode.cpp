// The order of the checks of a decode call: each may rely on those before it; none allocates.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

/// New keys may have more rows than any sequence appends, and one row may serve as all of them.
void check_new_bytes(const Named& tensor, const char* where) {
  if (!tensor.view.given()) return;
  const Shape& shape = tensor.view.shape;
  check_bytes(tensor.name, {shape[0], shape[1], shape[2], shape[3]}, tensor.view.dtype, where);
}

/// Everything but what depends on the options. The problem has the longest lengths.
Problem check_tensors(const DecodeTensors& t, const char* where) {
  Problem problem = check_shapes(t, where);
  check_problem(problem, where);
  check_new_bytes({"k", t.k}, where);
  check_new_bytes({"v", t.v}, where);
  check_memory(t, where);
  const CacheLengths longest = check_cache_lengths(t, where);
  check_overlaps(t, where);
  problem.seqlen_k = longest.lengths.k;
  problem.seqlen_new = longest.seqlen_new;
  return problem;
}

/// `meaning` holds mask, rotary and sizes. Keys count slots, and what lies in memory for them may
/// be as long as the cache.
void check_with_options(const DecodeTensors& t, const Problem& meaning, const char* where) {
  check_pair_shapes(pair_views(t), meaning, {.queries = false, .keys = true}, where);
  check_rotary_tables(t, meaning, where);
}

}  // namespace

Problem check_decode(const DecodeTensors& t, const Options& options, const char* where) {
  Problem problem = check_tensors(t, where);
  check_max(query_side(t), "max_seqlen_q", options.max_seqlen_q, where);
  check_max(new_key_side(t), "max_seqlen_k", options.max_seqlen_k, where);
  problem.mask = options.mask;
  problem.score = options.score;
  problem.dropout = options.dropout;
  problem.determinism = options.determinism;
  problem.rotary = options.rotary;
  check_problem(problem, where);
  check_op(problem, Op::decode, 0, where);
  check_with_options(t, problem, where);
  return problem;
}

void check_planned(const DecodeTensors& t, const Problem& planned, const char* where) {
  const Problem actual = check_tensors(t, where);
  check_fits(actual, planned, where);
  Problem meaning = planned;
  meaning.seqlen_q = actual.seqlen_q;
  meaning.seqlen_k = actual.seqlen_k;
  check_with_options(t, meaning, where);
}

}  // namespace strobe::api
