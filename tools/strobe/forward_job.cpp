// strobe run over tensors of forward.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <memory>

#include "api/validate.hpp"
#include "messages.hpp"
#include "run_job.hpp"

namespace strobe::tool {
namespace {

bool is_packed(const harness::TensorMap& in) {
  return in.contains("cu_seqlens_q") || in.contains("cu_seqlens_k");
}

/// q, k and v must have the rank that their sizes are read by; all else is checked by the library.
void check_ranks(const harness::TensorMap& in) {
  const int rank = is_packed(in) ? 3 : 4;
  for (const char* name : {"q", "k", "v"}) {
    if (in.at(name).rank() == rank) continue;
    fail(
        "run-rank",
        fmt::format("run: {} is {}, of rank {}; accepted are [batch, seqlen, heads, dim] and, with "
                    "cu_seqlens_q and cu_seqlens_k, [total, heads, dim] (layout=bhsd: heads before "
                    "seqlen or total)",
                    name, harness::to_string(in.at(name).shape()), in.at(name).rank()));
  }
}

/// A word for lengths must not be without them.
void check_storage(const Problem& asked, const harness::TensorMap& in) {
  if (asked.storage == Storage::varlen && !is_packed(in)) {
    fail("run-varlen",
         "run: varlen needs the tensors cu_seqlens_q and cu_seqlens_k; give them, or leave "
         "the word out");
  }
  if (asked.storage == Storage::seqlens && !in.contains("seqlens_q") && !in.contains("seqlens_k")) {
    fail("run-seqlens",
         "run: seqlens needs the tensor seqlens_q, seqlens_k or both; give one, or leave "
         "the word out");
  }
}

/// The sizes of the tensors, so that nothing is allocated for impossible ones.
Problem with_sizes(Problem asked, const ForwardTensors& t) {
  const int row = t.q.rank() - 3;
  asked.batch = row == 1 ? t.q.shape[0] : 1;
  asked.seqlen_q = t.q.shape[row];
  asked.seqlen_k = t.k.shape[row];
  asked.num_heads = t.q.shape[row + 1];
  asked.num_heads_kv = t.k.shape[row + 1];
  asked.head_dim = t.q.shape[row + 2];
  asked.head_dim_v = t.v.shape[row + 2];
  asked.storage = Storage::dense;
  return asked;
}

class ForwardJob : public RunJob {
 public:
  ForwardJob(const InputFiles& files, const std::string& words, const Where& where)
      : RunJob(files) {
    harness::forward_tensors(in_, out_);  // q, k and v are there, and nothing that it cannot take
    const Problem asked = read_words(words);
    api::check_op(asked, Op::forward, where.splits, "run");
    check_storage(asked, in_);
    check_ranks(in_);
    constexpr const char* kNames[] = {"q", "k", "v", "o"};
    take_layout(asked.layout, kNames);
    const Problem sizes = with_sizes(asked, harness::forward_tensors(in_, out_));
    api::check_problem(sizes, "run");
    make_outputs(sizes, is_packed(in_));
    tensors_ = harness::forward_tensors(in_, out_);
    const Problem posed = Problem::of(tensors_, options_of(asked));
    check_axes(words, asked, posed);
    plan(posed, where);
  }

  void run() override { runner_->run(tensors_); }
  ForwardParams params() const override { return api::forward_params(tensors_, problem()); }

 private:
  ForwardTensors tensors_{};
};

}  // namespace

std::unique_ptr<RunJob> make_forward_job(const InputFiles& files, const std::string& words,
                                         const Where& where) {
  return std::make_unique<ForwardJob>(files, words, where);
}

}  // namespace strobe::tool
