// Laws of masks that helpers build: one call with them gives what other calls give without.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Outcome;
using Numbers = std::vector<std::int32_t>;

/// `fill(key_begin, key_end, head)` for each of `heads`, as the tensors of a problem.
void add_intervals(TensorMap& in, std::int64_t heads, std::int64_t queries,
                   const std::function<void(std::span<int>, std::span<int>, std::int64_t)>& fill) {
  HostTensor begin(DType::i32, {1, heads, queries}), end(DType::i32, {1, heads, queries});
  const auto count = static_cast<std::size_t>(queries);
  for (std::int64_t head = 0; head < heads; ++head)
    fill({begin.as<std::int32_t>() + head * queries, count},
         {end.as<std::int32_t>() + head * queries, count}, head);
  in.insert_or_assign("key_begin", std::move(begin));
  in.insert_or_assign("key_end", std::move(end));
}

/// Rows of `from`, [1, seqlen, heads, dim], in another order.
HostTensor rows_of(const HostTensor& from, const Numbers& rows) {
  const Shape& shape = from.shape();
  HostTensor to(from.dtype(), {1, static_cast<std::int64_t>(rows.size()), shape[2], shape[3]});
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (std::int64_t head = 0; head < shape[2]; ++head)
      for (std::int64_t dim = 0; dim < shape[3]; ++dim)
        to.set({0, static_cast<std::int64_t>(row), head, dim}, from.get({0, rows[row], head, dim}));
  return to;
}

/// Largest difference between a row of one result and a row of another, o and lse.
double row_distance(const Outcome& a, std::int64_t row_a, const Outcome& b, std::int64_t row_b) {
  double largest = 0;
  for (std::int64_t head = 0; head < a.lse().shape()[1]; ++head) {
    largest = std::max(largest, std::abs(a.lse_at(0, head, row_a) - b.lse_at(0, head, row_b)));
    for (std::int64_t dim = 0; dim < a.o().shape()[3]; ++dim)
      largest =
          std::max(largest, std::abs(a.o_at(0, row_a, head, dim) - b.o_at(0, row_b, head, dim)));
  }
  return largest;
}

class HelperLaws : public testing::OnBackend {
 protected:
  /// Runs a problem of one sequence on rows of other tensors.
  Outcome run_rows(const std::string& options, const TensorMap& in, const Numbers& q,
                   const Numbers& k) const {
    const HostTensor& full = in.at("q");
    const Problem problem = Problem::parse(
        "h" + std::to_string(full.shape()[2]) + "/" + std::to_string(in.at("k").shape()[2]) + " q" +
        std::to_string(q.size()) + " k" + std::to_string(k.size()) + " d" +
        std::to_string(full.shape()[3]) + " " + options);
    TensorMap some;
    some.emplace("q", rows_of(full, q));
    some.emplace("k", rows_of(in.at("k"), k));
    some.emplace("v", rows_of(in.at("v"), k));
    return testing::run(problem, some, backend());
  }
};

Numbers range(std::int32_t begin, std::int32_t end) {
  Numbers numbers;
  for (std::int32_t n = begin; n < end; ++n) numbers.push_back(n);
  return numbers;
}

/// Documents in one sequence, a call for each of them alone, and the packed call.
TEST_P(HelperLaws, DocumentsAreCallsOfTheirOwn) {
  const Numbers cu_seqlens{0, 130, 131, 131, 620, 700};
  for (const std::string options : {"", "causal", "causal window=90,-1 sink_tokens=3", "bf16"}) {
    const std::string text = "h4/2 q700 d40 " + options;
    TensorMap in = harness::random_tensors(Problem::parse(text), 3);
    add_intervals(in, 1, 700, [&](auto begin, auto end, auto) {
      KeyIntervals(begin, end, 700).documents(cu_seqlens);
    });
    const double most = options == "bf16" ? 0.02 : 4e-6;
    const Outcome joined = testing::run(Problem::parse(text + " intervals"), in, backend());
    for (std::size_t d = 0; d + 1 < cu_seqlens.size(); ++d) {
      const Numbers rows = range(cu_seqlens[d], cu_seqlens[d + 1]);
      const Outcome alone = run_rows(options, in, rows, rows);
      for (std::size_t row = 0; row < rows.size(); ++row)
        ASSERT_LE(row_distance(joined, rows[row], alone, static_cast<std::int64_t>(row)), most)
            << options << " document " << d << " row " << row;
    }
  }
}

/// Packed storage names documents too: cu_seqlens instead of intervals.
TEST_P(HelperLaws, DocumentsAreAPackedBatch) {
  Problem packed = Problem::parse("b5 h2 q489 d40 causal varlen");
  TensorMap in_packed = harness::random_tensors(packed, 3);
  const HostTensor& cu = in_packed.at("cu_seqlens_q");
  const std::int64_t total = in_packed.at("q").shape()[0];
  const Problem problem = Problem::parse("h2 d40 causal intervals q" + std::to_string(total));
  TensorMap in;
  for (const char* name : {"q", "k", "v"}) {
    HostTensor copy(DType::f32, {1, total, 2, 40});
    for (std::int64_t row = 0; row < total; ++row)
      for (std::int64_t head = 0; head < 2; ++head)
        for (std::int64_t dim = 0; dim < 40; ++dim)
          copy.set({0, row, head, dim}, in_packed.at(name).get({row, head, dim}));
    in.emplace(name, std::move(copy));
  }
  add_intervals(in, 1, total, [&](auto begin, auto end, auto) {
    KeyIntervals(begin, end, total).documents({cu.as<std::int32_t>(), 6});
  });
  const Outcome one = testing::run(problem, in, backend());
  const Outcome five = testing::run(packed, in_packed, backend());
  for (std::int64_t row = 0; row < total; ++row)
    for (std::int64_t head = 0; head < 2; ++head) {
      ASSERT_NEAR(one.lse_at(0, head, row), five.lse().get({head, row}), 4e-6);
      for (std::int64_t dim = 0; dim < 40; ++dim)
        ASSERT_NEAR(one.o_at(0, row, head, dim), five.o().get({row, head, dim}), 4e-6);
    }
}

