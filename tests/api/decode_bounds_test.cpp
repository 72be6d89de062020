// A decode call touches no byte outside its tensors and its workspace, and writes nothing but
// results and new keys: every tensor lies against a page that nobody may touch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#if defined(__unix__)
#  include <algorithm>
#  include <cstring>
#  include <map>
#  include <memory>
#  include <set>
#  include <string>
#  include <vector>

#  include "harness/random_cache.hpp"
#  include "tests/support/run.hpp"
#  include "walled.hpp"

namespace strobe::test {
namespace {

using harness::HostTensor;
using harness::TensorMap;

/// Pages that each sequence has keys in after the call.
std::vector<std::int64_t> pages_in_use(const Problem& problem, const TensorMap& in) {
  std::vector<std::int64_t> used;
  for (std::int64_t b = 0; b < problem.batch; ++b) {
    const auto at = static_cast<std::size_t>(b);
    std::int64_t keys = in.at("cache_seqlens").as<std::int32_t>()[at];
    keys += in.contains("seqlens_new") ? in.at("seqlens_new").as<std::int32_t>()[at]
                                       : problem.seqlen_new;
    used.push_back((keys + problem.page_size - 1) / problem.page_size);
  }
  return used;
}

/// All sequences begin with the full pages of the first that none of them writes to.
void share_pages(const Problem& problem, TensorMap& in) {
  const auto* const lengths = in.at("cache_seqlens").as<std::int32_t>();
  const std::int64_t shared = *std::min_element(lengths, lengths + problem.batch);
  HostTensor& table = in.at("page_table");
  for (std::int64_t b = 1; b < problem.batch; ++b)
    for (std::int64_t i = 0; i < shared / problem.page_size; ++i)
      table.set({b, i}, table.get({0, i}));
}

/// The pages `from` of a tensor [pages, ...], in this order.
HostTensor picked(const HostTensor& tensor, const std::vector<std::int64_t>& from) {
  const auto bytes = static_cast<std::size_t>(tensor.bytes() / tensor.shape()[0]);
  Shape shape = tensor.shape();
  shape[0] = static_cast<std::int64_t>(from.size());
  HostTensor to(tensor.dtype(), shape);
  for (std::size_t page = 0; page < from.size(); ++page)
    std::memcpy(to.data() + page * bytes,
                tensor.data() + static_cast<std::size_t>(from[page]) * bytes, bytes);
  return to;
}

/// No page is left that holds no key, and the last one is the last sequence's: reads beyond its
/// keys are reads beyond the tensor. No entry of the table is left that nobody needs.
void leave_used_pages(const Problem& problem, TensorMap& in) {
  const std::vector<std::int64_t> used = pages_in_use(problem, in);
  const HostTensor& old = in.at("page_table");
  HostTensor table(DType::i32, {problem.batch, std::ranges::max(used)});
  std::map<std::int64_t, std::int64_t> renamed;
  std::vector<std::int64_t> order;
  for (std::int64_t b = 0; b < problem.batch; ++b)
    for (std::int64_t i = 0; i < table.shape()[1]; ++i) {
      const auto page = static_cast<std::int64_t>(old.get({b, i}));
      const bool is_used = i < used[static_cast<std::size_t>(b)];
      if (is_used && renamed.emplace(page, renamed.size()).second) order.push_back(page);
      table.set({b, i}, is_used ? static_cast<double>(renamed.at(page)) : -1);
    }
  in.at("page_table") = std::move(table);
  for (const char* const name : {"k_cache", "v_cache", "k_scale", "v_scale"})
    if (in.contains(name) && in.at(name).rank() > 1) in.at(name) = picked(in.at(name), order);
}

struct Case {
  const char* text;
  bool shared = false;
};

TensorMap inputs(const Case& c) {
  const Problem problem = Problem::parse(c.text);
  TensorMap in = harness::drawn_decode_tensors(problem, 5);
  if (c.shared) share_pages(problem, in);
  if (problem.page_size > 0) leave_used_pages(problem, in);
  return in;
}

/// A call whose tensors all lie between walls; those that it only reads are read-only.
class WalledDecode {
 public:
  WalledDecode(const Case& c, Against against)
      : in_(inputs(c)),
        out_(harness::output_tensors(Problem::parse(c.text), in_)),
        tensors_(harness::decode_tensors(in_, out_)) {
    std::map<const void*, std::byte*> moved;
    for (const TensorMap* const map : {&in_, &out_})
      for (const auto& [name, tensor] : *map) moved[tensor.data()] = move_in(name, tensor, against);
    const auto follow = [&](auto& view) {
      if (view.data != nullptr) view.data = moved.at(view.data);
    };
    KvCache& cache = tensors_.cache;
    for (TensorView* const view : {&tensors_.o, &tensors_.lse, &cache.k_cache, &cache.v_cache,
                                   &cache.k_scale, &cache.v_scale})
      follow(*view);
    for (ConstTensorView* const view :
         {&tensors_.q, &tensors_.k, &tensors_.v, &tensors_.seqlens_q, &tensors_.seqlens_new,
          &cache.page_table, &cache.cache_seqlens, &cache.cache_batch_idx, &cache.leftpad_k})
      follow(*view);
    const bool grows = tensors_.k.given();
    for (const auto& [name, wall] : walls_)
      if (in_.contains(name) && !(grows && kGrowing.contains(name))) wall->make_read_only();
  }

