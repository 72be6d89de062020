// A problem is everything about a call but its pointers. It is also a string, and the string is
// test name, benchmark row, command-line argument and reproducer.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "strobe/dropout.hpp"
#include "strobe/export.h"
#include "strobe/kv_scales.hpp"
#include "strobe/mask.hpp"
#include "strobe/rotary.hpp"
#include "strobe/score.hpp"
#include "strobe/tensor.hpp"

namespace strobe {

struct DecodeTensors;
struct ForwardTensors;
struct Options;

/// How sequences of different lengths lie in memory.
enum class Storage : std::int32_t {
  dense,    ///< padded, every sequence as long as the tensor says
  seqlens,  ///< padded, lengths in seqlens_q and seqlens_k
  varlen,   ///< packed [total, heads, dim] with cu_seqlens
};

/// Which axis runs faster in memory, head or sequence. The library takes any strides;
/// this is for whoever makes tensors from a problem.
enum class Layout : std::int32_t { bshd, bhsd };

/// What a row's bits may depend on (docs/semantics.md, "Reproducibility").
enum class Determinism : std::int32_t {
  run_to_run,       ///< equal on every run, for any number of threads
  batch_invariant,  ///< besides: a function of the row's own query and keys alone
};

/// Of a tensor [batch, heads, queries, keys], the axes along which it has values of its own; the
/// others have size 1 and are broadcast.
struct PairAxes {
  bool given = false;  ///< is there such a tensor?
  bool batch = false;
  bool heads = false;
  bool queries = false;
  bool keys = false;

  constexpr bool operator==(const PairAxes&) const = default;
};

/// key_begin and key_end: not there, drawn at random, or (for timing) all keys of every row.
enum class Intervals : std::int32_t { none, drawn, full };

/// b2 h8/2 q333 k1024 d128/64 bf16 causal window=128,0 softcap=30 bias=1,h,q,k layout=bhsd
struct STROBE_API Problem {
  std::int64_t batch = 1;
  std::int64_t num_heads = 1;
  std::int64_t num_heads_kv = 1;
  std::int64_t seqlen_q = 0;  ///< of the longest sequence where lengths differ
  std::int64_t seqlen_k = 0;
  std::int64_t head_dim = 1;
  std::int64_t head_dim_v = 1;
  DType dtype = DType::f32;    ///< of q, k and v
  DType o_dtype = DType::f32;  ///< dtype, or f32
  Mask mask{};                 ///< with block sizes where there is a block map
  Score score{};
  Dropout dropout{};
  PairAxes bias{};
  DType bias_dtype = DType::none;  ///< dtype or f32; none: no bias
  PairAxes allowed{};
  Intervals intervals = Intervals::none;
  bool alibi = false;
  bool sink_logits = false;
  Storage storage = Storage::dense;
  Layout layout = Layout::bshd;
  Determinism determinism = Determinism::batch_invariant;

  // What decode alone knows: the cache. seqlen_k counts the new keys.
  std::int64_t page_size = 0;   ///< slots of a page; 0: the cache is contiguous
  std::int64_t seqlen_new = 0;  ///< keys that the call appends; 0: none
  Rotary rotary{};
  bool cache_batch_idx = false;
  bool leftpad_k = false;
  DType kv_dtype = DType::none;         ///< e4m3, e5m2, i8, i4; none: the cache is of q's type
  KvScales kv_scales = KvScales::none;  ///< of a quantised cache, and of no other

  /// Does it ask for what forward has not?
  bool uses_cache() const {
    return page_size != 0 || seqlen_new != 0 || rotary.dim != 0 || cache_batch_idx || leftpad_k ||
           kv_dtype != DType::none;
  }

  /// Reads the grammar of docs/cases.md. Throws Error(invalid_argument) that names the word.
  static Problem parse(std::string_view text);
  /// Options alone, as `strobe run` takes them: sizes and type stay as they are in `sizes`.
  static Problem parse_options(std::string_view text, const Problem& sizes);
  /// The problem that these tensors pose; checks them as forward() does.
  static Problem of(const ForwardTensors& tensors, const Options& options);
  /// Likewise, as decode() does. seqlen_k is the longest length, new keys included.
  /// A template, so that braces alone mean ForwardTensors.
  template <class Tensors>
  requires std::is_same_v<Tensors, DecodeTensors>
  static Problem of(const Tensors& tensors, const Options& options) {
    return of_decode(tensors, options);
  }

  /// The shortest string that parses to this problem.
  std::string to_string() const;
  /// The options alone: the string without sizes and type.
  std::string options_to_string() const;

  bool operator==(const Problem&) const = default;

 private:
  static Problem of_decode(const DecodeTensors& tensors, const Options& options);
};

}  // namespace strobe
