// What quantising a KV cache costs in accuracy: a table of docs/options/quantised_cache.md.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/program.hpp"
#include "harness/accuracy.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "harness/safetensors.hpp"
#include "strobe/attention.hpp"

namespace strobe::harness {
namespace {

/// f64, as there q and o are exact beside what codes lose.
constexpr const char* kDrawnCase = "h8/2 q64 k2048 d128 f64";
constexpr const char* kLayerCase = "h12 q512 d32 f64";
constexpr const char* kLayerFile = "data/minilm/layer3.safetensors";

HostTensor to_f64(const HostTensor& from) {
  HostTensor to(DType::f64, from.shape());
  for (std::int64_t i = 0; i < from.elements(); ++i) to.as<double>()[i] = from.as<float>()[i];
  return to;
}

TensorMap layer_tensors() {
  const TensorMap file = read_safetensors(kLayerFile);
  TensorMap tensors;
  for (const char* name : {"q", "k", "v"}) tensors.emplace(name, to_f64(file.at(name)));
  return tensors;
}

/// One source of q, k and v.
struct Data {
  std::string text;
  TensorMap (*forward)(const Problem& problem);
};

/// o of attention over these keys in a cache of this kind, in float64.
HostTensor attended(const Data& data, const std::string& words) {
  const Problem problem = Problem::parse(data.text + words);
  TensorMap in = in_cache(problem, /*seed=*/1, data.forward(without_cache(problem)));
  TensorMap out = output_tensors(problem, in);
  run_decode(problem, decode_tensors(in, out), {.backend = "reference", .op = Op::decode});
  return std::move(out.at("o"));
}

/// sqrt(sum of squared differences / sum of squares).
double rel_rms(const HostTensor& got, const HostTensor& want) {
  double differences = 0, squares = 0;
  for (std::int64_t i = 0; i < want.elements(); ++i) {
    const double x = want.as<double>()[i], error = got.as<double>()[i] - x;
    differences += error * error;
    squares += x * x;
  }
  return std::sqrt(differences / squares);
}

void print_table() {
  const Data all[] = {{kDrawnCase,
                       [](const Problem& p) {
                         return drawn_tensors(p, {1, Values::normal});
                       }},
                      {kDrawnCase,
                       [](const Problem& p) {
                         return drawn_tensors(p, {1, Values::outliers});
                       }},
                      {kLayerCase, [](const Problem&) { return layer_tensors(); }}};
  std::vector<HostTensor> exact;
  for (const Data& data : all) exact.push_back(attended(data, ""));
  fmt::print("| cache | normal | outliers | MiniLM |\n|---|---|---|---|\n");
  for (const char* const type : {"e4m3", "e5m2", "int8", "int4"})
    for (const char* const scales : {"tensor", "head", "token", "group"}) {
      fmt::print("| `kv={}:{}` |", type, scales);
      for (std::size_t i = 0; i < std::size(all); ++i) {
        const HostTensor o = attended(all[i], fmt::format(" kv={}:{}", type, scales));
        fmt::print(" {:.2g} |", rel_rms(o, exact[i]));
      }
      fmt::print("\n");
    }
}

}  // namespace
}  // namespace strobe::harness

int main() { return strobe::bench::print(strobe::harness::print_table); }
