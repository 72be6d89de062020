// A problem as a string, and back; and from tensors.
// SPDX-License-Identifier: Apache-2.0
#include "strobe/problem.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "api/case_reader.hpp"
#include "api/memory.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"

namespace strobe {
namespace {

constexpr const char* kCaseWords = "the words of a case (some 100 bytes each)";
constexpr const char* kCaseText = "the text of a case (a few hundred bytes)";

/// Words joined by single blanks.
class Line {
 public:
  void add(std::initializer_list<api::Piece> pieces) {
    if (!text_.empty()) text_ += ' ';
    for (const api::Piece& piece : pieces) text_ += piece.text();
  }
  void add_if(bool wanted, std::initializer_list<api::Piece> pieces) {
    if (wanted) add(pieces);
  }
  /// `h32/8`, or `h32` where the second is the first.
  void add_pair(const char* letter, std::int64_t first, std::int64_t second) {
    if (first == second) {
      add({letter, first});
    } else {
      add({letter, first, "/", second});
    }
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

/// "b,h,q,k", "1" for an axis that is broadcast.
std::string axes_text(const PairAxes& axes) {
  std::string text = "b,h,q,k";
  const bool own[] = {axes.batch, axes.heads, axes.queries, axes.keys};
  for (std::size_t i = 0; i < 4; ++i)
    if (!own[i]) text[2 * i] = '1';
  return text;
}

/// What happens to the scores, and masks that lie in memory.
void add_pair_options(const Problem& p, Line& line) {
  line.add_if(p.score.softcap != 0, {"softcap=", p.score.softcap});
  line.add_if(p.alibi, {"alibi"});
  line.add_if(p.bias.given,
              {"bias=", axes_text(p.bias),
               p.bias_dtype == p.dtype ? "" : ":" + std::string(name_of(p.bias_dtype))});
  line.add_if(p.allowed.given, {"allowed=", axes_text(p.allowed)});
  line.add_if(p.intervals != Intervals::none,
              {p.intervals == Intervals::full ? "intervals=full" : "intervals"});
  if (p.mask.block_q != 0 || p.mask.block_k != 0)
    line.add_pair("blocks=", p.mask.block_q, p.mask.block_k);
  line.add_if(p.sink_logits, {"sink_logits"});
  const Dropout& dropout = p.dropout;
  if (dropout.offset != 0)
    line.add({"dropout=", dropout.probability, ",", dropout.seed, ",", dropout.offset});
  else if (dropout.seed != 0)
    line.add({"dropout=", dropout.probability, ",", dropout.seed});
  else
    line.add_if(dropout.probability != 0, {"dropout=", dropout.probability});
}

/// Whole numbers in full: 500000 rather than 5e+05.
std::string rotary_text(const Rotary& rotary) {
  constexpr Rotary kDefaults;
  constexpr double kLongest = 1e12;
  std::string text = std::to_string(rotary.dim);
  if (rotary.interleaved) text += ",interleaved";
  if (rotary.base == kDefaults.base) return text;
  const bool whole = rotary.base < kLongest && rotary.base == std::floor(rotary.base);
  const api::Piece base = whole ? api::Piece(static_cast<std::int64_t>(rotary.base))  //
                                : api::Piece(rotary.base);
  return text + "," + base.text();
}

/// "int8", or "int8:head" where the scales are not the type's own.
std::string kv_text(const Problem& p) {
  const auto* const type = std::ranges::find(api::kKvWords, p.kv_dtype, &api::KvWord::dtype);
  if (type == std::end(api::kKvWords)) return std::string(name_of(p.kv_dtype));
  std::string text(type->name);
  const auto scales = static_cast<std::size_t>(p.kv_scales);
  if (p.kv_scales == type->scales || scales >= std::size(api::kKvScaleWords)) return text;
  return text.append(":").append(api::kKvScaleWords[scales]);
}

/// What decode alone knows.
void add_cache_options(const Problem& p, Line& line) {
  line.add_if(p.page_size != 0, {"page=", p.page_size});
  if (p.seqlen_new != 0 && p.seqlen_new == p.seqlen_q)
    line.add({"append"});
  else
    line.add_if(p.seqlen_new != 0, {"append=", p.seqlen_new});
  line.add_if(p.rotary != Rotary{}, {"rotary=", rotary_text(p.rotary)});
  line.add_if(p.cache_batch_idx, {"batch_idx"});
  line.add_if(p.leftpad_k, {"leftpad"});
  if (p.kv_dtype != DType::none) line.add({"kv=", kv_text(p)});
}

void add_options(const Problem& p, Line& line) {
  const Mask& mask = p.mask;
  line.add_if(mask.causal, {"causal"});
  line.add_if(mask.left != -1 || mask.right != -1, {"window=", mask.left, ",", mask.right});
  line.add_if(mask.chunk != 0, {"chunk=", mask.chunk});
  line.add_if(mask.prefix != 0, {"prefix=", mask.prefix});
  line.add_if(mask.sink_tokens != 0, {"sink_tokens=", mask.sink_tokens});
  line.add_if(mask.align == Align::top_left, {"align=top_left"});
  line.add_if(p.score.scale.has_value(), {"scale=", p.score.scale.value_or(0)});
  add_pair_options(p, line);
  add_cache_options(p, line);
  line.add_if(p.o_dtype != p.dtype, {"o=", p.o_dtype});
  line.add_if(p.storage == Storage::varlen, {"varlen"});
  line.add_if(p.storage == Storage::seqlens, {"seqlens"});
  line.add_if(p.layout == Layout::bhsd, {"layout=bhsd"});
  line.add_if(p.determinism == Determinism::run_to_run, {"determinism=run_to_run"});
}

}  // namespace

std::string api::cache_words(const Problem& problem) {
  Line line;
  add_cache_options(problem, line);
  return std::move(line).text();
}

Problem Problem::parse(std::string_view text) {
  constexpr const char* kWhere = "strobe::Problem::parse";
  return api::with_memory_for(kCaseWords, kWhere, [&] {
    const Problem problem = api::CaseReader(text, Problem{}, kWhere).read_case();
    api::check_problem(problem, kWhere);
    return problem;
  });
}

Problem Problem::parse_options(std::string_view text, const Problem& sizes) {
  constexpr const char* kWhere = "strobe::Problem::parse_options";
  Problem start;
  start.batch = sizes.batch;
  start.num_heads = sizes.num_heads;
  start.num_heads_kv = sizes.num_heads_kv;
  start.seqlen_q = sizes.seqlen_q;
  start.seqlen_k = sizes.seqlen_k;
  start.head_dim = sizes.head_dim;
  start.head_dim_v = sizes.head_dim_v;
  start.dtype = sizes.dtype;
  start.storage = sizes.storage;
  return api::with_memory_for(kCaseWords, kWhere, [&] {
    const Problem problem = api::CaseReader(text, start, kWhere).read_options();
    api::check_meaning(problem, kWhere);
    return problem;
  });
}

Problem Problem::of(const ForwardTensors& tensors, const Options& options) {
  constexpr const char* kWhere = "strobe::Problem::of";
  return api::with_memory_for("the message of an error (a few KiB)", kWhere,
                              [&] { return api::check_forward(tensors, options, kWhere); });
}

Problem Problem::of_decode(const DecodeTensors& tensors, const Options& options) {
  constexpr const char* kWhere = "strobe::Problem::of";
  return api::with_memory_for("the message of an error (a few KiB)", kWhere,
                              [&] { return api::check_decode(tensors, options, kWhere); });
}

std::string Problem::to_string() const {
  return api::with_memory_for(kCaseText, "strobe::Problem::to_string", [this] {
    Line line;
    line.add_if(batch != 1, {"b", batch});
    line.add_pair("h", num_heads, num_heads_kv);
    line.add({"q", seqlen_q});
    line.add_if(seqlen_k != seqlen_q, {"k", seqlen_k});
    line.add_pair("d", head_dim, head_dim_v);
    line.add_if(dtype != DType::f32, {dtype});
    add_options(*this, line);
    return std::move(line).text();
  });
}

std::string Problem::options_to_string() const {
  return api::with_memory_for(kCaseText, "strobe::Problem::options_to_string", [this] {
    Line line;
    add_options(*this, line);
    return std::move(line).text();
  });
}

}  // namespace strobe