/// The last rows alone, as when a packed sequence is continued: the same bits.
TEST_P(HelperLaws, DocumentsOfTheLastRowsAlone) {
  const Numbers cu_seqlens{0, 300, 511, 700};
  TensorMap in = harness::random_tensors(Problem::parse("h2 q700 d40"), 3);
  add_intervals(in, 1, 700, [&](auto begin, auto end, auto) {
    KeyIntervals(begin, end, 700).documents(cu_seqlens);
  });
  const Outcome all = testing::run(Problem::parse("h2 q700 d40 causal intervals"), in, backend());
  TensorMap last = harness::random_tensors(Problem::parse("h2 q250 k700 d40"), 3);
  last.at("q") = rows_of(in.at("q"), range(450, 700));
  add_intervals(last, 1, 250, [&](auto begin, auto end, auto) {
    KeyIntervals(begin, end, 700).documents(cu_seqlens);
  });
  const Outcome some =
      testing::run(Problem::parse("h2 q250 k700 d40 causal intervals"), last, backend());
  for (std::int64_t row = 0; row < 250; ++row)
    ASSERT_EQ(row_distance(some, row, all, row + 450), 0) << row;
}

/// A prefix of the call's own, as Mask::prefix and as an interval.
TEST_P(HelperLaws, APrefixIsMaskPrefix) {
  for (const std::string type : {"", " bf16"}) {
    const std::string text = "h2 q200 k300 d40" + type;
    const Outcome want = testing::run(text + " causal prefix=170", backend(), 3);
    TensorMap in = harness::random_tensors(Problem::parse(text), 3);
    for (const bool documents : {false, true}) {
      add_intervals(in, 1, 200, [&](auto begin, auto end, auto) {
        if (documents)
          KeyIntervals(begin, end, 300).prefix_lm(Numbers{0, 300}, Numbers{170});
        else
          KeyIntervals(begin, end, 300, {.causal = true, .prefix = 170});
      });
      EXPECT_TRUE(testing::same_bits(
          testing::run(Problem::parse(text + " intervals"), in, backend()), want))
          << text << documents;
    }
  }
}

/// A window for each head: what a call with that window gives the head.
TEST_P(HelperLaws, WindowsOfHeadsAreWindows) {
  const std::string text = "h4/2 q300 d40 causal";
  const Numbers windows{10, 0, 299, 77};
  TensorMap in = harness::random_tensors(Problem::parse(text), 3);
  add_intervals(in, 4, 300, [&](auto begin, auto end, auto head) {
    KeyIntervals(begin, end, 300, {.left = windows[static_cast<std::size_t>(head)]});
  });
  const Outcome all = testing::run(Problem::parse(text + " intervals"), in, backend());
  for (std::int64_t head = 0; head < 4; ++head) {
    const std::string window = std::to_string(windows[static_cast<std::size_t>(head)]);
    const Outcome one = testing::run(text + " window=" + window + ",-1", backend(), 3);
    for (std::int64_t row = 0; row < 300; ++row)
      for (std::int64_t dim = 0; dim < 40; ++dim)
        ASSERT_EQ(all.o_at(0, row, head, dim), one.o_at(0, row, head, dim)) << head << " " << row;
  }
}

/// A drafted token gets what its branch alone would give it, one token after the other.
TEST_P(HelperLaws, ABranchOfADraftTreeIsASequence) {
  constexpr std::int32_t kContext = 150;
  const Numbers parents{-1, 0, 0, 1, 1, 2, -1, 6};
  const std::string text = "h4/2 q8 k158 d40";
  TensorMap in = harness::random_tensors(Problem::parse(text), 3);
  HostTensor allowed(DType::boolean, {1, 1, 8, 158});
  fill_draft_tree(parents, 158, {reinterpret_cast<std::uint8_t*>(allowed.data()), 8 * 158});
  in.emplace("allowed", std::move(allowed));
  const Outcome tree = testing::run(Problem::parse(text + " allowed=1,1,q,k"), in, backend());
  EXPECT_TRUE(testing::same_bits(
      testing::run(Problem::parse(text + " causal allowed=1,1,q,k"), in, backend()), tree));
  for (std::int32_t token = 0; token < 8; ++token) {
    Numbers branch;
    for (std::int32_t at = token; at >= 0; at = parents[static_cast<std::size_t>(at)])
      branch.insert(branch.begin(), at + kContext);
    Numbers keys = range(0, kContext);
    keys.insert(keys.end(), branch.begin(), branch.end());
    const Outcome alone = run_rows("causal", in, {token}, keys);
    EXPECT_LE(row_distance(tree, token, alone, 0), 4e-6) << token;
  }
}

STROBE_ON_BACKENDS(HelperLaws);

}  // namespace
}  // namespace strobe
