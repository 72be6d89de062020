// Problems drawn from the whole option space, and how many of them a test tries.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>

#include "strobe/problem.hpp"

namespace strobe::testing {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  std::int64_t in(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool one_in(std::int64_t n) { return in(1, n) == 1; }

 private:
  std::mt19937_64 engine_;
};

/// The seeds that a test tries: `count` of them from 0 on; or, for a soak (scripts/soak.sh), as
/// many as STROBE_SOAK_SECONDS allow, from STROBE_SOAK_SEED on.
class Seeds {
 public:
  explicit Seeds(std::uint64_t count) : count_(count) {
    if (const char* const times = std::getenv("STROBE_RANDOM_TIMES"))
      count_ *= std::strtoull(times, nullptr, 10);
    const char* const seconds = std::getenv("STROBE_SOAK_SECONDS");
    if (seconds == nullptr) return;
    timed_ = true;
    end_ = Clock::now() + std::chrono::seconds(std::strtoll(seconds, nullptr, 10));
    if (const char* const first = std::getenv("STROBE_SOAK_SEED"))
      next_ = std::strtoull(first, nullptr, 10);
  }
  /// The next seed, or nothing when it is enough.
  std::optional<std::uint64_t> next() {
    if (timed_ ? Clock::now() > end_ : next_ == count_) return std::nullopt;
    return next_++;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::uint64_t count_;
  std::uint64_t next_ = 0;
  bool timed_ = false;
  Clock::time_point end_{};
};

inline Mask random_mask(Draw& draw) {
  Mask mask;
  mask.causal = draw.one_in(2);
  if (draw.one_in(3)) mask.left = draw.in(0, draw.one_in(2) ? 40 : 600);
  if (draw.one_in(4)) mask.right = draw.in(0, draw.one_in(2) ? 40 : 300);
  if (draw.one_in(4)) mask.align = Align::top_left;
  if (draw.one_in(5)) mask.chunk = draw.in(1, 300);
  if (draw.one_in(5)) mask.prefix = draw.in(1, 200);
  if (draw.one_in(5)) mask.sink_tokens = draw.in(1, 40);
  if (draw.one_in(4)) {
    mask.block_q = draw.in(1, draw.one_in(2) ? 20 : 200);
    mask.block_k = draw.in(1, draw.one_in(2) ? 20 : 200);
  }
  return mask;
}

inline PairAxes random_axes(Draw& draw) {
  return {true, draw.one_in(2), draw.one_in(2), draw.one_in(2), draw.one_in(2)};
}

inline void add_pair_options(Draw& draw, Problem& p) {
  if (draw.one_in(4)) p.score.softcap = static_cast<double>(draw.in(1, 60)) / 2.0;
  if (draw.one_in(4)) p.alibi = true;
  if (draw.one_in(4)) p.bias = random_axes(draw);
  if (p.bias.given) p.bias_dtype = draw.one_in(2) ? p.dtype : DType::f32;
  if (draw.one_in(4)) p.allowed = random_axes(draw);
  if (draw.one_in(4)) p.intervals = draw.one_in(8) ? Intervals::full : Intervals::drawn;
  if (draw.one_in(4)) p.sink_logits = true;
  if (draw.one_in(5)) {
    const auto seed = static_cast<std::uint64_t>(draw.in(0, 1000));
    p.dropout = {static_cast<double>(draw.in(1, 99)) / 100.0, seed, seed};
  }
}

/// Any mix of options, storages, layouts, types and head ratios, empty sizes among them.
inline Problem random_problem(Draw& draw) {
  Problem p;
  p.batch = draw.in(draw.one_in(10) ? 0 : 1, 3);
  p.num_heads_kv = draw.in(1, 2);
  p.num_heads = p.num_heads_kv * draw.in(1, 3);
  p.seqlen_q = draw.one_in(20) ? 0 : draw.in(1, draw.one_in(6) ? 1300 : 300);
  p.seqlen_k = draw.one_in(3) ? p.seqlen_q : draw.in(0, draw.one_in(6) ? 2600 : 400);
  p.head_dim = draw.in(1, draw.one_in(4) ? 300 : 140);
  p.head_dim_v = draw.one_in(2) ? p.head_dim : draw.in(1, 140);
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::f64};
  p.dtype = kTypes[draw.in(0, 3)];
  p.o_dtype = draw.one_in(2) ? p.dtype : DType::f32;
  p.mask = random_mask(draw);
  if (draw.one_in(6)) p.score.scale = static_cast<double>(draw.in(-10, 10)) / 20.0;
  add_pair_options(draw, p);
  p.storage = static_cast<Storage>(draw.in(0, 2));
  p.layout = static_cast<Layout>(draw.in(0, 1));
  p.determinism = draw.one_in(4) ? Determinism::run_to_run : Determinism::batch_invariant;
  return p;
}

/// Any mix of what decode has: few queries mostly, and every kind of cache.
inline Problem random_decode_problem(Draw& draw) {
  Problem p = random_problem(draw);
  if (!draw.one_in(8)) p.seqlen_q = draw.in(1, draw.one_in(3) ? 40 : 6);
  p.num_heads = p.num_heads_kv * draw.in(1, draw.one_in(4) ? 20 : 6);
  p.dropout = {};
  if (p.storage == Storage::varlen) p.storage = Storage::dense;
  if (draw.one_in(2)) p.page_size = draw.in(1, draw.one_in(2) ? 20 : 700);
  if (draw.one_in(2)) p.seqlen_new = draw.in(0, p.seqlen_k);
  if (p.seqlen_new > 0 && draw.one_in(2)) p.seqlen_new = std::min(p.seqlen_new, p.seqlen_q);
  if (draw.one_in(3)) p.rotary.dim = 2 * draw.in(0, p.head_dim / 2);
  if (p.rotary.dim > 0) {
    p.rotary.interleaved = draw.one_in(2);
    p.rotary.base = draw.one_in(2) ? 10000.0 : static_cast<double>(draw.in(2, 1000000));
  }
  p.cache_batch_idx = p.page_size == 0 && draw.one_in(3);
  p.leftpad_k = draw.one_in(3);
  if (draw.one_in(3)) {
    constexpr DType kCodes[] = {DType::e4m3, DType::e5m2, DType::i8, DType::i4};
    p.kv_dtype = kCodes[draw.in(0, 3)];
    p.kv_scales = static_cast<KvScales>(
        draw.in(static_cast<int>(KvScales::tensor), static_cast<int>(KvScales::group)));
    if (p.kv_dtype == DType::i4) {  // rows of whole bytes
      p.head_dim += p.head_dim % 2;
      p.head_dim_v += p.head_dim_v % 2;
    }
  }
  return p;
}

}  // namespace strobe::testing
