// A forward call over tensors from files: read, posed as a problem, run, written.
// SPDX-License-Identifier: Apache-2.0
#include "forward_job.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string_view>

#include "api/validate.hpp"
#include "harness/npy.hpp"
#include "harness/safetensors.hpp"
#include "messages.hpp"
#include "report.hpp"
#include "semantics/number_formats.hpp"

namespace strobe::tool {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";

harness::TensorMap read_inputs(const InputFiles& files) {
  if (files.safetensors.empty() && files.npy.empty()) {
    fail("run-input-missing",
         "run: no input: give --in FILE.safetensors, or --q q.npy --k k.npy --v v.npy");
  }
  harness::TensorMap in;
  if (!files.safetensors.empty()) in = harness::read_safetensors(files.safetensors);
  for (const auto& [name, file] : files.npy) {
    if (in.contains(name)) {
      fail("run-tensor-twice",
           fmt::format("run: {} comes twice, from {} and from --{} {}; leave one out", name,
                       files.safetensors, name, file));
    }
    in.emplace(name, harness::read_npy(file));
  }
  harness::check_names(in);
  return in;
}

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

/// A memory-borne option is on when its tensor is there; a word for it must not be without.
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

/// The same for the words of masks and scores. (Of blocks=, the library asks for the tensor.)
void check_pair_words(const Problem& asked, const harness::TensorMap& in) {
  const auto check = [&](const char* word, bool wanted, const char* tensor, const char* other) {
    if (!wanted || in.contains(tensor) || in.contains(other)) return;
    const std::string names =
        std::string_view(tensor) == other ? tensor : fmt::format("{} or {}", tensor, other);
    fail("run-option",
         fmt::format("run: {} needs the tensor {}; give it, or leave the word out", word, names));
  };
  check("alibi", asked.alibi, "alibi_slopes", "alibi_slopes");
  check("bias", asked.bias.given, "bias", "bias");
  check("allowed", asked.allowed.given, "allowed", "allowed");
  check("intervals", asked.intervals != Intervals::none, "key_begin", "key_end");
  check("sink_logits", asked.sink_logits, "sink_logits", "sink_logits");
}

/// Exchanges the axes of seqlen (or total) and heads, which layout=bhsd has the other way round.
void swap_layout(harness::HostTensor& tensor) {
  const int heads = tensor.rank() - 2;
  if (heads >= 1) tensor.swap_axes(heads - 1, heads);
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

/// o and lse in the layout of the files: o = 0 and lse = -inf everywhere.
harness::TensorMap make_outputs(const Problem& sizes, bool packed) {
  const std::int64_t rows = sizes.seqlen_q;
  const std::int64_t heads = sizes.num_heads;
  const bool bhsd = sizes.layout == Layout::bhsd;
  const std::int64_t first = bhsd ? heads : rows;
  const std::int64_t second = bhsd ? rows : heads;
  harness::TensorMap out;
  out.emplace("o",
              harness::HostTensor(sizes.o_dtype,
                                  packed ? Shape{first, second, sizes.head_dim_v}
                                         : Shape{sizes.batch, first, second, sizes.head_dim_v}));
  harness::HostTensor lse(lse_dtype_of(sizes.dtype),
                          packed ? Shape{heads, rows} : Shape{sizes.batch, heads, rows});
  for (std::int64_t i = 0; i < lse.elements(); ++i)
    store_element(lse.data(), lse.dtype(), i, -std::numeric_limits<double>::infinity());
  out.emplace("lse", std::move(lse));
  if (bhsd) swap_layout(out.at("o"));
  return out;
}

}  // namespace

void check_output(const std::string& out) {
  if (out.ends_with(kSafetensors)) return check_output_file(out, "--out");
  const std::filesystem::path path(out);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return;
  if (path.extension() == ".npy" || std::filesystem::exists(path, ignored)) {
    fail("run-output-kind",
         fmt::format("--out {}: is neither a folder nor named .safetensors; results are two "
                     "tensors, so give one of these",
                     out));
  }
  const std::string folder =
      out.ends_with('/') ? out.substr(0, out.find_last_not_of('/') + 1) : out;
  check_output_file(folder, "--out");
}

ForwardJob::ForwardJob(const InputFiles& files, const std::string& words, const Where& where)
    : in_(read_inputs(files)) {
  harness::forward_tensors(in_, out_);  // q, k and v are there, and nothing that it cannot take
  const bool packed = is_packed(in_);
  const Problem asked = Problem::parse_options(
      words, Problem{.dtype = in_.at("q").dtype(), .o_dtype = in_.at("q").dtype()});
  api::check_op(asked, Op::forward, 0, "strobe run");
  check_storage(asked, in_);
  check_pair_words(asked, in_);
  check_ranks(in_);
  layout_ = asked.layout;
  if (layout_ == Layout::bhsd) {
    for (const char* name : {"q", "k", "v", "o"}) {
      if (in_.contains(name)) swap_layout(in_.at(name));
    }
  }
  const Problem sizes = with_sizes(asked, harness::forward_tensors(in_, out_));
  api::check_problem(sizes, "strobe run");
  out_ = make_outputs(sizes, packed);
  tensors_ = harness::forward_tensors(in_, out_);
  problem_ = Problem::of(tensors_, {.mask = asked.mask,
                                    .score = asked.score,
                                    .dropout = asked.dropout,
                                    .determinism = asked.determinism});
  runner_.emplace(problem_, where);
}

ForwardParams ForwardJob::params() const { return api::forward_params(tensors_, problem_); }

void ForwardJob::check_comparable() const { tool::check_comparable(in_, out_); }

void ForwardJob::print_report(Progress& progress) const {
  tool::print_report(params(), in_, runner_->team(), progress);
}

std::string ForwardJob::write(const std::string& out) && {
  if (layout_ == Layout::bhsd) swap_layout(out_.at("o"));
  if (out.ends_with(kSafetensors)) {
    harness::write_safetensors(out, out_);
  } else {
    harness::write_npy_folder(out, out_);
  }
  return fmt::format("o {} {} and lse {} {} written to {}",
                     harness::to_string(out_.at("o").shape()), name_of(out_.at("o").dtype()),
                     harness::to_string(out_.at("lse").shape()), name_of(out_.at("lse").dtype()),
                     out);
}

}  // namespace strobe::tool
