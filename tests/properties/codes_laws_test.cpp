// Laws of quantised caches: codes and scales that no row sees, and pages that were copied.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "harness/random_cache.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Outcome;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Of tokens and of groups: those that lie beside the slots.
constexpr const char* kCodes[] = {" kv=int8:token", " kv=int8:group", " kv=int4:token",
                                  " kv=e4m3:token", " kv=e5m2:group"};

class CodesLaws : public testing::OnBackend {
 protected:
  Outcome decode(const Problem& problem, TensorMap& in) const {
    return testing::decode(problem, in, {.threads = 2, .backend = backend(), .op = Op::decode});
  }
};

TensorMap copy_of(const TensorMap& tensors) {
  TensorMap copies;
  for (const auto& [name, tensor] : tensors) copies.emplace(name, tensor.clone());
  return copies;
}

/// Codes and scales of a row of the cache.
struct Garbage {
  double code;
  double scale;
};

/// Into row (outer, slot) of a cache and, where each slot has scales, of its scales.
void plant(TensorMap& in, const std::string& name, const Shape& at, const Garbage& garbage) {
  HostTensor& cache = in.at(name + "_cache");
  HostTensor& scales = in.at(name + "_scale");
  for (std::int64_t h = 0; h < cache.shape()[2]; ++h) {
    for (std::int64_t d = 0; d < cache.shape()[3]; ++d)
      cache.set({at[0], at[1], h, d}, garbage.code);
    if (scales.rank() == 3) scales.set({at[0], at[1], h}, garbage.scale);
    for (std::int64_t g = 0; scales.rank() == 4 && g < scales.shape()[3]; ++g)
      scales.set({at[0], at[1], h, g}, garbage.scale);
  }
}

/// Into every slot that holds no key, which a cache of plain numbers shows as NaN.
void fill_unused(const TensorMap& plain, const Garbage& garbage, TensorMap& in) {
  for (const char* name : {"k", "v"}) {
    const HostTensor& cache = plain.at(std::string(name) + "_cache");
    for (std::int64_t outer = 0; outer < cache.shape()[0]; ++outer)
      for (std::int64_t slot = 0; slot < cache.shape()[1]; ++slot)
        if (std::isnan(cache.get({outer, slot, 0, 0}))) plant(in, name, {outer, slot}, garbage);
  }
}

TEST_P(CodesLaws, UnusedSlotsAndTheirScalesNeverTouchAResult) {
  constexpr Garbage kGarbage[] = {{kNaN, kNaN}, {1e4, kInfinity}, {-1e4, 1e30}, {0, 0}};
  for (const char* text :
       {"b3 h4/2 q3 k300 d64 page=16 seqlens causal append leftpad",
        "b3 h4/2 q2 k300 d40/34 bf16 batch_idx seqlens append=9",
        "b2 h8/2 q1 k1100 d64 bf16 seqlens page=100", "b2 h4/2 q20 k150 d64 bf16 page=3 leftpad",
        "b2 h4/2 q17 k130 d64 f16 seqlens causal append=17", "b2 h4/2 q5 k140 d32 f64 seqlens"})
    for (const std::string kv :
         {" kv=int8:token", " kv=int8:head", " kv=int8:group", " kv=int4:token", " kv=int4:tensor",
          " kv=e4m3:token", " kv=e5m2:group"}) {
      const Problem problem = Problem::parse(text + kv);
      const TensorMap plain = harness::drawn_decode_tensors(Problem::parse(text), 4);
      const TensorMap drawn = harness::drawn_decode_tensors(problem, 4);
      TensorMap with_nan = copy_of(drawn);
      const Outcome want = decode(problem, with_nan);
      for (const Garbage& garbage : kGarbage) {
        TensorMap in = copy_of(drawn);
        fill_unused(plain, garbage, in);
        EXPECT_TRUE(testing::same_bits(decode(problem, in), want))
            << problem.to_string() << ", scales " << garbage.scale;
      }
    }
}

