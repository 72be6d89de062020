// Prints the weights that each query gives its keys, in percent, as forward() itself has them: with
// the identity as values, o is the matrix of weights. The drawings of options that change scores.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <strobe/strobe.hpp>
#include <vector>

namespace {

/// "0,1.5,-inf" as numbers.
std::vector<float> numbers_of(const std::string& text) {
  std::vector<float> numbers;
  std::istringstream stream(text);
  for (std::string number; std::getline(stream, number, ',');) numbers.push_back(std::stof(number));
  return numbers;
}

/// A problem of one head and what its tensors hold.
struct Drawing {
  strobe::Problem problem{};
  std::vector<float> scores{};  ///< q.k of each key, the same for every query; not given: 0
  std::vector<float> bias{};    ///< of each key
  std::vector<float> slope{};   ///< of ALiBi
  std::vector<float> sink{};    ///< logit
};

/// The options of docs/cases.md with sizes, "q6 k6 causal", and what tensors hold:
/// scores=0,10,20 bias=0,1,-inf slope=0.5 sink=1. q and k have one dim, so the scale is 1.
Drawing parse(const std::string& text) {
  Drawing drawing;
  std::string words = "h1 d1";
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    const std::string name = word.substr(0, word.find('=') + 1), value = word.substr(name.size());
    if (name == "scores=")
      drawing.scores = numbers_of(value);
    else if (name == "bias=")
      drawing.bias = numbers_of(value);
    else if (name == "slope=")
      drawing.slope = numbers_of(value);
    else if (name == "sink=")
      drawing.sink = numbers_of(value);
    else
      words += " " + word;
  }
  drawing.problem = strobe::Problem::parse(words);
  return drawing;
}

/// [seqlen_q, seqlen_k] in row-major order.
std::vector<float> weights(Drawing drawing) {
  const auto& p = drawing.problem;
  const auto keys = static_cast<std::size_t>(p.seqlen_k);
  drawing.scores.resize(keys);
  std::vector<float> q(static_cast<std::size_t>(p.seqlen_q), 1.0f), identity(keys * keys);
  for (std::size_t key = 0; key < keys; ++key) identity[key * keys + key] = 1.0f;
  std::vector<float> o(q.size() * keys);
  strobe::ForwardTensors tensors{.q = {q.data(), {1, p.seqlen_q, 1, 1}},
                                 .k = {drawing.scores.data(), {1, p.seqlen_k, 1, 1}},
                                 .v = {identity.data(), {1, p.seqlen_k, 1, p.seqlen_k}},
                                 .o = {o.data(), {1, p.seqlen_q, 1, p.seqlen_k}}};
  if (!drawing.bias.empty()) tensors.bias = {drawing.bias.data(), {1, 1, 1, p.seqlen_k}};
  if (!drawing.slope.empty()) tensors.alibi_slopes = {drawing.slope.data(), {1}};
  if (!drawing.sink.empty()) tensors.sink_logits = {drawing.sink.data(), {1}};
  strobe::forward(tensors, {.mask = p.mask, .score = p.score, .dropout = p.dropout});
  return o;
}

void print(const Drawing& drawing) {
  const auto& p = drawing.problem;
  const std::vector<float> o = weights(drawing);
  std::printf("    key ");
  for (std::int64_t key = 0; key < p.seqlen_k; ++key)
    std::printf(" %3lld", static_cast<long long>(key));
  std::printf("\n");
  for (std::int64_t row = 0; row < p.seqlen_q; ++row) {
    std::printf("query %2lld", static_cast<long long>(row));
    for (std::int64_t key = 0; key < p.seqlen_k; ++key) {
      const float weight = o[static_cast<std::size_t>(row * p.seqlen_k + key)];
      std::printf(weight == 0 ? "   ." : " %3.0f", 100.0 * weight);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 2) {
      print(parse(argv[1]));
      return 0;
    }
    std::fprintf(stderr, "usage: draw_weights \"q1 k4 softcap=20 scores=0,10,20,40\"\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "draw_weights: %s\n", error.what());
  }
  return 2;
}
