// Laws between options: what says the same thing twice gives the same bits, or the same numbers.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "semantics/philox.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A tensor [1, 1, q, k] filled by row and key.
HostTensor pairs(DType dtype, std::int64_t q, std::int64_t k,
                 const std::function<double(std::int64_t, std::int64_t)>& value) {
  HostTensor tensor(dtype, {1, 1, q, k});
  for (std::int64_t row = 0; row < q; ++row)
    for (std::int64_t key = 0; key < k; ++key) tensor.set({0, 0, row, key}, value(row, key));
  return tensor;
}

/// The inputs of `from` with one more tensor.
TensorMap with(const Problem& problem, const char* name, HostTensor tensor) {
  TensorMap in = harness::random_tensors(problem, 5);
  in.emplace(name, std::move(tensor));
  return in;
}

testing::Outcome run_with(const std::string& text, const std::string& option, const char* name,
                          HostTensor tensor, const std::string& backend) {
  TensorMap in = with(Problem::parse(text), name, std::move(tensor));
  return testing::run(Problem::parse(text + " " + option), in, backend);
}

/// Largest difference of two outputs' o.
double distance(const testing::Outcome& a, const testing::Outcome& b) {
  double largest = 0;
  const Shape& shape = a.o().shape();
  for (std::int64_t n = 0; n < shape[0]; ++n)
    for (std::int64_t row = 0; row < shape[1]; ++row)
      for (std::int64_t head = 0; head < shape[2]; ++head)
        for (std::int64_t dim = 0; dim < shape[3]; ++dim)
          largest =
              std::max(largest, std::abs(a.o_at(n, row, head, dim) - b.o_at(n, row, head, dim)));
  return largest;
}

class OptionLaws : public testing::OnBackend {};

/// `allowed`, a bias of 0 and -inf, intervals and a block map of single pairs can all say "causal",
/// and `causal` says it too. Leaves and blocks lie where they lie, so the bits are the same.
TEST_P(OptionLaws, FiveWaysToSayCausal) {
  for (const std::string text :
       {"b1 h2 q150 k150 d40", "b1 h2 q150 k150 d40 bf16", "b1 h2 q150 k150 d40 f64"}) {
    const auto seen = [](std::int64_t row, std::int64_t key) { return key <= row ? 1.0 : 0.0; };
    const testing::Outcome causal = testing::run(text + " causal", backend(), 5);
    const testing::Outcome allowed = run_with(text, "allowed=1,1,q,k", "allowed",
                                              pairs(DType::boolean, 150, 150, seen), backend());
    EXPECT_TRUE(testing::same_bits(allowed, causal)) << text << " allowed";
    const testing::Outcome bias =
        run_with(text, "bias=1,1,q,k:f32", "bias",
                 pairs(DType::f32, 150, 150,
                       [&](auto row, auto key) { return seen(row, key) > 0 ? 0.0 : -kInfinity; }),
                 backend());
    EXPECT_TRUE(testing::same_bits(bias, causal)) << text << " bias";
    const testing::Outcome blocks =
        run_with(text, "blocks=1", "blocks", pairs(DType::boolean, 150, 150, seen), backend());
    EXPECT_TRUE(testing::same_bits(blocks, causal)) << text << " blocks";
    HostTensor ends(DType::i32, {1, 1, 150});
    for (std::int64_t row = 0; row < 150; ++row)
      ends.set({0, 0, row}, static_cast<double>(row + 1));
    const testing::Outcome intervals =
        run_with(text, "intervals", "key_end", std::move(ends), backend());
    EXPECT_TRUE(testing::same_bits(intervals, causal)) << text << " key_end";
  }
}

/// A block map is `allowed` with every value repeated.
TEST_P(OptionLaws, ABlockMapIsAllowedInBlocks) {
  std::mt19937_64 random(3);
  for (const auto& [q, k] : {std::pair{64, 64}, {16, 128}, {7, 13}, {200, 300}}) {
    const std::string text = "b1 h2 q260 k390 d64";
    const std::int64_t block_q = q, block_k = k;
    const HostTensor map = pairs(DType::boolean, (260 + q - 1) / q, (390 + k - 1) / k,
                                 [&](auto, auto) { return random() % 2 == 0 ? 1.0 : 0.0; });
    const testing::Outcome blocks =
        run_with(text, "blocks=" + std::to_string(q) + "/" + std::to_string(k), "blocks",
                 map.clone(), backend());
    const testing::Outcome allowed =
        run_with(text, "allowed=1,1,q,k", "allowed",
                 pairs(DType::boolean, 260, 390,
                       [&](std::int64_t row, std::int64_t key) {
                         return map.get({0, 0, row / block_q, key / block_k});
                       }),
                 backend());
    EXPECT_TRUE(testing::same_bits(blocks, allowed)) << q << "/" << k;
  }
}

