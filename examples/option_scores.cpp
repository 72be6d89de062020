// One short function for each option of docs/options that is no mask, run against plain loops.
// `tensors` holds q, k, v, o and lse of one sequence: examples/plain_loops.hpp says how long.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <strobe/strobe.hpp>
#include <tuple>
#include <vector>

#include "plain_loops.hpp"

namespace {

using strobe::ForwardTensors;
using Numbers = std::vector<std::int32_t>;

// A number for each pair of each head, added to its score; an axis of size 1 serves all.
void bias(ForwardTensors tensors, const std::vector<float>& values) {
  tensors.bias = {values.data(), {1, kHeads, kQueries, kKeys}};
  strobe::forward(tensors);
}

// Slopes 2^(-8 (h + 1) / heads), as published for a power of two of heads.
void alibi(ForwardTensors tensors) {
  std::vector<float> slopes(kHeads);
  for (std::size_t head = 0; head < kHeads; ++head)
    slopes[head] = std::exp2(-8.0f * static_cast<float>(head + 1) / kHeads);
  tensors.alibi_slopes = {slopes.data(), {kHeads}};
  strobe::forward(tensors, {.mask = {.causal = true}});
}

// Scores lie between -2 and 2.
void softcap(const ForwardTensors& tensors) { strobe::forward(tensors, {.score = {.softcap = 2}}); }

// One learned logit for each head takes part in the sum and has no value.
void sink_logits(ForwardTensors tensors, const std::vector<float>& logits) {
  tensors.sink_logits = {logits.data(), {kHeads}};
  strobe::forward(tensors, {.mask = {.causal = true}});
}

// A tenth of the weights is dropped: the same ones for the same seed and step.
void dropout(const ForwardTensors& tensors, std::uint64_t step) {
  strobe::forward(tensors, {.dropout = {.probability = 0.1, .seed = 42, .offset = step}});
}

// Scores are 0.3 times q.k.
void scale(const ForwardTensors& tensors) { strobe::forward(tensors, {.score = {.scale = 0.3}}); }

// Query heads 0 and 1 read key head 0, query heads 2 and 3 key head 1: shapes say it all.
void grouped_heads(const float* q, const float* k, const float* v, float* o, float* lse) {
  strobe::forward({.q = {q, {1, kQueries, 4, kDim}},
                   .k = {k, {1, kKeys, 2, kDim}},
                   .v = {v, {1, kKeys, 2, kDim}},
                   .o = {o, {1, kQueries, 4, kDim}},
                   .lse = {lse, {1, 4, kQueries}}});
}

// Only the first 40 queries and 50 keys of the padded sequence count.
void padded(ForwardTensors tensors) {
  const Numbers queries{40}, keys{50};
  tensors.seqlens_q = {queries.data(), {1}};
  tensors.seqlens_k = {keys.data(), {1}};
  strobe::forward(tensors, {.mask = {.causal = true}});
}

// Two sequences, one after the other: rows 0 to 19 with keys 0 to 29, the rest with the rest.
void packed(Sequence& in) {
  const Numbers cu_q{0, 20, kQueries}, cu_k{0, 30, kKeys};
  strobe::forward({.q = {in.q.data(), {kQueries, kHeads, kDim}},
                   .k = {in.k.data(), {kKeys, kHeadsKv, kDim}},
                   .v = {in.v.data(), {kKeys, kHeadsKv, kDim}},
                   .o = {in.o.data(), {kQueries, kHeads, kDim}},
                   .lse = {in.lse.data(), {kHeads, kQueries}},
                   .cu_seqlens_q = {cu_q.data(), {3}},
                   .cu_seqlens_k = {cu_k.data(), {3}}},
                  {.mask = {.causal = true}});
}

// q, k, v in bf16, o in f32: the pointers' types say so.
void types(const std::vector<strobe::bfloat16>& q, const std::vector<strobe::bfloat16>& k,
           const std::vector<strobe::bfloat16>& v, float* o, float* lse) {
  strobe::forward({.q = {q.data(), {1, kQueries, kHeads, kDim}},
                   .k = {k.data(), {1, kKeys, kHeadsKv, kDim}},
                   .v = {v.data(), {1, kKeys, kHeadsKv, kDim}},
                   .o = {o, {1, kQueries, kHeads, kDim}},
                   .lse = {lse, {1, kHeads, kQueries}}});
}

// Results over different keys become the result over all of them.
void merge(const Sequence& first, const Sequence& second, Sequence& all) {
  const strobe::Shape o{1, kQueries, kHeads, kDim}, lse{1, kHeads, kQueries};
  const strobe::Partial parts[] = {{{first.o.data(), o}, {first.lse.data(), lse}},
                                   {{second.o.data(), o}, {second.lse.data(), lse}}};
  strobe::merge({.parts = parts, .o = {all.o.data(), o}, .lse = {all.lse.data(), lse}});
}

// Equal bits on every run is always so; this gives up that a row's bits are its own.
void run_to_run(const ForwardTensors& tensors) {
  strobe::forward(tensors, {.determinism = strobe::Determinism::run_to_run});
}

// --- what each of them must give -----------------------------------------------------------------

double plain(const Pair& at) { return at.s; }
bool past(const Pair& at) { return at.key <= at.row + kFirst; }

bool run_scores(Sequence& in) {
  bool good = true;
  const std::vector<float> values = waves(kHeads * kQueries * kKeys, 5);
  bias(in.tensors(), values);
  good &= right("bias", in, [&](const Pair& at) {
    return at.s + values[static_cast<std::size_t>((at.head * kQueries + at.row) * kKeys + at.key)];
  });
  alibi(in.tensors());
  good &= right("ALiBi", in, [](const Pair& at) {
    const double slope = std::exp2(-2.0 * static_cast<double>(at.head + 1));
    return past(at) ? at.s - slope * static_cast<double>(at.row + kFirst - at.key) : kHidden;
  });
  softcap(in.tensors());
  good &= right("softcap", in, [](const Pair& at) { return 2 * std::tanh(at.s / 2); });
  scale(in.tensors());
  return good & right("scale", in, [](const Pair& at) { return at.s * 0.3 * std::sqrt(kDim); });
}

/// A sink logit is one more key with the value 0.
bool run_sink_logits(Sequence& in) {
  const std::vector<float> logits{0.5f, -1.0f, 2.0f, 0.0f};
  sink_logits(in.tensors(), logits);
  double error = 0;
  for (std::int64_t head = 0; head < kHeads; ++head) {
    const auto row =
        plain_row(in, head, 7, [](const Pair& at) { return past(at) ? at.s : kHidden; });
    const double lse =
        std::log(std::exp(row[kDim]) + std::exp(double{logits[static_cast<std::size_t>(head)]}));
    const auto at = static_cast<std::size_t>(head);
    error = std::max(error, std::abs(in.lse[at * kQueries + 7] - lse));
    error = std::max(
        error, std::abs(in.o[(7 * kHeads + at) * kDim + 3] - row[3] * std::exp(row[kDim] - lse)));
  }
  std::printf("%-24s %s\n", "sink logits", error < 1e-5 ? "right" : "WRONG");
  return error < 1e-5;
}

/// With values of 1, o is the kept share of a row's weights over 0.9.
bool run_dropout(Sequence in) {
  std::ranges::fill(in.v, 1.0f);
  dropout(in.tensors(), 0);
  const std::vector<float> first = in.o;
  dropout(in.tensors(), 1);
  const bool other_step = in.o != first;
  dropout(in.tensors(), 0);
  double mean = 0;
  for (const float x : in.o) mean += x / static_cast<double>(in.o.size());
  const bool good = other_step && in.o == first && std::abs(mean - 1) < 0.02;
  std::printf("%-24s %s\n", "dropout", good ? "right" : "WRONG");
  return good;
}

bool run_shapes(Sequence& in) {
  bool good = true;
  grouped_heads(in.q.data(), in.k.data(), in.v.data(), in.o.data(), in.lse.data());
  good &= right("grouped heads", in, plain);
  padded(in.tensors());
  good &= right("padded", in, [](const Pair& at) {
    return at.row < 40 && at.key < 50 && at.key <= at.row + 10 ? at.s : kHidden;
  });
  packed(in);
  good &= right("packed", in, [](const Pair& at) {
    const bool second = at.row >= 20;
    if (second != (at.key >= 30)) return kHidden;
    const std::int64_t shift = second ? kKeys - kQueries : 30 - 20;
    return at.key <= at.row + shift ? at.s : kHidden;
  });
  run_to_run(in.tensors());
  good &= right("run to run", in, plain);
  const auto bf16 = [](const std::vector<float>& from) {
    return std::vector<strobe::bfloat16>(from.begin(), from.end());
  };
  types(bf16(in.q), bf16(in.k), bf16(in.v), in.o.data(), in.lse.data());
  return good & right("bf16", in, plain, 0.02);
}

/// Keys 0 to 39 and keys 40 to 63 in two calls.
bool run_merge(Sequence& in) {
  Sequence front = in, back = in;
  for (const auto& [to, first, count] : {std::tuple{&front, 0, 40}, {&back, 40, 24}}) {
    ForwardTensors tensors = to->tensors();
    tensors.k = {to->k.data() + first * kHeadsKv * kDim, {1, count, kHeadsKv, kDim}};
    tensors.v = {to->v.data() + first * kHeadsKv * kDim, {1, count, kHeadsKv, kDim}};
    strobe::forward(tensors);
  }
  merge(front, back, in);
  return right("merge", in, plain);
}

}  // namespace

int main() {
  Sequence in;
  const bool scores = run_scores(in), sinks = run_sink_logits(in), dropped = run_dropout(in);
  const bool shapes = run_shapes(in), merged = run_merge(in);
  return scores && sinks && dropped && shapes && merged ? 0 : 1;
}
