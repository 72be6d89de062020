// Laws of decode: a prompt may come in one piece or in chunks, whatever its types and codes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Outcome;

/// Rows [first, first + rows) of a tensor [batch, seqlen, heads, dim].
HostTensor some_rows(const HostTensor& from, std::int64_t first, std::int64_t rows) {
  Shape shape = from.shape();
  shape[1] = rows;
  return testing::rearranged(from, shape, [first](Shape i) {
    i[1] += first;
    return i;
  });
}

class PromptsInChunks : public testing::OnBackend {
 protected:
  Outcome decode(const Problem& problem, TensorMap& in) const {
    return testing::decode(problem, in, {.threads = 2, .backend = backend(), .op = Op::decode});
  }
  /// A prompt that comes in chunks, each a call that appends its keys, is the prompt as a whole.
  /// `empty`: the call that appends all of it.
  void expect_same(const Problem& empty, const TensorMap& prompt, const Outcome& whole) const {
    TensorMap in = harness::drawn_decode_tensors(empty, 9);
    std::int64_t first = 0;
    for (const std::int64_t rows : {1, 3, 600, 17, 1, 127, 551}) {
      Problem chunk = empty;
      chunk.seqlen_q = chunk.seqlen_new = rows;
      chunk.seqlen_k = first + rows;
      for (const char* name : {"q", "k", "v"})
        in.at(name) = some_rows(prompt.at(name), first, rows);
      for (std::int64_t b = 0; b < empty.batch; ++b)
        in.at("cache_seqlens").set({b}, static_cast<double>(first));
      const Outcome part = decode(chunk, in);
      for (std::int64_t h = 0; h < empty.num_heads; ++h)
        for (std::int64_t b = 0; b < empty.batch; ++b)
          testing::expect_same_rows({part, b, h}, {whole, b, h, first}, rows);
      first += rows;
    }
    ASSERT_EQ(first, empty.seqlen_q);
  }
};

TEST_P(PromptsInChunks, OfEveryType) {
  for (const char* type : {"f32", "f16", "bf16", "f64"})
    for (const char* cache : {"", " page=16", " page=300"}) {
      const Problem whole = Problem::parse(std::string("b2 h4/2 q1300 d48 causal ") + type);
      TensorMap prompt = harness::random_tensors(whole, 9);
      const testing::Outcome all = testing::run(whole, prompt, backend(), 2);
      // All keys are new, so that the cache is empty.
      expect_same(
          Problem::parse(std::string("b2 h4/2 q1300 d48 causal append=1300 ") + type + cache),
          prompt, all);
    }
}

/// The tile kernel and the decode kernel, and the query that sees its own key as stored.
TEST_P(PromptsInChunks, OfEveryCode) {
  for (const char* type : {"f32", "bf16"})
    for (const char* kv : {"int8", "int8:head page=16", "int8:group", "int4 page=16", "e4m3"}) {
      const Problem empty = Problem::parse(std::string("b2 h4/2 q1300 d48/40 causal append=1300 ") +
                                           type + " kv=" + kv);
      TensorMap in = harness::drawn_decode_tensors(empty, 9);
      TensorMap prompt;
      for (const char* name : {"q", "k", "v"}) prompt.emplace(name, in.at(name).clone());
      expect_same(empty, prompt, decode(empty, in));
    }
}

STROBE_ON_BACKENDS(PromptsInChunks);

}  // namespace
}  // namespace strobe
