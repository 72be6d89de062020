// What a decode call is cut into, as a table; and that explain says all of it, of both kernels.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <ostream>
#include <string>

#include "plan/decision.hpp"
#include "plan/heuristics.hpp"
#include "strobe/strobe.hpp"

namespace strobe::test {
namespace {

using plan::Decision;

/// Every machine has it, and choices differ between instruction sets only where memory is short.
Decision decide(const std::string& text, int threads, int splits = 0) {
  return plan::decide(Problem::parse(text), cpu::Isa::portable,
                      {.threads = threads, .op = Op::decode, .splits = splits});
}

struct Asked {
  const char* text;
  int threads;
  int splits = 0;
};

/// A decode call of the kernel for few queries.
struct Cut {
  std::int64_t parts;     ///< of each sequence
  std::int64_t kv_heads;  ///< of a task
  std::int64_t tasks;
  std::int64_t busy;
  bool operator==(const Cut&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Cut& cut) {
  return out << cut.parts << " parts, " << cut.kv_heads << " heads a task, " << cut.tasks
             << " tasks, " << cut.busy << " busy";
}

Cut cut_of(const Asked& asked) {
  const Decision decision = decide(asked.text, asked.threads, asked.splits);
  const cpu::DecodeSizes& sizes = decision.call.sizes;
  const std::int64_t tasks = cpu::count_tasks(sizes, decision.call.cut);
  return {cpu::count_parts(cpu::count_leaves(sizes.seqlen_k), decision.call.cut),
          decision.call.cut.kv_heads, tasks, std::min<std::int64_t>(tasks, decision.threads)};
}

/// A leaf a task, and as few heads as give every thread four tasks.
TEST(DecodeChoice, CutsKeysThenHeads) {
  static constexpr struct {
    Asked asked;
    Cut cut;
  } kCuts[] = {
      {{"h1 q1 k100 d64", 8}, {1, 1, 1, 1}},
      {{"h1 q1 k0 d64", 8}, {1, 1, 1, 1}},
      {{"h1 q1 k1024 d64", 8}, {1, 1, 1, 1}},
      {{"h1 q1 k1025 d64", 8}, {2, 1, 2, 2}},
      {{"h32/8 q1 k65536 d128", 1}, {64, 8, 64, 1}},
      {{"h32/8 q1 k65536 d128", 16}, {64, 8, 64, 16}},
      {{"h32/8 q1 k65536 d128", 32}, {64, 4, 128, 32}},
      {{"h32/8 q1 k1024 d128", 1}, {1, 8, 1, 1}},
      {{"h32/8 q1 k1024 d128", 2}, {1, 1, 8, 2}},
      {{"h32/8 q1 k1024 d128", 16}, {1, 1, 8, 8}},
      {{"b3 h6/3 q1 k3000 d64", 3}, {3, 2, 18, 3}},
      {{"b64 h8 q1 k1000 d64", 8}, {1, 8, 64, 8}},
      {{"b64 h8 q16 k1000 d64", 8}, {1, 8, 64, 8}},
      {{"b0 h8 q1 k1000 d64", 8}, {1, 1, 0, 0}},
  };
  for (const auto& [asked, cut] : kCuts)
    EXPECT_EQ(cut_of(asked), cut) << asked.text << ", " << asked.threads << " threads";
}

TEST(DecodeChoice, MakesThePartsAskedForOrAsManyAsThereAreLeaves) {
  static constexpr struct {
    int splits;
    Cut cut;
  } kCuts[] = {{1, {1, 1, 8, 8}}, {2, {2, 1, 16, 8}}, {3, {3, 1, 24, 8}}, {100, {5, 1, 40, 8}}};
  for (const auto& [splits, cut] : kCuts)
    EXPECT_EQ(cut_of({"h32/8 q1 k5000 d128", 8, splits}), cut) << splits << " splits";
}

/// Tasks of shared pages reach every thread too: by fewer heads first, then by fewer sequences,
/// as many in each task.
TEST(DecodeChoice, SharesPagesAmongAsManyAsLeaveNoThreadIdle) {
  static constexpr struct {
    Asked asked;
    std::int64_t sequences, kv_heads, tasks;
  } kShared[] = {
      {{"b8 h8/1 q1 k4096 d64 page=16", 1}, 8, 1, 4},
      {{"b8 h8/1 q1 k4096 d64 page=16", 4}, 8, 1, 4},
      {{"b8 h8/1 q1 k4096 d64 page=16", 5}, 4, 1, 8},
      {{"b8 h8/1 q1 k4096 d64 page=16", 8}, 4, 1, 8},
      {{"b8 h8/1 q1 k4096 d64 page=16", 12}, 3, 1, 12},
      {{"b8 h8/1 q1 k4096 d64 page=16", 32}, 1, 1, 32},
      {{"b8 h8/1 q1 k4096 d64 page=16", 64}, 1, 1, 32},
      {{"b8 h8/1 q1 k4096 d64 page=16", 8, 1}, 1, 1, 8},
      {{"b8 h8/1 q1 k4096 d64", 8}, 1, 1, 32},  // no pages, nothing to share
      {{"b12 h8/1 q1 k4096 d64 page=16", 8}, 8, 1, 8},
      {{"b12 h8/1 q1 k4096 d64 page=16", 12}, 4, 1, 12},
      {{"b32 h32/8 q1 k4096 d128 page=16", 2}, 8, 8, 16},
      {{"b8 h64/8 q1 k4096 d64 page=16", 4}, 8, 8, 4},
      {{"b8 h64/8 q1 k4096 d64 page=16", 8}, 8, 4, 8},
      {{"b8 h64/8 q1 k4096 d64 page=16", 32}, 8, 1, 32},
      {{"b8 h64/8 q1 k4096 d64 page=16", 64}, 4, 1, 64},
      {{"b0 h8/1 q1 k4096 d64 page=16", 8}, 1, 1, 0},
      {{"h8/1 q1 k4096 d64 page=16", 8}, 1, 1, 4},
  };
  for (const auto& [asked, sequences, kv_heads, tasks] : kShared) {
    const cpu::DecodeCut cut = decide(asked.text, asked.threads, asked.splits).call.cut;
    const std::string what = std::string(asked.text) + ", " + std::to_string(asked.threads);
    EXPECT_EQ(cut.sequences, sequences) << what;
    EXPECT_EQ(cut.kv_heads, kv_heads) << what;
    EXPECT_EQ(plan::count_shared_tasks(Problem::parse(asked.text), cut), tasks) << what;
  }
}

/// The longest sequence decides, counting its queries, whatever the heads, keys and threads.
TEST(DecodeChoice, OfAKernelIsByQueriesAlone) {
  for (const char* rest : {" h1 k100 d64", " h64/1 k100000 d128 bf16", " b9 h4/2 k100 d8 page=16"})
    for (const std::int64_t queries : {0, 1, 15, 16, 17, 100}) {
      const std::string text = "q" + std::to_string(queries) + rest;
      const Decision decision = decide(text, 4);
      EXPECT_EQ(decision.kernel->decode != nullptr, queries <= plan::kFewQueries) << text;
      EXPECT_EQ(plan::few_queries(Problem::parse(text)), queries <= plan::kFewQueries) << text;
      EXPECT_EQ(decision.call.few, decision.kernel->decode);
      EXPECT_EQ(decision.call.tile, decision.kernel->forward);
    }
}

/// Tasks of some tiles of 8 queries, as the portable kernel has them, for each head.
TEST(DecodeChoice, GivesManyQueriesTilesForEveryThread) {
  static constexpr struct {
    Asked asked;
    int tiles;
    std::int64_t tasks;
  } kTiles[] = {
      {{"h1 q17 k4096 d64", 1}, 4, 1},         {{"h1 q17 k4096 d64", 8}, 1, 3},
      {{"h8 q17 k4096 d64", 8}, 2, 16},        {{"h8 q17 k4096 d64", 32}, 1, 24},
      {{"b4 h8/2 q100 k4096 d64", 8}, 16, 32}, {{"b4 h8/2 q100 k4096 d64", 32}, 4, 128},
      {{"h8/2 q512 k4096 d64", 8}, 16, 32},    {{"h8/2 q512 k4096 d64", 8, 7}, 16, 32},
  };
  for (const auto& [asked, tiles, tasks] : kTiles) {
    const Decision decision = decide(asked.text, asked.threads, asked.splits);
    ASSERT_NE(decision.kernel->forward, nullptr);
    ASSERT_EQ(decision.kernel->forward->tile_q, 8);
    EXPECT_EQ(decision.tiles, tiles) << asked.text << ", " << asked.threads;
    EXPECT_EQ(plan::count_tasks(Problem::parse(asked.text), *decision.kernel->forward, tiles),
              tasks)
        << asked.text << ", " << asked.threads;
  }
}

std::string explained(const char* text, int threads, int splits = 0) {
  return explain(
      Problem::parse(text),
      {.threads = threads, .backend = "cpu:portable", .op = Op::decode, .splits = splits});
}

void expect_lines(const std::string& text, std::initializer_list<const char*> lines) {
  for (const char* line : lines)
    EXPECT_NE(text.find(std::string("  ") + line + "\n"), std::string::npos) << line << "\n"
                                                                             << text;
}

TEST(DecodeChoice, IsExplainedForFewQueries) {
  expect_lines(
      explained("h32/8 q1 k5000 d128", 16, 2),
      {"because      1 query of a sequence; few are up to 16",
       "rows         4 for each pass over a key head",
       "splits       2 parts of up to 3 leaves of 1024 keys", "tasks        16 of 1 key head",
       "busy         16 of 16 threads; 8 if keys were not split"});
  expect_lines(
      explained("b8 h8/1 q16 k4096 d64 page=16", 8),
      {"because      16 queries of a sequence; few are up to 16",
       "shared pages read once for up to 4 sequences, by whole leaves; 8 tasks if all share"});
  expect_lines(explained("h2 q1 k0 d64", 3),
               {"splits       1 part of up to 1 leaf of 1024 keys", "tasks        2 of 1 key head",
                "busy         2 of 3 threads; 2 if keys were not split"});
}

/// Splits are of no use there, which explain says: nothing is ignored silently.
TEST(DecodeChoice, IsExplainedForManyQueries) {
  expect_lines(
      explained("h1 q17 k4096 d64", 8),
      {"because      17 queries of a sequence; few are up to 16", "tasks        3 for 8 threads",
       "splits       do not apply: a task is some queries over all of their keys",
       "busy         3 of 8 threads"});
  expect_lines(
      explained("h8 q512 k4096 d64", 8, 5),
      {"because      512 queries of a sequence; few are up to 16",
       "splits       do not apply, 5 asked for: a task is some queries over all of their keys",
       "busy         8 of 8 threads"});
}

TEST(DecodeChoice, OfForwardIsNotExplained) {
  const std::string text = explain(Problem::parse("h8 q512 d64"), {.threads = 8});
  for (const char* row : {"because", "splits", "busy"})
    EXPECT_EQ(text.find(std::string("\n  ") + row), std::string::npos) << text;
}

}  // namespace
}  // namespace strobe::test
