// data/onnx_attention/ is whole: cases.txt, the tensors and docs/suites.md speak of the same cases.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <vector>

#include "tests/suites/onnx_runs.hpp"

namespace strobe {
namespace {

using testing::OnnxRun;

std::set<std::string> names_of_runs() {
  std::set<std::string> names;
  for (const OnnxRun& run : testing::onnx_runs()) names.insert(run.name);
  return names;
}

/// The sizes that "b,1,q,k" stands for.
Shape shape_of_axes(const std::string& axes, const Problem& problem) {
  const Shape full{problem.batch, problem.num_heads, problem.seqlen_q, problem.seqlen_k};
  Shape shape{1, 1, 1, 1};
  for (int axis = 0; axis < 4; ++axis) {
    const char letter = axes.at(static_cast<std::size_t>(2 * axis));
    EXPECT_TRUE(letter == '1' || letter == "bhqk"[axis]) << axes;
    if (letter != '1') shape[axis] = full[axis];
  }
  return shape;
}

void expect_tensor(const OnnxRun& run, const std::string& name, DType dtype, const Shape& shape) {
  const auto found = testing::onnx_tensors().find(run.name + "/" + name);
  ASSERT_NE(found, testing::onnx_tensors().end()) << name;
  EXPECT_EQ(found->second.dtype(), dtype) << name;
  EXPECT_EQ(testing::onnx_tensor(run, name).shape(), shape) << name;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(OnnxData, HasTheTensorsOfEveryRun) {
  for (const OnnxRun& run : testing::onnx_runs()) {
    SCOPED_TRACE(::testing::PrintToString(run));
    const Problem p = Problem::parse(run.text);
    expect_tensor(run, "q", p.dtype, {p.batch, p.seqlen_q, p.num_heads, p.head_dim});
    expect_tensor(run, "k", p.dtype, {p.batch, p.seqlen_k, p.num_heads_kv, p.head_dim});
    if (run.compared == "o") {
      expect_tensor(run, "v", p.dtype, {p.batch, p.seqlen_k, p.num_heads_kv, p.head_dim_v});
      expect_tensor(run, "o", p.dtype, {p.batch, p.seqlen_q, p.num_heads, p.head_dim_v});
    } else {
      EXPECT_TRUE(run.compared == "scores" || run.compared == "probabilities");
      EXPECT_EQ(p.head_dim_v, p.seqlen_k) << "v is the identity";
      expect_tensor(run, "qk", p.dtype, {p.batch, p.num_heads, p.seqlen_q, p.seqlen_k});
    }
    for (const std::string& word : words_of(run.text)) {
      const std::string name = word.substr(0, word.find('='));
      if (name != "bias" && name != "allowed") continue;
      expect_tensor(run, name, name == "bias" ? p.dtype : DType::boolean,
                    shape_of_axes(word.substr(name.size() + 1), p));
    }
    if (p.storage == Storage::seqlens)
      for (const char* name : {"seqlens_q", "seqlens_k"})
        expect_tensor(run, name, DType::i32, {p.batch});
  }
}

TEST(OnnxData, HasARunForEveryTensor) {
  std::set<std::string> names, shown;
  for (const auto& entry : testing::onnx_tensors()) {
    names.insert(entry.first.substr(0, entry.first.find('/')));
    if (entry.first.ends_with("/qk")) shown.insert(entry.first.substr(0, entry.first.find('/')));
  }
  EXPECT_EQ(names, names_of_runs());
  EXPECT_EQ(names.size(), 64u) << "the node tests of onnx 1.22.0";
  for (const OnnxRun& run : testing::onnx_runs())
    if (run.compared != "o") shown.erase(run.name);
  EXPECT_TRUE(shown.empty()) << "a qk that no run compares: " << *shown.begin();
}

TEST(OnnxData, StandsInTheDocument) {
  std::ifstream file("docs/suites.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  for (const std::string& name : names_of_runs())
    EXPECT_NE(document.find("`" + name + "`"), std::string::npos) << name;
}

}  // namespace
}  // namespace strobe
