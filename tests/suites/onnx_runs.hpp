// The replayed node tests of the ONNX operator Attention: data/onnx_attention/ as runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <fstream>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "harness/random_tensors.hpp"
#include "harness/safetensors.hpp"
#include "strobe/problem.hpp"

namespace strobe::testing {

/// One line of cases.txt.
struct OnnxRun {
  std::string name;      ///< of ONNX, without test_attention_; two runs may share it
  std::string text;      ///< the case
  std::string compared;  ///< "o", "scores" or "probabilities"
};

inline std::ostream& operator<<(std::ostream& out, const OnnxRun& run) {
  return out << run.name << " | " << run.text << " | " << run.compared;
}

inline std::vector<OnnxRun> onnx_runs() {
  constexpr const char* kBetween = " | ";
  std::ifstream file("data/onnx_attention/cases.txt");
  std::vector<OnnxRun> runs;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    const std::size_t first = line.find(kBetween);
    const std::size_t second = line.find(kBetween, first + 1);
    runs.push_back({line.substr(0, first), line.substr(first + 3, second - first - 3),
                    line.substr(second + 3)});
  }
  return runs;
}

/// All tensors, named "case/tensor".
inline const harness::TensorMap& onnx_tensors() {
  static const harness::TensorMap tensors =
      harness::read_safetensors("data/onnx_attention/cases.safetensors");
  return tensors;
}

/// A tensor of the run's case as it lies in the file; q, k, v and o with axes [batch, seqlen,
/// heads, dim] whatever the layout. Throws std::out_of_range where there is none.
inline harness::HostTensor onnx_tensor(const OnnxRun& run, const std::string& name) {
  harness::HostTensor tensor = onnx_tensors().at(run.name + "/" + name).clone();
  const bool in_layout = name == "q" || name == "k" || name == "v" || name == "o";
  if (in_layout && run.text.find("layout=bhsd") != std::string::npos) tensor.swap_axes(1, 2);
  return tensor;
}

/// Values that make o the probabilities: key j has 1 in dim j and 0 elsewhere.
inline harness::HostTensor identity_values(const Problem& problem) {
  const Shape shape{problem.batch, problem.seqlen_k, problem.num_heads_kv, problem.seqlen_k};
  harness::HostTensor v(problem.dtype, shape, harness::layout_strides(shape, problem.layout));
  for (std::int64_t b = 0; b < problem.batch; ++b)
    for (std::int64_t j = 0; j < problem.seqlen_k; ++j)
      for (std::int64_t h = 0; h < problem.num_heads_kv; ++h) v.set({b, j, h, j}, 1.0);
  return v;
}

/// What the run's case is computed from.
inline harness::TensorMap onnx_inputs(const OnnxRun& run, const Problem& problem) {
  harness::TensorMap inputs;
  for (const char* name : {"q", "k"}) inputs.emplace(name, onnx_tensor(run, name));
  inputs.emplace("v", run.compared == "o" ? onnx_tensor(run, "v") : identity_values(problem));
  for (const char* name : {"bias", "allowed"})
    if (run.text.find(std::string(" ") + name + "=") != std::string::npos)
      inputs.emplace(name, onnx_tensor(run, name));
  if (problem.storage == Storage::seqlens)
    for (const char* name : {"seqlens_q", "seqlens_k"})
      inputs.emplace(name, onnx_tensor(run, name));
  return inputs;
}

}  // namespace strobe::testing
