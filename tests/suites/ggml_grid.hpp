// The grid of ggml's FLASH_ATTN_EXT tests as case strings; docs/suites.md says what each axis is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace strobe::testing {

/// One point of the grid, in ggml's words.
struct GgmlPoint {
  std::int64_t head_dim = 0;
  std::int64_t head_dim_v = 0;
  bool mask = false;       ///< a float mask, added to the scores
  bool sinks = false;      ///< a logit for each head in the denominator
  bool alibi = false;      ///< max_bias 8
  bool softcap = false;    ///< 10
  std::int64_t heads = 1;  ///< of keys
  std::int64_t group = 1;  ///< query heads that share one of them
  std::int64_t batch = 1;
  std::int64_t keys = 0;
  std::int64_t queries = 0;
  bool permuted = false;  ///< heads run faster than the sequence
  std::string type{};
};

inline std::string to_case(const GgmlPoint& p) {
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  const std::string batch = p.batch > 1 ? "b" : "1";
  std::string text = "b" + number(p.batch) + " h" + number(p.heads * p.group) + "/" +
                     number(p.heads) + " q" + number(p.queries) + " k" + number(p.keys) + " d" +
                     number(p.head_dim) + "/" + number(p.head_dim_v) + " " + p.type;
  if (p.softcap) text += " softcap=10";
  if (p.alibi) text += " alibi";
  if (p.mask) text += " bias=" + batch + ",1,q,k";
  if (p.sinks) text += " sink_logits";
  if (!p.permuted) text += " layout=bhsd";
  return text;
}

/// Every point of what its axes so far leave open, one axis a function.
class GgmlGrid {
 public:
  static std::vector<std::string> cases() {
    GgmlGrid grid;
    constexpr std::int64_t kHeadDims[][2] = {{40, 40},   {64, 64},   {72, 72},   {80, 80},
                                             {96, 96},   {128, 128}, {192, 128}, {192, 192},
                                             {256, 256}, {320, 256}, {512, 512}, {576, 512}};
    for (const auto& dims : kHeadDims) grid.scores({.head_dim = dims[0], .head_dim_v = dims[1]});
    return std::move(grid.cases_);
  }

 private:
  void scores(GgmlPoint p) {
    for (const bool mask : {true, false})
      for (const bool sinks : {true, false})
        for (const bool alibi : {false, true})
          for (const bool softcap : {false, true}) {
            if ((alibi && !mask) || (softcap && p.head_dim != 128)) continue;
            p.mask = mask, p.sinks = sinks, p.alibi = alibi, p.softcap = softcap;
            heads(p);
          }
  }
  void heads(GgmlPoint p) {
    const bool latent = p.head_dim == 320 || p.head_dim == 576;
    for (const std::int64_t heads : {1, 4})
      for (const std::int64_t batch : {1, 3})
        for (const std::int64_t group : {1, 4, 8, 12, 16, 20, 32}) {
          if ((heads == 1 && !latent) || (batch > 1 && p.head_dim > 64)) continue;
          if ((group == 8 || group == 16) && p.head_dim != 192) continue;
          if (group == 12 && p.head_dim != 128) continue;
          if (group == 20 && (heads != 1 || p.head_dim != 576)) continue;
          if (group == 32 && (heads != 1 || p.head_dim != 320)) continue;
          p.heads = heads, p.batch = batch, p.group = group;
          lengths(p);
        }
  }
  void lengths(GgmlPoint p) {
    for (const std::int64_t keys : {113, 512, 1024})
      for (const std::int64_t queries : {1, 3, 32, 75}) {
        if (p.group != 1 && keys != 512) continue;
        p.keys = keys, p.queries = queries;
        storage(p);
      }
  }
  void storage(GgmlPoint p) {
    for (const char* type : {"f32", "f16", "bf16"})
      for (const bool permuted : {false, true}) {
        if (permuted && (!p.mask || p.alibi || p.softcap || p.keys != 512)) continue;
        p.type = type, p.permuted = permuted;
        cases_.push_back(to_case(p));
      }
  }

  std::vector<std::string> cases_{};
};

}  // namespace strobe::testing
