// What forward and decode over files share: words, layout, outputs, report.
// SPDX-License-Identifier: Apache-2.0
#include "run_job.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <sstream>
#include <string_view>
#include <utility>

#include "api/validate.hpp"
#include "messages.hpp"
#include "report.hpp"
#include "semantics/number_formats.hpp"

namespace strobe::tool {
namespace {

/// Where an axis has one entry at most, its letter and 1 mean the same.
bool same_axes(const PairAxes& asked, const PairAxes& own, const Problem& sizes) {
  const auto same = [](bool one, bool other, std::int64_t size) {
    return one == other || size <= 1;
  };
  return same(asked.batch, own.batch, sizes.batch) &&
         same(asked.heads, own.heads, sizes.num_heads) &&
         same(asked.queries, own.queries, sizes.seqlen_q) &&
         same(asked.keys, own.keys, sizes.seqlen_k);
}

bool names_axes(const std::string& words, const char* word) {
  std::istringstream rest(words);
  const std::string start = fmt::format("{}=", word);
  return std::any_of(std::istream_iterator<std::string>(rest), {},
                     [&](const std::string& one) { return one.starts_with(start); });
}

/// "bias=1,h,q,k": the word of one tensor alone.
std::string bias_word(const Problem& p) {
  return Problem{.dtype = p.dtype, .o_dtype = p.dtype, .bias = p.bias, .bias_dtype = p.bias_dtype}
      .options_to_string();
}

std::string allowed_word(const Problem& p) {
  return Problem{.dtype = p.dtype, .o_dtype = p.dtype, .allowed = p.allowed}.options_to_string();
}

/// Sizes of blocks are nowhere but in the word, and mean nothing without the tensor.
void check_blocks(const Problem& asked, const harness::TensorMap& in) {
  check_word({"blocks", asked.mask.block_q > 0, "blocks", "blocks"}, in);
  if (asked.mask.block_q > 0 || !in.contains("blocks")) return;
  fail("run-blocks", fmt::format("run: the input holds the tensor blocks, {}, and no word says how "
                                 "large its blocks are; add blocks=64 or blocks=QUERIES/KEYS, or "
                                 "leave the tensor out",
                                 harness::to_string(in.at("blocks").shape())));
}

}  // namespace

void check_word(const TensorWord& word, const harness::TensorMap& in) {
  if (!word.wanted || in.contains(word.tensor) || in.contains(word.other)) return;
  const std::string names = std::string_view(word.tensor) == word.other
                                ? word.tensor
                                : fmt::format("{} or {}", word.tensor, word.other);
  fail("run-option", fmt::format("run: {} needs the tensor {}; give it, or leave the word out",
                                 word.word, names));
}

void check_axes(const std::string& words, const Problem& asked, const Problem& problem) {
  const auto refuse = [](const char* name, const std::string& is, const std::string& wanted) {
    fail("run-axes", fmt::format("run: {}, and the tensor {} is one of {}; mend the word, or leave "
                                 "it out, as the tensor tells its axes",
                                 wanted, name, is));
  };
  // Without :f32 the word leaves the type to the tensor.
  const bool same_type = asked.bias_dtype == asked.dtype || asked.bias_dtype == problem.bias_dtype;
  if (names_axes(words, "bias") && !(same_axes(asked.bias, problem.bias, problem) && same_type))
    refuse("bias", bias_word(problem), bias_word(asked));
  if (names_axes(words, "allowed") && !same_axes(asked.allowed, problem.allowed, problem))
    refuse("allowed", allowed_word(problem), allowed_word(asked));
}

Options options_of(const Problem& asked) {
  return {.mask = asked.mask,
          .score = asked.score,
          .dropout = asked.dropout,
          .determinism = asked.determinism,
          .rotary = asked.rotary};
}

Problem RunJob::read_words(const std::string& words) {
  const harness::HostTensor& q = in_.at("q");
  const auto parse = [&](int row_axis) {
    const std::int64_t rows = row_axis < q.rank() ? q.shape()[row_axis] : 0;  // what append means
    return Problem::parse_options(
        words, Problem{.seqlen_q = rows, .dtype = q.dtype(), .o_dtype = q.dtype()});
  };
  Problem asked = parse(1);
  if (asked.layout == Layout::bhsd) asked = parse(2);
  for (const TensorWord& word :
       {TensorWord{"alibi", asked.alibi, "alibi_slopes", "alibi_slopes"},
        TensorWord{"bias", asked.bias.given, "bias", "bias"},
        TensorWord{"allowed", asked.allowed.given, "allowed", "allowed"},
        TensorWord{"intervals", asked.intervals != Intervals::none, "key_begin", "key_end"},
        TensorWord{"sink_logits", asked.sink_logits, "sink_logits", "sink_logits"}})
    check_word(word, in_);
  check_blocks(asked, in_);
  return asked;
}

void RunJob::take_layout(Layout layout, std::span<const char* const> names) {
  layout_ = layout;
  if (layout_ == Layout::bshd) return;
  for (const char* name : names) {
    if (in_.contains(name)) swap_layout(in_.at(name));
  }
}

void RunJob::make_outputs(const Problem& sizes, bool packed) {
  const std::int64_t rows = sizes.seqlen_q;
  const std::int64_t heads = sizes.num_heads;
  const bool bhsd = sizes.layout == Layout::bhsd;
  const std::int64_t first = bhsd ? heads : rows;
  const std::int64_t second = bhsd ? rows : heads;
  out_.emplace("o",
               harness::HostTensor(sizes.o_dtype,
                                   packed ? Shape{first, second, sizes.head_dim_v}
                                          : Shape{sizes.batch, first, second, sizes.head_dim_v}));
  harness::HostTensor lse(lse_dtype_of(sizes.dtype),
                          packed ? Shape{heads, rows} : Shape{sizes.batch, heads, rows});
  for (std::int64_t i = 0; i < lse.elements(); ++i)
    store_element(lse.data(), lse.dtype(), i, -std::numeric_limits<double>::infinity());
  out_.emplace("lse", std::move(lse));
  if (bhsd) swap_layout(out_.at("o"));
}

void RunJob::plan(const Problem& problem, const Where& where) {
  problem_ = problem;
  runner_.emplace(problem, where);
}

void RunJob::check_comparable() const { tool::check_comparable(in_, out_); }

void RunJob::print_report(Progress& progress) const {
  tool::print_report(params(), in_, runner_->team(), progress);
}

std::string RunJob::write(const std::string& out) {
  add_outputs();
  if (layout_ == Layout::bhsd) {
    for (const char* name : {"o", "k_cache", "v_cache"}) {
      if (out_.contains(name)) swap_layout(out_.at(name));
    }
  }
  return write_outputs(out, out_);
}

std::unique_ptr<RunJob> make_run_job(const InputFiles& files, const std::string& words,
                                     const Where& where) {
  if (where.op() == Op::decode) return make_decode_job(files, words, where);
  return make_forward_job(files, words, where);
}

}  // namespace strobe::tool
