// Lists of cases that belong together, for strobe bench --suite.
// SPDX-License-Identifier: Apache-2.0
#include "suites.hpp"

#include <fmt/core.h>

#include <array>
#include <cstdint>

#include "messages.hpp"

namespace strobe::tool {
namespace {

std::vector<SuiteCase> prefill() {
  constexpr std::array shapes{"h8 q4096 d{} layout=bhsd",
                              "h8 q16384 d{} layout=bhsd",
                              "h8 q4096 d{} causal layout=bhsd",
                              "b4 h8 q1024 d{} layout=bhsd",
                              "b4 h8 q1024 d{} causal layout=bhsd",
                              "b4 h8 q1024 d{}",
                              "b4 h8 q1024 d{} causal",
                              "h8 q4096 d{}",
                              "h8 q4096 d{} causal",
                              "h8/2 q4096 d{}",
                              "h8/2 q4096 d{} causal",
                              "h8 q4096 d{} bf16",
                              "h8 q4096 d{} bf16 causal"};
  std::vector<SuiteCase> cases;
  for (const char* shape : shapes) {
    for (const int head_dim : {64, 128}) {
      cases.push_back({.text = fmt::format(fmt::runtime(shape), head_dim)});
    }
  }
  return cases;
}

std::vector<SuiteCase> models() {
  return {{"h12 q1024 d64 causal", "GPT-2"},
          {"h16 q2048 d256 causal", "GPT-J"},
          {"h32/8 q4096 d128 bf16 causal", "Llama, grouped heads"},
          {"h32/8 q4096 d128 causal", "Llama, grouped heads"},
          {"h8 q4096 d40", "Stable Diffusion 1, 64 x 64"},
          {"h8 q4096 k77 d40", "Stable Diffusion 1, 64 x 64, text"},
          {"h8 q1024 d80", "Stable Diffusion 1, 32 x 32"},
          {"h8 q1024 k77 d80", "Stable Diffusion 1, 32 x 32, text"},
          {"h8 q256 d160", "Stable Diffusion 1, 16 x 16"},
          {"h8 q256 k77 d160", "Stable Diffusion 1, 16 x 16, text"},
          {"b8 h12 q197 d64", "ViT-B"}};
}

/// splitmix64: the same draws on every machine.
class Draws {
 public:
  /// Evenly from first to last, both included.
  std::int64_t between(std::int64_t first, std::int64_t last) {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    return first + static_cast<std::int64_t>(mixed % static_cast<std::uint64_t>(last - first + 1));
  }