/// The same number on every score of a row changes lse by it, and o not at all.
TEST_P(OptionLaws, ABiasOfOneNumberMovesLse) {
  const std::string text = "b1 h2 q70 k300 d64";
  const testing::Outcome plain = testing::run(text, backend(), 5);
  const testing::Outcome moved =
      run_with(text, "bias=1,1,q,k", "bias",
               pairs(DType::f32, 70, 300, [](auto, auto) { return 8.0; }), backend());
  EXPECT_LT(distance(moved, plain), 2e-6);
  EXPECT_NEAR(moved.lse_at(0, 1, 33), plain.lse_at(0, 1, 33) + 8.0, 2e-6);
}

/// Finite numbers that stand for -inf in other libraries mask too, and a row of nothing else is
/// the mean of its values rather than an empty row.
TEST_P(OptionLaws, VeryLowBiasesMask) {
  const std::string text = "b1 h1 q40 k100 d16";
  const auto seen = [](std::int64_t row, std::int64_t key) { return row != 7 && key % 3 == 0; };
  const testing::Outcome low = run_with(
      text, "bias=1,1,q,k", "bias",
      pairs(DType::f32, 40, 100,
            [&](auto row, auto key) { return seen(row, key) ? 0.0 : -3.4028234663852886e38; }),
      backend());
  const testing::Outcome masked =
      run_with(text, "allowed=1,1,q,k", "allowed",
               pairs(DType::boolean, 40, 100,
                     [&](auto row, auto key) { return seen(row, key) ? 1.0 : 0.0; }),
               backend());
  TensorMap in = harness::random_tensors(Problem::parse(text), 5);
  for (std::int64_t row = 0; row < 40; ++row)
    for (std::int64_t dim = 0; dim < 16; ++dim) {
      double mean = 0;
      for (std::int64_t key = 0; key < 100; ++key) mean += in.at("v").get({0, key, 0, dim}) / 100;
      EXPECT_NEAR(low.o_at(0, row, 0, dim), row == 7 ? mean : masked.o_at(0, row, 0, dim), 1e-6);
    }
}

/// softcap bounds the scores: with a tiny one all keys weigh the same; a huge one changes nothing.
TEST_P(OptionLaws, SoftcapBounds) {
  const testing::Outcome plain = testing::run("b1 h1 q50 k80 d16", backend(), 5);
  EXPECT_LT(distance(testing::run("b1 h1 q50 k80 d16 softcap=1e6", backend(), 5), plain), 2e-6);
  const testing::Outcome flat = testing::run("b1 h1 q50 k80 d16 softcap=1e-6", backend(), 5);
  EXPECT_NEAR(flat.lse_at(0, 0, 11), std::log(80.0), 2e-6);
}

/// A sink logit of -inf is none; one equal to lse halves the output.
TEST_P(OptionLaws, SinkLogitsShareTheSum) {
  const std::string text = "b1 h2 q60 k200 d32";
  const auto sinks = [](double first, double second) {
    HostTensor tensor(DType::f32, {2});
    tensor.set({0}, first);
    tensor.set({1}, second);
    return tensor;
  };
  const testing::Outcome plain = testing::run(text, backend(), 5);
  EXPECT_TRUE(testing::same_bits(
      run_with(text, "sink_logits", "sink_logits", sinks(-kInfinity, -kInfinity), backend()),
      plain));
  const double lse = plain.lse_at(0, 1, 9);
  const testing::Outcome halved =
      run_with(text, "sink_logits", "sink_logits", sinks(0, lse), backend());
  EXPECT_NEAR(halved.o_at(0, 9, 1, 3), plain.o_at(0, 9, 1, 3) / 2, 1e-6);
  EXPECT_NEAR(halved.lse_at(0, 1, 9), lse + std::log(2.0), 1e-6);
}

/// With one key p is 1: o is v / (1 - p) or 0, as the draws of philox.hpp say.
TEST_P(OptionLaws, DropoutFollowsTheDraws) {
  const Problem problem = Problem::parse("b2 h3 q100 k1 d8 dropout=0.25,99,5");
  TensorMap in = harness::random_tensors(problem, 5);
  const testing::Outcome out = testing::run(problem, in, backend());
  int dropped = 0;
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t h = 0; h < 3; ++h)
      for (std::int64_t row = 0; row < 100; ++row) {
        const bool keep = dropout_draw(99, 5, b * 3 + h, row, 0) >= 16384;
        dropped += keep ? 0 : 1;
        const double v = in.at("v").get({b, 0, h, 2});
        EXPECT_NEAR(out.o_at(b, row, h, 2), keep ? v / 0.75 : 0.0, 1e-6);
        EXPECT_TRUE(std::isfinite(out.lse_at(b, h, row)));
      }
  EXPECT_GT(dropped, 100);
  EXPECT_LT(dropped, 200);
}

