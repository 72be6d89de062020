// strobe run over tensors of decode: the cache is an input and, with the new keys, an output.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "api/validate.hpp"
#include "messages.hpp"
#include "reference/decode.hpp"
#include "run_job.hpp"

namespace strobe::tool {
namespace {

constexpr const char* kOfLayout[] = {"q", "k", "v", "k_cache", "v_cache", "o"};

void check_words(const Problem& asked, const harness::TensorMap& in) {
  for (const TensorWord& word :
       {TensorWord{"page", asked.page_size > 0, "page_table", "page_table"},
        TensorWord{"append", asked.seqlen_new > 0, "k", "k"},
        TensorWord{"leftpad", asked.leftpad_k, "leftpad_k", "leftpad_k"},
        TensorWord{"batch_idx", asked.cache_batch_idx, "cache_batch_idx", "cache_batch_idx"},
        TensorWord{"kv", asked.kv_dtype != DType::none, "k_scale", "k_scale"}})
    check_word(word, in);
}

/// q and the cache must have the rank that sizes are read by; all else is checked by the library.
void check_ranks(const harness::TensorMap& in) {
  for (const char* name : {"q", "k_cache", "v_cache"}) {
    if (in.at(name).rank() == 4) continue;
    fail(
        "run-rank",
        fmt::format("run: {} is {}, of rank {}; decode takes q [batch, seqlen, heads, dim] and a "
                    "cache [entries, slots, heads, dim] or, with page_table, [pages, slots, heads, "
                    "dim] (layout=bhsd: heads before seqlen or slots)",
                    name, harness::to_string(in.at(name).shape()), in.at(name).rank()));
  }
}

/// Words that name a number which the tensors have, too.
void check_numbers(const Problem& asked, const Problem& problem) {
  const auto check = [](const char* word, std::int64_t wanted, const char* what, std::int64_t is) {
    if (wanted == 0 || wanted == is) return;
    fail("run-number", fmt::format("run: {}={}, and {} {}; mend the word, or leave it out", word,
                                   wanted, what, is));
  };
  check("page", asked.page_size, "the pages of k_cache have slots:", problem.page_size);
  check("append", asked.seqlen_new, "the new keys in k are:", problem.seqlen_new);
}

/// The word that names the cache's type, which the tensors tell too.
void check_kv(const Problem& asked, const Problem& problem) {
  if (asked.kv_dtype == DType::none) return;
  if (asked.kv_dtype == problem.kv_dtype && asked.kv_scales == problem.kv_scales) return;
  const auto word = [](const Problem& p) {
    Problem kv;
    kv.kv_dtype = p.kv_dtype;
    kv.kv_scales = p.kv_scales;
    return kv.options_to_string();
  };
  fail("run-number", fmt::format("run: {}, and the cache and its scales are {}; mend the word, or "
                                 "leave it out",
                                 word(asked), word(problem)));
}

/// The sizes of the tensors, so that nothing is allocated for impossible ones.
Problem with_sizes(Problem asked, const harness::TensorMap& in) {
  const Shape& q = in.at("q").shape();
  asked.batch = q[0];
  asked.seqlen_q = q[1];
  asked.num_heads = q[2];
  asked.num_heads_kv = in.at("k_cache").shape()[2];
  asked.seqlen_k = asked.seqlen_new = asked.page_size = 0;
  asked.head_dim = q[3];
  asked.head_dim_v = in.at("v_cache").shape()[3];
  asked.kv_dtype = DType::none;
  asked.kv_scales = KvScales::none;
  return asked;
}

/// Scales of tokens lie as the cache does: heads before slots, or after them.
void swap_scales(harness::TensorMap& tensors) {
  for (const char* name : {"k_scale", "v_scale"}) {
    const auto scale = tensors.find(name);
    if (scale != tensors.end() && scale->second.rank() >= 3) scale->second.swap_axes(1, 2);
  }
}

class DecodeJob : public RunJob {
 public:
  DecodeJob(const InputFiles& files, const std::string& words, const Where& where) : RunJob(files) {
    harness::decode_tensors(in_, out_);  // q and the cache are there
    check_ranks(in_);
    const Problem asked = read_words(words);
    api::check_op(asked, Op::decode, where.splits, "run");
    check_words(asked, in_);
    take_layout(asked.layout, kOfLayout);
    if (asked.layout == Layout::bhsd) swap_scales(in_);
    bhsd_ = asked.layout == Layout::bhsd;
    const Problem sizes = with_sizes(asked, in_);
    api::check_problem(sizes, "run");
    make_outputs(sizes, /*packed=*/false);
    tensors_ = harness::decode_tensors(in_, out_);
    const Problem posed = Problem::of(tensors_, options_of(asked));
    check_axes(words, asked, posed);
    check_numbers(asked, posed);
    check_kv(asked, posed);
    plan(posed, where);
    turned_ = reference::turn_queries(api::decode_params(tensors_, posed));
  }

  void run() override { runner_->run(tensors_); }
  ForwardParams params() const override {
    return reference::turned_params(api::decode_params(tensors_, problem()), turned_);
  }

 private:
  void add_outputs() override {
    for (const char* name : {"k_cache", "v_cache"}) out_.emplace(name, std::move(in_.at(name)));
    if (!in_.contains("k_scale")) return;
    for (const char* name : {"k_scale", "v_scale"}) out_.emplace(name, std::move(in_.at(name)));
    if (bhsd_) swap_scales(out_);
  }

  bool bhsd_ = false;
  DecodeTensors tensors_{};
  std::vector<std::byte> turned_{};  ///< q, as the keys in the cache are turned
};

}  // namespace

std::unique_ptr<RunJob> make_decode_job(const InputFiles& files, const std::string& words,
                                        const Where& where) {
  return std::make_unique<DecodeJob>(files, words, where);
}

}  // namespace strobe::tool