/// Few queries and many, keys at both ends of blocks of 128: rows before keep their bits, also
/// where a scale is merely large; rows after show one that is not finite.
TEST_P(CodesLaws, AMaskedScaleNeverTouchesARow) {
  for (const char* text : {"h4/2 q16 k140 d40 causal", "h4/2 q140 d40 causal"})
    for (const char* type : {"", " bf16", " f16", " f64"})
      for (const char* kv : kCodes) {
        const Problem problem = Problem::parse(std::string(text) + type + kv);
        TensorMap drawn = harness::drawn_decode_tensors(problem, 5);
        const Outcome clean = decode(problem, drawn);
        const std::int64_t before = problem.seqlen_k - problem.seqlen_q;
        for (const std::int64_t key : {before + 1, std::int64_t{128}, problem.seqlen_k - 1})
          for (const double scale : {kNaN, kInfinity, 1e30}) {
            TensorMap in = copy_of(drawn);
            for (const char* name : {"k", "v"}) plant(in, name, {0, key}, {7, scale});
            const Outcome dirty = decode(problem, in);
            for (const std::int64_t h : {0, 3})
              testing::expect_same_rows({dirty, 0, h}, {clean, 0, h}, key - before);
            if (scale < kInfinity) continue;
            for (std::int64_t row = key - before; row < problem.seqlen_q; ++row)
              ASSERT_FALSE(std::isfinite(dirty.o_at(0, row, 3, 0)))
                  << problem.to_string() << ", scale " << scale << " of key " << key << ", row "
                  << row;
          }
      }
}

/// The same rows and as many unwritten ones behind them along the first axis.
HostTensor doubled(const HostTensor& from) {
  Shape shape = from.shape();
  shape[0] *= 2;
  HostTensor to(from.dtype(), shape);
  to.fill_bytes(std::byte{0xff});
  std::memcpy(to.data(), from.data(), static_cast<std::size_t>(from.bytes()));
  return to;
}

/// As copy_pages takes them: [pages, page_size, heads, 1 or groups].
TensorView scales_in_pages(HostTensor& scales) {
  const Shape& n = scales.shape();
  return {scales.as<float>(), {n[0], n[1], n[2], n.rank() == 4 ? n[3] : 1}};
}

/// Every page and its scales go to the second half of a cache of twice as many pages; of the first
/// nothing remains.
void move_pages(TensorMap& in) {
  const std::int64_t pages = in.at("k_cache").shape()[0];
  std::vector<PageCopy> copies;
  for (std::int64_t page = 0; page < pages; ++page)
    copies.push_back(
        {static_cast<std::int32_t>(page), static_cast<std::int32_t>(2 * pages - 1 - page)});
  for (const char* name : {"k_cache", "v_cache", "k_scale", "v_scale"})
    in.at(name) = doubled(in.at(name));
  copy_pages(in.at("k_cache").view(), in.at("v_cache").view(), copies);
  copy_pages(scales_in_pages(in.at("k_scale")), scales_in_pages(in.at("v_scale")), copies);
  for (const char* name : {"k_cache", "v_cache", "k_scale", "v_scale"}) {
    HostTensor& tensor = in.at(name);
    std::memset(tensor.data(), 0xff, static_cast<std::size_t>(tensor.bytes() / 2));
  }
  HostTensor& table = in.at("page_table");
  for (std::int64_t i = 0; i < table.elements(); ++i) {
    std::int32_t& page = table.as<std::int32_t>()[i];
    if (page >= 0 && page < pages) page = copies[static_cast<std::size_t>(page)].to;
  }
}

TEST_P(CodesLaws, PagesCopiedWithTheirScalesGiveWhatTheOriginalGives) {
  for (const char* text :
       {"b3 h4/2 q3 k300 d64 page=16 causal append=2 seqlens leftpad",
        "b2 h4/2 q1 k1100 d40/72 bf16 page=100", "b2 h4/2 q30 k150 d40 f16 page=7 causal append"})
    for (const char* kv : kCodes) {
      const Problem problem = Problem::parse(std::string(text) + kv);
      TensorMap original = harness::drawn_decode_tensors(problem, 6);
      TensorMap in = harness::drawn_decode_tensors(problem, 6);
      move_pages(in);
      const Outcome want = decode(problem, original);
      EXPECT_TRUE(testing::same_bits(decode(problem, in), want)) << problem.to_string();
    }
}

STROBE_ON_BACKENDS(CodesLaws);

}  // namespace
}  // namespace strobe