 private:
  std::uint64_t state_ = 20;
};

/// Lengths of a few hundred to a few thousand, so that the time is that of tiles and not of
/// starting threads; head dims around those of the table that the shares are compared with.
std::vector<SuiteCase> odd() {
  constexpr int kCases = 20;
  Draws draws;
  std::vector<SuiteCase> cases;
  for (int i = 0; i < kCases; ++i) {
    const std::int64_t batch = draws.between(1, 3);
    const std::int64_t heads_kv = draws.between(1, 4);
    const std::int64_t heads = heads_kv * draws.between(1, 3);
    const std::int64_t seqlen_q = draws.between(700, 3500);
    const std::int64_t seqlen_k = draws.between(700, 3500);
    const std::int64_t head_dim = draws.between(48, 160);
    const std::int64_t head_dim_v = i % 3 == 2 ? draws.between(48, 160) : head_dim;
    cases.push_back({.text = fmt::format("b{} h{}/{} q{} k{} d{}/{}{}{}", batch, heads, heads_kv,
                                         seqlen_q, seqlen_k, head_dim, head_dim_v,
                                         i % 2 == 1 ? " bf16" : "", i % 4 >= 2 ? " causal" : "")});
  }
  return cases;
}

struct Option {
  const char* words;
  const char* base = "";  ///< words of the case that it is relative to
  harness::Values values = harness::Values::normal;
};

/// What each option costs at 4096 queries and keys, in f32, bf16 and f16.
std::vector<SuiteCase> options() {
  constexpr std::array all{Option{"bias=1,1,q,k"},
                           Option{"bias=1,h,q,k"},
                           Option{"softcap=30"},
                           Option{"alibi"},
                           Option{"sink_logits"},
                           Option{"dropout=0.1"},
                           Option{"allowed=1,1,q,k"},
                           Option{"intervals=full"},
                           Option{"sink_tokens=4"},
                           Option{"causal window=1023,-1 sink_tokens=4", "causal window=1023,-1"},
                           Option{"blocks=64"},
                           Option{"blocks=128"},
                           Option{"causal"},
                           Option{"", "", harness::Values::rising}};
  std::vector<SuiteCase> cases;
  for (const char* type : {"", " bf16", " f16"}) {
    for (const int head_dim : {64, 128}) {
      const auto with = [&](const std::string& words) {
        return fmt::format("h8 q4096 d{}{}{}{}", head_dim, type, words.empty() ? "" : " ", words);
      };
      for (const Option& option : all) {
        cases.push_back({.text = with(option.words),
                         .values = option.values,
                         .relative_to = with(option.base)});
      }
    }
  }
  return cases;
}

/// Shapes of one step over a long cache, in every type.
void add_long_caches(std::vector<SuiteCase>& cases) {
  struct Shape {
    const char* sizes;
    const char* label;
  };
  constexpr std::array shapes{Shape{"h32/8 q1 k65536 d128", "Llama 3 8B"},
                              Shape{"h32 q1 k65536 d128", "a key head for each query head"},
                              Shape{"h32/4 q1 k65536 d128", "groups of 8"},
                              Shape{"h8/1 q1 k131072 d128", "one key head"}};
  for (const char* type : {"", " bf16", " f16"})
    for (const Shape& shape : shapes)
      cases.push_back({.text = std::string(shape.sizes) + type, .label = shape.label});
}

/// As many tokens in all, cut into sequences of every length.
void add_constant_total(std::vector<SuiteCase>& cases) {
  struct Model {
    const char* heads;
    const char* label;
  };
  for (const Model& model : {Model{"h16/2", "constant total"}, Model{"h64/8", "CodeLlama-34B"}})
    for (int batch = 256, keys = 512; batch >= 1; batch /= 4, keys *= 4)
      cases.push_back({.text = fmt::format("b{} {} q1 k{} d128 bf16", batch, model.heads, keys),
                       .label = model.label});
}

std::vector<SuiteCase> decode() {
  std::vector<SuiteCase> cases;
  add_long_caches(cases);
  for (const char* page : {"page=16", "page=1"})
    cases.push_back({.text = fmt::format("h32/8 q1 k65536 d128 bf16 {}", page), .label = "paged"});
  cases.push_back({.text = "h32/8 q1 k65536 d128 bf16 kv=int8", .label = "codes"});
  cases.push_back({.text = "h8 q1 k65536 d128 bf16", .label = "beside the next"});
  cases.push_back({.text = "h8 q1 k65536 d128 bf16 kv=int8", .label = "codes"});
  cases.push_back(
      {.text = "h32/8 q1 k512 d128 bf16", .label = "short, in the machine's caches", .hot = true});
  add_constant_total(cases);
  const std::vector<SuiteCase> rest{
      {.text = "b32 h32/8 q1 k65536 d128 bf16 seqlens", .label = "ragged"},
      {.text = "h32/8 q4 k65536 d128 bf16 causal", .label = "drafted tokens"},
      {.text = "h32/8 q16 k65536 d128 bf16 causal", .label = "drafted tokens"},
      {.text = "h32/8 q1 k65536 d128 bf16 append rotary=128", .label = "append, rotary"},
      {.text = "h32/8 q1 k65536 d128 bf16 page=16 append rotary=128", .label = "append, rotary"}};
  cases.insert(cases.end(), rest.begin(), rest.end());
  return cases;
}

struct Suite {
  const char* name;
  std::vector<SuiteCase> (*cases)();
  Op op = Op::forward;
};

constexpr std::array kSuites{Suite{"prefill", prefill}, Suite{"models", models}, Suite{"odd", odd},
                             Suite{"options", options}, Suite{"decode", decode, Op::decode}};

const Suite& find_suite(const std::string& name) {
  for (const Suite& suite : kSuites) {
    if (name == suite.name) return suite;
  }
  fail("bench-suite", fmt::format("--suite {}: no such suite; accepted: {}", name, suite_names()));
}

}  // namespace

std::vector<SuiteCase> suite_cases(const std::string& name) { return find_suite(name).cases(); }

Op suite_op(const std::string& name) { return find_suite(name).op; }

std::string suite_names() {
  std::string names;
  for (const Suite& suite : kSuites) names += (names.empty() ? "" : ", ") + std::string(suite.name);
  return names;
}

}  // namespace strobe::tool
