// strobe run: attention over tensors from files, results to files.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention_row.hpp"
#include "command.hpp"
#include "harness/file.hpp"
#include "harness/timing.hpp"
#include "messages.hpp"
#include "options.hpp"
#include "picture.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "run_job.hpp"
#include "tokens.hpp"

namespace strobe::tool {
namespace {

struct RunOptions {
  std::vector<std::string> words{};
  InputFiles input{};
  std::string out{};
  Where where{};
  bool report = false;
  std::string show_row{};
  std::string svg{};
  std::string tokens{};
};

constexpr const char* kExamples =
    R"(Options are those of a case without its sizes, which come from the tensors. These lie in
the files as [batch, seqlen, heads, dim], with layout=bhsd as [batch, heads, seqlen, dim];
packed sequences, which cu_seqlens_q and cu_seqlens_k describe, as [total, heads, dim] or
[heads, total, dim]. Written are o, in the type of q or with o=f32 in f32, and lse.
With --op decode the keys lie in k_cache and v_cache, [entries, slots, heads, dim] or with
page_table [pages, slots, heads, dim], as many as cache_seqlens says; k and v are new ones, and
the cache with them is written too.
Masks, scores and lengths that lie in memory are on when their tensors are there, in the file or
as --bias bias.npy and so on; docs/cases.md lists them all under "Tensors by name".

Examples:
  strobe run --in data/minilm/layer3.safetensors --out out.safetensors --report
  strobe run "causal window=128,0" --in in.safetensors --out out.safetensors
  strobe run "layout=bhsd o=f32" --q q.npy --k k.npy --v v.npy --out folder
  strobe run --in data/minilm/layer3.safetensors --show-row head=8,row=5 \
             --tokens data/minilm/tokens.txt --svg attention.svg
  strobe run "causal rotary=128" --op decode --in step.safetensors --out step_out.safetensors)";

/// What to show of one row, read and checked before anything is computed.
struct RowView {
  RowName name{};
  std::vector<std::string> words{};  ///< empty: none
};

bool wants_row(const RunOptions& options) { return !options.show_row.empty(); }

/// All files that are read, those of words too.
InputFiles all_inputs(const RunOptions& options) {
  InputFiles files = options.input;
  if (!options.tokens.empty()) files.npy["tokens"] = options.tokens;
  const RowName row = wants_row(options) ? parse_row_name(options.show_row) : RowName{};
  if (!row.tokens.empty()) files.npy["show-row tokens"] = row.tokens;
  return files;
}

void check_options(const RunOptions& options) {
  check_threads(options.where);
  const InputFiles inputs = all_inputs(options);
  if (options.out.empty() && !options.report && !wants_row(options)) {
    fail("run-output-missing",
         "run: --out is missing: name a .safetensors file or a folder for .npy files, or "
         "ask for --report or --show-row");
  }
  if (!options.out.empty()) check_output(options.out, inputs);
  if (!options.tokens.empty() && !wants_row(options)) {
    fail("words-row",
         "--tokens labels what one row attends to: name it with --show-row head=H,row=R");
  }
  if (options.svg.empty()) return;
  check_output_file(options.svg, "--svg");
  check_not_input(options.svg, "--svg", inputs);
  if (!wants_row(options)) {
    fail("picture-row",
         "--svg draws what one row attends to: name it with --show-row head=H,row=R");
  }
}

RowView read_row_view(const RunOptions& options, const ForwardParams& p) {
  RowView view{.name = parse_row_name(options.show_row)};
  check_row_name(view.name, p);
  const std::int64_t keys = sequence(p, view.name.batch).lengths.k;
  if (!options.svg.empty() && keys > kMostWords) {
    fail("picture-words",
         fmt::format("--svg draws at most {} words, and this sequence has {} keys; leave "
                     "--svg out",
                     kMostWords, keys));
  }
  if (view.name.tokens.empty()) view.name.tokens = options.tokens;
  if (!view.name.tokens.empty()) view.words = read_tokens(view.name.tokens, keys);
  return view;
}

/// The picture of one row in every head; keys without words are numbered.
std::string row_picture(const RunJob& job, const RowView& view) {
  const ForwardParams p = job.params();
  const Lengths lengths = sequence(p, view.name.batch).lengths;
  Picture picture{
      .words = view.words,
      .query_word = p.mask.position(view.name.row, lengths),
      .caption = fmt::format("strobe run, {}; p = exp(s - lse); the outlined word is the query",
                             job.problem().to_string())};
  for (auto key = std::ssize(picture.words); key < lengths.k; ++key) {
    picture.words.push_back(fmt::format("{}", key));
  }
  for (std::int64_t head = 0; head < p.num_heads; ++head) {
    RowName name = view.name;
    name.head = head;
    picture.heads.push_back({.head = head, .p = attention_row(p, name)});
  }
  return draw_svg(picture);
}

void print_summary(const RunJob& job, double seconds) {
  fmt::print("{}\n{}, {} thread{}, {}\n", job.problem().to_string(), job.kernel(), job.threads(),
             job.threads() == 1 ? "" : "s", seconds_text(seconds));
  fmt::print("memory beside inputs and outputs: {} of workspace; the score matrix would take {}\n",
             bytes_text(static_cast<double>(job.workspace_bytes())),
             bytes_text(score_matrix_bytes(job.params())));
}

int run(const RunOptions& options) {
  check_options(options);
  Progress progress(4);
  progress.begin("reading");
  const std::unique_ptr<RunJob> made =
      make_run_job(options.input, fmt::format("{}", fmt::join(options.words, " ")), options.where);
  RunJob& job = *made;
  if (options.report) job.check_comparable();
  const RowView view = wants_row(options) ? read_row_view(options, job.params()) : RowView{};
  progress.step();

  progress.begin("computing");
  const double start = harness::wall_seconds();
  job.run();
  const double seconds = harness::wall_seconds() - start;
  progress.step();

  progress.clear();
  print_summary(job, seconds);
  progress.begin("comparing with float64");
  if (options.report) job.print_report(progress);
  progress.clear();
  if (wants_row(options)) {
    print_row(attention_row(job.params(), view.name), view.name, view.words);
  }
  progress.step();

  progress.begin("writing");
  std::optional<harness::OutputFile> svg;
  if (!options.svg.empty()) {
    svg.emplace(options.svg).write(row_picture(job, view));
    svg->finish();
  }
  const std::string written = options.out.empty() ? "" : job.write(options.out) + "\n";
  if (svg) svg->commit();
  progress.clear();
  fmt::print("{}", written);
  return 0;
}

void add_tensor_files(CLI::App& command, InputFiles& input) {
  constexpr const char* kShown[] = {
      "q",       "k",       "v",         "cu_seqlens_q",  "cu_seqlens_k", "seqlens_q",
      "k_cache", "v_cache", "seqlens_k", "cache_seqlens", "page_table"};
  for (const std::string_view name : harness::tensor_names()) {
    const bool shown = std::find(std::begin(kShown), std::end(kShown), name) != std::end(kShown);
    command
        .add_option_function<std::string>(
            fmt::format("--{}", name),
            [&input, name](const std::string& file) { input.npy[std::string(name)] = file; },
            "a .npy file")
        ->group(shown ? "Tensors" : "");
  }
}

}  // namespace

void add_run(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("run", "attention over tensors from files");
  const auto options = std::make_shared<RunOptions>();
  command->add_option("options", options->words, "causal window=128,0 ...: a case without sizes");
  command->add_option("--in", options->input.safetensors,
                      "a .safetensors file of tensors by name; docs/cases.md lists the names");
  command->add_option("--out", options->out,
                      "a .safetensors file, or a folder for o.npy, lse.npy ...");
  add_op(*command, options->where);
  add_threads(*command, options->where);
  add_backend(*command, options->where);
  command->add_flag("--report", options->report,
                    "print the error against float64, beside that of the input's own o");
  command->add_option("--show-row", options->show_row,
                      "head=H,row=R[,batch=B][,tokens=FILE]: print what that row attends to");
  command->add_option("--tokens", options->tokens, "the words of the sequence, one a line");
  command->add_option("--svg", options->svg,
                      "draw what the row of --show-row attends to, in every head");
  add_tensor_files(*command, options->input);
  command->footer(kExamples);
  command->callback([&chosen, options] { chosen = [options] { return run(*options); }; });
}

}  // namespace strobe::tool
