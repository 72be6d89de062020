// NaN, Inf and nonsense in every kind of memory that may not matter, whatever the options.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "api/validate.hpp"
#include "semantics/score_rule.hpp"
#include "tests/support/random_problem.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Draw;
using testing::Seeds;

constexpr double kGarbage[] = {std::numeric_limits<double>::quiet_NaN(),
                               std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity()};

/// Calls body(index) for every element.
template <class Body>
void for_each_index(const Shape& shape, Body body) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  for (std::int64_t i = 0; i < count; ++i) {
    Shape index = shape;
    std::int64_t rest = i;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      index[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    body(index);
  }
}

/// The same values with gaps behind every row of the last axis and between all others. The gaps
/// hold NaN; in tensors of integers -1.
HostTensor with_gaps(const HostTensor& tensor) {
  Shape roomy = tensor.shape();
  for (int axis = 1; axis < roomy.rank(); ++axis) roomy[axis] += axis + 1;
  HostTensor copy(tensor.dtype(), tensor.shape(), roomy.contiguous_strides());
  copy.fill_bytes(std::byte{0xff});
  for_each_index(tensor.shape(), [&](const Shape& at) { copy.set(at, tensor.get(at)); });
  return copy;
}

/// Which rows of q, k and v and which entries of pair tensors some visible pair reads.
class Used {
 public:
  Used(const ForwardParams& p, const TensorMap& in) : p_(p), packed_(in.at("q").rank() == 3) {
    for (const auto& [name, tensor] : in) used_[name].resize(count(tensor));
    for (std::int64_t b = 0; b < p.batch; ++b) {
      const Sequence s = sequence(p, b);
      for (std::int64_t head = 0; head < p.num_heads; ++head)
        for (std::int64_t row = 0; row < s.lengths.q; ++row) mark_row(in, s, head, row);
    }
  }
  /// Does a result depend on this element?
  bool operator()(const std::string& name, const HostTensor& tensor, const Shape& at) const {
    return used_.at(name)[place(tensor, at)];
  }

 private:
  static std::size_t count(const HostTensor& tensor) {
    return static_cast<std::size_t>(tensor.elements());
  }
  static std::size_t place(const HostTensor& tensor, const Shape& at) {
    std::int64_t offset = 0;
    for (int axis = 0; axis < tensor.rank(); ++axis)
      offset = offset * tensor.shape()[axis] + at[axis];
    return static_cast<std::size_t>(offset);
  }
  void mark(const TensorMap& in, const char* name, Shape at) {
    const auto found = in.find(name);
    if (found == in.end()) return;
    const HostTensor& tensor = found->second;
    for (int axis = 0; axis < tensor.rank(); ++axis)
      if (tensor.shape()[axis] == 1) at[axis] = 0;  // broadcast
    used_.at(name)[place(tensor, at)] = true;
  }
  void mark_vector(const TensorMap& in, const char* name, std::int64_t b, std::int64_t row,
                   std::int64_t head) {
    const Shape& shape = in.at(name).shape();
    for (std::int64_t d = 0; d < shape[shape.rank() - 1]; ++d)
      mark(in, name, packed_ ? Shape{row, head, d} : Shape{b, row, head, d});
  }
  void mark_row(const TensorMap& in, const Sequence& s, std::int64_t head, std::int64_t row) {
    mark_vector(in, "q", s.batch, s.first_q + row, head);
    mark(in, "key_begin", {s.index, head, row});
    mark(in, "key_end", {s.index, head, row});
    const Keys keys = row_keys(p_, s, head, row);
    ForwardParams without_bias = p_;
    without_bias.bias = {};
    for (std::int64_t key = 0; key < s.lengths.k; ++key) {
      if (!keys.contains(key)) continue;
      mark(in, "allowed", {s.index, head, row, key});
      if (p_.blocks.given())
        mark(in, "blocks", {s.index, head, row / p_.mask.block_q, key / p_.mask.block_k});
      if (!pair_visible(without_bias, {s, head, row, key})) continue;
      mark(in, "bias", {s.index, head, row, key});
      if (!pair_visible(p_, {s, head, row, key})) continue;
      for (const char* const name : {"k", "v"})
        mark_vector(in, name, s.batch, s.first_k + key, p_.kv_head(head));
    }
  }

  const ForwardParams& p_;
  bool packed_;
  std::map<std::string, std::vector<bool>> used_{};
};

/// Puts into every unused element what its type has to offer. Returns how many there were.
std::int64_t plant(TensorMap& in, const Used& used) {
  std::int64_t planted = 0;
  for (const char* const name :
       {"q", "k", "v", "bias", "allowed", "blocks", "key_begin", "key_end"}) {
    const auto found = in.find(name);
    if (found == in.end()) continue;
    HostTensor& tensor = found->second;
    for_each_index(tensor.shape(), [&](const Shape& at) {
      if (used(name, tensor, at)) return;
      ++planted;
      if (tensor.dtype() == DType::i32)
        tensor.set(at, planted % 2 == 0 ? std::numeric_limits<std::int32_t>::min()
                                        : std::numeric_limits<std::int32_t>::max());
      else if (tensor.dtype() == DType::boolean)
        tensor.set(at, 1.0 - tensor.get(at));
      else
        tensor.set(at, kGarbage[planted % 3]);
    });
  }
  return planted;
}

class UnseenMemory : public testing::OnBackend {};

TEST_P(UnseenMemory, NeverTouchesAResult) {
  Seeds seeds(25);
  std::int64_t planted = 0;
  while (const auto seed = seeds.next()) {
    Draw draw(*seed ^ 0x756e7365);  // problems of its own
    Problem problem = testing::random_problem(draw);
    problem.seqlen_q %= 200;
    problem.seqlen_k %= 300;
    TensorMap in = harness::random_tensors(problem, *seed);
    testing::Outcome clean = testing::run(problem, in, backend(), 2);
    const ForwardTensors tensors = harness::forward_tensors(in, clean.out);
    const ForwardParams params = api::forward_params(tensors, problem);
    TensorMap dirty_in;
    for (const auto& [name, tensor] : in)
      dirty_in.emplace(name, tensor.rank() == 1 ? tensor.clone() : with_gaps(tensor));
    planted += plant(dirty_in, Used(params, in));
    const testing::Outcome dirty = testing::run(problem, dirty_in, backend(), 2);
    ASSERT_TRUE(testing::same_bits(dirty, clean))
        << problem.to_string() << " on " << backend() << ", seed " << *seed
        << ": a result depends on memory that no pair sees";
  }
  EXPECT_GT(planted, 1000);
}

STROBE_ON_BACKENDS(UnseenMemory);

}  // namespace
}  // namespace strobe
