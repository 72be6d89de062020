// A call over tensors from files: read, posed as a problem, run, written.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "harness/tensor_map.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "runner.hpp"
#include "semantics/forward_params.hpp"
#include "strobe/attention.hpp"
#include "tensor_files.hpp"

namespace strobe::tool {

class RunJob {
 public:
  virtual ~RunJob() = default;
  RunJob(const RunJob&) = delete;
  RunJob& operator=(const RunJob&) = delete;

  /// Writes the outputs in memory.
  virtual void run() = 0;
  /// Valid as long as the job; before run(), o and lse hold nothing yet, nor do a cache's new
  /// slots.
  virtual ForwardParams params() const = 0;

  const Problem& problem() const { return problem_; }
  const std::string& kernel() const { return runner_->kernel(); }
  int threads() const { return runner_->threads(); }
  std::size_t workspace_bytes() const { return runner_->workspace_bytes(); }

  /// See report.hpp.
  void check_comparable() const;
  void print_report(Progress& progress) const;

  /// Writes the outputs, in the layout of the input; says what went where. Ends the job.
  std::string write(const std::string& out);

 protected:
  explicit RunJob(const InputFiles& files) : in_(read_inputs(files)) {}

  /// What the words of a case ask for; sizes are not read.
  Problem read_words(const std::string& words);
  /// With layout=bhsd, exchanges the axes of those of the tensors that are there.
  void take_layout(Layout layout, std::span<const char* const> names);
  /// o = 0 and lse = -inf everywhere, in the layout of the files.
  void make_outputs(const Problem& sizes, bool packed);
  void plan(const Problem& problem, const Where& where);
  /// Moves what the run has written besides into out_.
  virtual void add_outputs() {}

  harness::TensorMap in_{};
  harness::TensorMap out_{};
  std::optional<Runner> runner_{};

 private:
  Layout layout_ = Layout::bshd;
  Problem problem_{};
};

/// A memory-borne option is on when its tensor is there: throws Error(invalid_argument) where the
/// word for it is there without either tensor.
struct TensorWord {
  const char* word;
  bool wanted;
  const char* tensor;
  const char* other;
};
void check_word(const TensorWord& word, const harness::TensorMap& in);

/// The axes that `bias=` and `allowed=` name must be those of the tensors: throws
/// Error(invalid_argument) where an axis is one value for all in the one and not in the other. The
/// bare words name none.
void check_axes(const std::string& words, const Problem& asked, const Problem& problem);

/// The options that both operations take.
Options options_of(const Problem& asked);

/// Reads the tensors, makes the outputs and plans, for the operation that `where` names. Gaps
/// between packed sequences keep o = 0 and lse = -inf. `words` are the options of a case. Throws
/// Error for all that is wrong.
std::unique_ptr<RunJob> make_run_job(const InputFiles& files, const std::string& words,
                                     const Where& where);
std::unique_ptr<RunJob> make_forward_job(const InputFiles& files, const std::string& words,
                                         const Where& where);
std::unique_ptr<RunJob> make_decode_job(const InputFiles& files, const std::string& words,
                                        const Where& where);

}  // namespace strobe::tool