  const DecodeTensors& tensors() const { return tensors_; }
  /// Results, and the cache with its new keys.
  bool same_bits(const TensorMap& inputs, const testing::Outcome& outcome) const {
    return std::ranges::all_of(walls_, [&](const auto& wall) {
      const HostTensor& want = (inputs.contains(wall.first) ? inputs : outcome.out).at(wall.first);
      return std::memcmp(wall.second->data(), want.data(),
                         static_cast<std::size_t>(want.bytes())) == 0;
    });
  }

 private:
  inline static const std::set<std::string> kGrowing{"k_cache", "v_cache", "k_scale", "v_scale"};

  std::byte* move_in(const std::string& name, const HostTensor& tensor, Against against) {
    const auto bytes = static_cast<std::size_t>(tensor.bytes());
    auto wall = std::make_unique<Walled>(bytes, against);
    std::memcpy(wall->data(), tensor.data(), bytes);
    return (walls_[name] = std::move(wall))->data();
  }

  TensorMap in_, out_;
  DecodeTensors tensors_;
  std::map<std::string, std::unique_ptr<Walled>> walls_;
};

class DecodeBounds : public testing::OnBackend {
 protected:
  void expect_nothing_outside_is_touched(const Case& c) {
    const Problem problem = Problem::parse(c.text);
    const PlanOptions options{.threads = 2, .backend = backend(), .op = Op::decode};
    TensorMap in = inputs(c);
    const testing::Outcome expected = testing::decode(problem, in, options);
    const Plan plan(problem, options);
    for (const Against against : {Against::page_before, Against::page_after}) {
      const WalledDecode call(c, against);
      const Walled workspace(plan.workspace_bytes(), against);
      plan.run(call.tensors(), {.workspace = {workspace.data(), plan.workspace_bytes()}});
      EXPECT_TRUE(call.same_bits(in, expected)) << c.text;
    }
  }
};

TEST_P(DecodeBounds, OfEntries) {
  for (const char* const text :
       {"h1 q1 k1 d1", "b2 h4/2 q1 k37 d40/24 causal append", "h2 q3 k130 d257/1 causal",
        "b2 h4/2 q1 k2100 d64 bf16 causal append rotary=32",
        "b2 h2 q2 k70 d33 f16 batch_idx append", "b3 h4/1 q1 k300 d80 bf16 seqlens leftpad append",
        "h2 q70 k200 d40/24 causal append", "b2 h2 q1 k65 d24 f64 append rotary=24,interleaved",
        "h4 q1 k513 d96 bf16 causal window=99,0"})
    expect_nothing_outside_is_touched({text});
}

TEST_P(DecodeBounds, OfPages) {
  for (const char* const text :
       {"h1 q1 k3 d1 page=1", "b2 h4/2 q3 k64 d64 bf16 page=16 causal append rotary=64",
        "b3 h4/1 q1 k333 d33/17 page=1", "b2 h4/2 q1 k130 d80 f16 page=128 append leftpad",
        "b4 h4/2 q1 k300 d64 bf16 seqlens page=32 append", "h2 q70 k200 d40/24 page=8 append",
        "b2 h2 q1 k1040 d24 f64 page=16 append"})
    expect_nothing_outside_is_touched({text});
}

TEST_P(DecodeBounds, OfSharedPages) {
  for (const char* const text :
       {"b3 h4/2 q1 k2080 d64 page=32 append", "b5 h8/2 q1 k2061 d33/40 bf16 page=16 append",
        "b2 h2 q2 k2080 d64 bf16 kv=int8:token page=32 append rotary=64"})
    expect_nothing_outside_is_touched({text, true});
}

TEST_P(DecodeBounds, OfCodes) {
  for (const char* const text :
       {"b2 h4/2 q1 k257 d64 bf16 kv=int8:token append", "h1 q1 k1 d1 kv=int8:token",
        "b2 h8/2 q1 k2064 d128 bf16 kv=int8:token page=16 append rotary=128",
        "b2 h4/2 q1 k131 d33/17 bf16 kv=int8:token",
        "h4/2 q2 k96 d66/34 kv=int4:token page=16 append",
        "b2 h4/2 q1 k199 d2 bf16 kv=int4:token append rotary=2",
        "b2 h4/2 q1 k200 d40 f16 kv=e4m3:token append",
        "b2 h4/2 q3 k77 d33 bf16 kv=e4m3:token page=4 append",
        "h2 q1 k65 d70 f16 kv=int4:group append",
        "b2 h2 q70 k150 d64 bf16 kv=int8:token page=16 append", "h2 q1 k129 d80 bf16 kv=int8:head"})
    expect_nothing_outside_is_touched({text});
}

STROBE_ON_BACKENDS(DecodeBounds);

}  // namespace
}  // namespace strobe::test
#endif
