// A ragged batch, one long sequence among short ones: how busy each thread is, and what the step
// takes by one of as many keys in sequences of equal length.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "bench/program.hpp"
#include "harness/busy.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "harness/team.hpp"
#include "harness/tensor_map.hpp"
#include "harness/timing.hpp"
#include "strobe/strobe.hpp"

namespace strobe::harness {
namespace {

constexpr int kThreads = 2;
constexpr std::int64_t kPage = 16, kEven = 2544, kLong = 65536, kShort = 500;

/// The pages of 32 equal sequences, given to one long and 31 short ones.
void make_ragged(Problem& problem, TensorMap& in) {
  problem.seqlen_k = kLong;
  HostTensor table(DType::i32, {problem.batch, kLong / kPage});
  std::int64_t page = 0;
  for (std::int64_t b = 0; b < problem.batch; ++b) {
    const std::int64_t keys = b == 0 ? kLong : kShort;
    in.at("cache_seqlens").set({b}, static_cast<double>(keys));
    for (std::int64_t i = 0; i * kPage < keys; ++i) table.set({b, i}, static_cast<double>(page++));
  }
  in.at("page_table") = std::move(table);
}

/// A call that may be repeated.
class Step {
 public:
  Step(Problem problem, bool ragged) : in_(drawn_decode_tensors(problem, {1, Values::normal})) {
    if (ragged) make_ragged(problem, in_);
    out_ = output_tensors(problem, in_);
    plan_.emplace(problem, PlanOptions{.threads = kThreads, .op = Op::decode});
    workspace_.resize(plan_->workspace_bytes());
  }
  void run() {
    meter_.run([&] {
      plan_->run(decode_tensors(in_, out_),
                 {.parallel = meter_.parallel(), .workspace = workspace_});
    });
  }
  std::vector<double> shares() const { return meter_.shares(); }

 private:
  ThreadPool pool_{kThreads};
  BusyMeter meter_{team_of(pool_)};
  TensorMap in_, out_;
  std::optional<Plan> plan_;
  std::vector<std::byte> workspace_;
};

void print_table() {
  fmt::print("| one of {} keys, 31 of {} | time | by 32 of {} keys | busy |\n|---|---|---|---|\n",
             kLong, kShort, kEven);
  for (const char* const text : {"h32/8 q1 d128 bf16", "h8/1 q1 d128 bf16", "h32/8 q1 d128"}) {
    const Problem problem = Problem::parse(fmt::format("b32 k{} page={} {}", kEven, kPage, text));
    Step ragged(problem, true), even(problem, false);
    const PairTiming pair = time_pairs([&] { ragged.run(); }, [&] { even.run(); }, {.seconds = 2});
    const std::vector<double> busy = ragged.shares();
    fmt::print("| `b32 {}` | {:.2f} ms | {:.2f} | {:.2f}, {:.2f} |\n", text,
               1e3 * pair.first.median, pair.ratio, busy[0], busy[1]);
  }
}

}  // namespace
}  // namespace strobe::harness

int main() { return strobe::bench::print(strobe::harness::print_table); }
