// One short function for each mask of docs/options, run against plain loops. `tensors` holds q, k,
// v, o and lse of one sequence: examples/plain_loops.hpp says how long they are.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <span>
#include <strobe/strobe.hpp>
#include <vector>

#include "plain_loops.hpp"

namespace {

using strobe::ForwardTensors;
using Numbers = std::vector<std::int32_t>;

// The last query sits on the last key: a prompt, or the next rows after a cache.
void causal(const ForwardTensors& tensors) { strobe::forward(tensors, {.mask = {.causal = true}}); }

// The first query sits on the first key, as in PyTorch's is_causal.
void causal_top_left(const ForwardTensors& tensors) {
  strobe::forward(tensors, {.mask = {.causal = true, .align = strobe::Align::top_left}});
}

// Each token sees itself and the 15 before it.
void sliding_window(const ForwardTensors& tensors) {
  strobe::forward(tensors, {.mask = {.causal = true, .left = 15}});
}

// Each token sees the earlier tokens of its own chunk of 16.
void chunks(const ForwardTensors& tensors) {
  strobe::forward(tensors, {.mask = {.causal = true, .chunk = 16}});
}

// The first 20 tokens are read in both directions, what follows in one.
void prefix(const ForwardTensors& tensors) {
  strobe::forward(tensors, {.mask = {.causal = true, .prefix = 20}});
}

// A window of 16 tokens that never loses the first four.
void sink_tokens(const ForwardTensors& tensors) {
  strobe::forward(tensors, {.mask = {.causal = true, .left = 15, .sink_tokens = 4}});
}

// Each token sees the earlier tokens of its own document.
void documents(ForwardTensors tensors, const Numbers& lengths) {
  Numbers cu_seqlens(lengths.size() + 1), key_begin(kQueries), key_end(kQueries);
  strobe::cu_seqlens_of_lengths(lengths, cu_seqlens);
  strobe::KeyIntervals(key_begin, key_end, kKeys).documents(cu_seqlens);
  tensors.key_begin = {key_begin.data(), {1, 1, kQueries}};
  tensors.key_end = {key_end.data(), {1, 1, kQueries}};
  strobe::forward(tensors, {.mask = {.causal = true}});
}

// Documents with a prompt each that is read in both directions. Causal is in the intervals, where
// prefixes lift it; in Options::mask it would cut them.
void prefix_lm(ForwardTensors tensors, const Numbers& cu_seqlens, const Numbers& prefixes) {
  Numbers key_begin(kQueries), key_end(kQueries);
  strobe::KeyIntervals(key_begin, key_end, kKeys).prefix_lm(cu_seqlens, prefixes);
  tensors.key_begin = {key_begin.data(), {1, 1, kQueries}};
  tensors.key_end = {key_end.data(), {1, 1, kQueries}};
  strobe::forward(tensors);
}

// A window of its own for each head: row `head` of key_begin and key_end is that head's.
void windows_of_heads(ForwardTensors tensors, const Numbers& windows) {
  Numbers key_begin(kHeads * kQueries), key_end(kHeads * kQueries);
  for (std::size_t head = 0; head < kHeads; ++head) {
    const std::span begin = std::span(key_begin).subspan(head * kQueries, kQueries);
    const std::span end = std::span(key_end).subspan(head * kQueries, kQueries);
    strobe::KeyIntervals(begin, end, kKeys, {.left = windows[head]});
  }
  tensors.key_begin = {key_begin.data(), {1, kHeads, kQueries}};
  tensors.key_end = {key_end.data(), {1, kHeads, kQueries}};
  strobe::forward(tensors, {.mask = {.causal = true}});
}

// Drafted tokens, the last keys, see the context, themselves, and the tokens that they follow.
void draft_tree(ForwardTensors tensors, const Numbers& parents) {
  std::vector<std::uint8_t> allowed(kQueries * kKeys);
  strobe::fill_draft_tree(parents, kKeys, allowed);
  tensors.allowed = {allowed.data(), strobe::DType::boolean, {1, 1, kQueries, kKeys}};
  strobe::forward(tensors);
}

// Blocks of 16 queries and 16 keys: false ones are never computed.
void block_map(ForwardTensors tensors, const std::vector<std::uint8_t>& blocks) {
  tensors.blocks = {blocks.data(), strobe::DType::boolean, {1, 1, kQueries / 16, kKeys / 16}};
  strobe::forward(tensors, {.mask = {.block_q = 16, .block_k = 16}});
}

// --- what each of them must give -----------------------------------------------------------------

std::int64_t position(const Pair& at) { return at.row + kFirst; }
bool past(const Pair& at) { return at.key <= position(at); }

bool run_fields(Sequence& in) {
  bool good = true;
  causal(in.tensors());
  good &= right_mask("causal", in, past);
  causal_top_left(in.tensors());
  good &= right_mask("causal, top left", in, [](const Pair& at) { return at.key <= at.row; });
  sliding_window(in.tensors());
  const auto near = [](const Pair& at) { return past(at) && at.key >= position(at) - 15; };
  good &= right_mask("window", in, near);
  chunks(in.tensors());
  good &= right_mask("chunk", in,
                     [](const Pair& at) { return past(at) && at.key / 16 == position(at) / 16; });
  prefix(in.tensors());
  good &= right_mask("prefix", in, [](const Pair& at) { return past(at) || at.key < 20; });
  sink_tokens(in.tensors());
  return good &
         right_mask("sink tokens", in, [&](const Pair& at) { return near(at) || at.key < 4; });
}

bool run_intervals(Sequence& in) {
  bool good = true;
  const auto document = [](std::int64_t key) { return key < 20 ? 0 : key < 55 ? 1 : 2; };
  const auto same = [&](const Pair& at) { return document(at.key) == document(position(at)); };
  documents(in.tensors(), {20, 35, 9});
  good &= right_mask("documents", in, [&](const Pair& at) { return same(at) && past(at); });
  prefix_lm(in.tensors(), {0, 20, 55, 64}, {18, 10, 0});
  good &= right_mask("prefix-LM", in, [&](const Pair& at) {
    const bool prompt = at.key < 18 || (at.key >= 20 && at.key < 30);
    return same(at) && (past(at) || prompt);
  });
  const Numbers windows{0, 3, 10, 63};
  windows_of_heads(in.tensors(), windows);
  return good & right_mask("windows of heads", in, [&](const Pair& at) {
           const std::int64_t window = windows[static_cast<std::size_t>(at.head)];
           return past(at) && at.key >= position(at) - window;
         });
}

bool run_pairs(Sequence& in) {
  Numbers parents(kQueries, -1);  // two at the root, and two children of each token
  for (std::int32_t token = 2; token < kQueries; ++token)
    parents[static_cast<std::size_t>(token)] = token / 2 - 1;
  draft_tree(in.tensors(), parents);
  const bool good = right_mask("draft tree", in, [&](const Pair& at) {
    std::int64_t token = at.row;
    while (token > at.key - kFirst && token >= 0) token = parents[static_cast<std::size_t>(token)];
    return at.key < kFirst || token == at.key - kFirst;
  });
  const std::vector<std::uint8_t> blocks{1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0};
  block_map(in.tensors(), blocks);
  return good & right_mask("block map", in, [&](const Pair& at) {
           const std::int64_t block = at.row / 16 * (kKeys / 16) + at.key / 16;
           return blocks[static_cast<std::size_t>(block)] != 0;
         });
}

}  // namespace

int main() {
  Sequence in;
  const bool fields = run_fields(in), intervals = run_intervals(in), pairs = run_pairs(in);
  return fields && intervals && pairs ? 0 : 1;
}