/// Seed and offset from memory are those of the options.
TEST_P(OptionLaws, DropoutStateIsSeedAndOffset) {
  const std::string text = "b1 h2 q130 k140 d16 ";
  const testing::Outcome options = testing::run(text + "dropout=0.5,7,3", backend(), 5);
  const Problem problem = Problem::parse(text + "dropout=0.5");
  TensorMap in = harness::random_tensors(problem, 5);
  HostTensor state(DType::u64, {2});
  state.set({0}, 7);
  state.set({1}, 3);
  in.emplace("dropout_state", std::move(state));
  EXPECT_TRUE(testing::same_bits(testing::run(problem, in, backend()), options));
}

/// A row's bits depend on its own bias alone, whatever sequence, packed or padded, it stands in.
TEST_P(OptionLaws, PackedSequencesReadTheirOwnRows) {
  const std::string options = " causal softcap=4 alibi bias=b,h,q,k intervals sink_logits";
  const Problem padded = Problem::parse("b3 h2 q90 k90 d24 seqlens" + options);
  const Problem packed = Problem::parse("b3 h2 q90 k90 d24 varlen" + options);
  TensorMap in = harness::random_tensors(padded, 8), other = harness::random_tensors(packed, 8);
  const testing::Outcome a = testing::run(padded, in, backend());
  testing::Outcome b{harness::output_tensors(packed, other)};
  harness::run_forward(packed, harness::forward_tensors(other, b.out), backend(), 2);
  const auto* const cu = other.at("cu_seqlens_q").as<std::int32_t>();
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::int64_t row = 0; row < cu[n + 1] - cu[n]; ++row)
      for (std::int64_t head = 0; head < 2; ++head) {
        EXPECT_EQ(a.o_at(n, row, head, 7), b.o().get({cu[n] + row, head, 7}));
        EXPECT_TRUE(testing::same_value(a.lse_at(n, head, row), b.lse().get({head, cu[n] + row})));
      }
}

/// Any number of threads, with every option on.
TEST_P(OptionLaws, ThreadsKeepTheBits) {
  for (const char* type : {"", " bf16", " f64"}) {
    const std::string text = std::string("b2 h4/2 q500 k700 d64") + type +
                             " causal softcap=20 alibi bias=1,h,q,k allowed=b,1,q,k intervals "
                             "blocks=64/32 sink_logits dropout=0.2,11";
    const testing::Outcome one = testing::run(text, backend(), 4, 1);
    for (const int threads : {2, 5})
      EXPECT_TRUE(testing::same_bits(one, testing::run(text, backend(), 4, threads))) << threads;
  }
}

/// NaN contract (b) for every kind of mask of single pairs.
TEST_P(OptionLaws, NaNBehindAMaskOfPairsNeverTouchesARow) {
  for (const std::string type : {"", " bf16", " f64"})
    for (const std::string option :
         {"allowed=1,1,q,k", "bias=1,1,q,k:f32", "blocks=1", "intervals"}) {
      const std::string text = "b1 h2 q130 k260 d24" + type;
      const std::int64_t bad = 137;
      const auto seen = [&](std::int64_t row, std::int64_t key) {
        return key != bad || row % 3 == 0;
      };
      const std::string word = option.substr(0, option.find('='));
      const bool rows = word == "intervals", bias = word == "bias";
      HostTensor tensor =
          pairs(bias ? DType::f32 : DType::boolean, 130, 260, [&](auto row, auto key) {
            return bias ? (seen(row, key) ? 0.25 : -kInfinity) : (seen(row, key) ? 1.0 : 0.0);
          });
      HostTensor ends(DType::i32, {1, 1, 130});
      for (std::int64_t row = 0; row < 130; ++row)
        ends.set({0, 0, row}, row % 3 == 0 ? 260.0 : static_cast<double>(bad));
      const Problem problem = Problem::parse(text + " " + option);
      const char* name = rows ? "key_end" : bias ? "bias" : word == "blocks" ? "blocks" : "allowed";
      TensorMap in = with(Problem::parse(text), name, rows ? std::move(ends) : std::move(tensor));
      const testing::Outcome clean = testing::run(problem, in, backend());
      for (std::int64_t head = 0; head < 2; ++head)
        for (std::int64_t dim = 0; dim < 24; ++dim) {
          in.at("k").set({0, bad, head, dim}, kNaN);
          in.at("v").set({0, bad, head, dim}, dim % 2 == 0 ? kNaN : kInfinity);
        }
      const testing::Outcome dirty = testing::run(problem, in, backend());
      for (std::int64_t row = 0; row < 130; ++row) {
        if (row % 3 == 0)
          EXPECT_FALSE(std::isfinite(dirty.o_at(0, row, 1, 4))) << option << " row " << row;
        else
          EXPECT_EQ(dirty.o_at(0, row, 1, 4), clean.o_at(0, row, 1, 4)) << option << " row " << row;
      }
    }
}

STROBE_ON_BACKENDS(OptionLaws);

}  // namespace
}  // namespace strobe
