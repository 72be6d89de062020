// What sequences that share their first pages cost, by what they cost with pages of their own.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/program.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "harness/tensor_map.hpp"
#include "harness/timing.hpp"
#include "strobe/strobe.hpp"

namespace strobe::harness {
namespace {

/// A call that may be repeated.
class Step {
 public:
  Step(const Problem& problem, std::int64_t shared)
      : in_(drawn_decode_tensors(problem, {1, Values::normal})),
        out_(output_tensors(problem, in_)),
        plan_(problem, {.threads = 2, .op = Op::decode}),
        workspace_(plan_.workspace_bytes()) {
    HostTensor& table = in_.at("page_table");
    for (std::int64_t b = 1; b < problem.batch; ++b)
      for (std::int64_t i = 0; i < shared / problem.page_size; ++i)
        table.set({b, i}, table.get({0, i}));
  }
  void run() {
    plan_.run(decode_tensors(in_, out_), {.parallel = pool_.parallel(), .workspace = workspace_});
  }

 private:
  ThreadPool pool_{2};
  TensorMap in_, out_;
  Plan plan_;
  std::vector<std::byte> workspace_;
};

void print_table() {
  fmt::print("| {} | shared keys | own pages | shared | ratio |\n|---|---|---|---|---|\n",
             "32 sequences");
  for (const char* const text :
       {"b32 h32/8 q1 k4096 d128 bf16 page=16", "b32 h32/8 q1 k4096 d128 page=16"})
    for (const std::int64_t shared : {2048, 4096}) {
      const Problem problem = Problem::parse(text);
      Step own(problem, 0), together(problem, shared);
      const PairTiming pair =
          time_pairs([&] { together.run(); }, [&] { own.run(); }, {.seconds = 2});
      fmt::print("| `{}` | {} | {:.1f} ms | {:.1f} ms | {:.2f} |\n", text, shared,
                 1e3 * pair.second.median, 1e3 * pair.first.median, pair.ratio);
    }
}

}  // namespace
}  // namespace strobe::harness

int main() { return strobe::bench::print(strobe::harness::print_table); }
