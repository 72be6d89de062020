// strobe bench: time, share of the machine's peaks, and standard attention beside it.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench_job.hpp"
#include "bench_json.hpp"
#include "command.hpp"
#include "fitting.hpp"
#include "harness/file.hpp"
#include "harness/machine.hpp"
#include "harness/standard_attention.hpp"
#include "measure.hpp"
#include "messages.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "strobe/plan.hpp"
#include "suites.hpp"

namespace strobe::tool {
namespace {

struct BenchOptions {
  std::vector<std::string> cases{};
  std::string suite{};
  std::string compare{};
  std::string values{};       ///< empty: the suite's, or normal
  std::string relative_to{};  ///< empty: the suite's, or none
  std::string json{};
  MeasureOptions measure{};
};

constexpr const char* kExamples =
    R"(Times are the median of wall time; runs that other processes disturbed (CPU time under
0.97 of it) are repeated. FLOPs are those of visible pairs, 2 (head_dim + head_dim_v) each.
The share is that of the FMA or bf16 dot-product peak, measured before and after in the same
process. Forward is always measured with its tensors as warm as repeating it leaves them. Decode
is measured cold, one cache after the other of more than 512 MB in all, unless --hot keeps to one;
column busy is each thread's share of the time. With --relative-to, and in suite options, a row is
timed in turn with another case, and column relative is its time by the other's, the median over
the pairs.

Examples:
  strobe bench "h8 q4096 d64 causal" "h8 q4096 d128 bf16"
  strobe bench "h8 q4096 d64 causal" --compare standard --threads 1
  strobe bench "h8 q4096 d64 alibi" --relative-to "h8 q4096 d64"
  strobe bench "h8 q4096 d64" --values rising --relative-to "h8 q4096 d64"
  strobe bench "h32/8 q1 k65536 d128 bf16 page=16" --op decode --splits 1
  strobe bench --suite models --json models.json)";

std::vector<SuiteCase> chosen_cases(const BenchOptions& options) {
  if (options.cases.empty() == options.suite.empty()) {
    fail("bench-cases",
         fmt::format("bench: give either cases or --suite, one of {}; strobe bench --help has "
                     "examples",
                     suite_names()));
  }
  std::vector<SuiteCase> cases;
  if (!options.suite.empty()) cases = suite_cases(options.suite);
  for (const std::string& text : options.cases) cases.push_back({.text = text});
  for (SuiteCase& one : cases) {
    if (!options.values.empty()) one.values = read_values(options.values);
    if (!options.relative_to.empty()) one.relative_to = options.relative_to;
  }
  return cases;
}

/// The problem of a case, once a kernel has taken it.
Problem planned(const std::string& text, const Where& where) {
  Problem problem = Problem::parse(text);
  if (where.backend != "reference") {
    const Plan refused_or_not(problem, where.plan_options());
  }
  return problem;
}

/// Finds everything that would fail before the first row is timed.
std::vector<Problem> checked_problems(const BenchOptions& options,
                                      const std::vector<SuiteCase>& cases) {
  check_threads(options.measure.where);
  if (!options.compare.empty() && options.compare != "standard") {
    fail("bench-compare", fmt::format("--compare {}: accepted is standard", options.compare));
  }
  if (options.measure.hot && options.measure.where.op() != Op::decode) {
    fail("bench-hot",
         "--hot keeps decode to one cache, and forward always has the same tensors; leave it out, "
         "or take --op decode");
  }
  std::vector<Problem> problems;
  for (const SuiteCase& one : cases) {
    problems.push_back(planned(one.text, options.measure.where));
    if (options.measure.standard && problems.back().page_size > 0) {
      fail(
          "bench-pages",
          fmt::format("--compare standard: {}: standard attention here reads no pages; leave page= "
                      "or --compare out",
                      one.text));
    }
    if (!one.relative_to.empty()) planned(one.relative_to, options.measure.where);
  }
  if (!options.json.empty()) check_output_file(options.json, "--json");
  return problems;
}

/// Decode's caches in rotation, or the rows that one is filled from.
ExtraBytes bench_bytes(const MeasureOptions& measured) {
  return [plan = plan_bytes(measured.where), decode = measured.where.op() == Op::decode,
          hot = measured.hot](const Problem& p) {
    std::int64_t bytes = plan(p);
    std::int64_t copies = 0;
    if (!decode) return bytes;
    const std::int64_t more = hot ? 1 : std::max<std::int64_t>(1, cold_caches(key_bytes(p)) - 1);
    if (__builtin_mul_overflow(more, key_bytes(p), &copies) ||
        __builtin_add_overflow(bytes, copies, &bytes))
      return std::numeric_limits<std::int64_t>::max();
    return bytes;
  };
}

std::string title(const SuiteCase& one) {
  std::string text = one.text;
  if (one.values != harness::Values::normal)
    text += fmt::format("  values {}", harness::name_of(one.values));
  if (!one.label.empty()) text += "  " + one.label;
  return text;
}

/// What the table has room for.
struct Columns {
  std::size_t width = 4;  ///< of the first
  bool standard = false;
  bool relative = false;
  bool busy = false;
};

Columns columns_for(const std::vector<SuiteCase>& cases, const MeasureOptions& measured) {
  Columns columns{.standard = measured.standard, .busy = measured.where.op() == Op::decode};
  for (const SuiteCase& one : cases) {
    columns.width = std::max(columns.width, title(one).size());
    columns.relative = columns.relative || !one.relative_to.empty();
  }
  return columns;
}

/// ".99/.98": each thread's share of the time, of many the first and the last.
std::string busy_text(const std::vector<double>& busy) {
  std::string text;
  for (std::size_t i = 0; i < busy.size(); ++i) {
    if (busy.size() > 4 && i > 0 && i + 1 < busy.size()) continue;
    const std::string share = fmt::format("{:.2f}", busy[i]);
    text += (i == 0            ? ""
             : busy.size() > 4 ? ".."
                               : "/") +
            (share.starts_with("0.") ? share.substr(1) : share);
  }
  return text;
}

int busy_width(int threads) { return threads > 4 ? 8 : std::max(4, 4 * threads - 1); }

void print_head(const BenchOptions& options, const Columns& columns) {
  const int threads = options.measure.where.thread_count();
  fmt::print("{}; measured on {} thread{}\n", harness::to_string(harness::read_machine()), threads,
             threads == 1 ? "" : "s");
  if (options.measure.standard) {
    fmt::print("standard attention: {}\n", harness::standard_products());
  }
  fmt::print("\n{:<{}}  {:>9} {:>9} {:>6} {:>6}  {:>9} {:>9} {:>8}", "case", columns.width, "time",
             "GFLOP/s", "peak", "limit", "workspace", "scores", "CPU/wall");
  if (columns.busy) fmt::print("  {:>{}}", "busy", busy_width(threads));
  if (columns.relative) fmt::print("  {:>8}", "relative");
  if (columns.standard) fmt::print("  {:>9} {:>7}", "standard", "ratio");
  fmt::print("  backend\n");
}

void print_row(const BenchRow& row, const std::string& name, const Columns& columns) {
  fmt::print("{:<{}}  {:>9} {:>9.1f} {:>6.3f} {:>6.3f}  {:>9} {:>9} {:>8.2f}", name, columns.width,
             seconds_text(row.timing.median), row.flops_per_second() * 1e-9, row.fraction_of_peak(),
             row.fraction_of_limit(), bytes_text(static_cast<double>(row.workspace_bytes)),
             bytes_text(static_cast<double>(row.score_matrix_bytes)), row.timing.cpu_over_wall);
  if (columns.busy) fmt::print("  {:>{}}", busy_text(row.busy), busy_width(row.threads));
  if (row.relative) fmt::print("  {:>8.3f}", row.relative->ratio);
  if (row.standard) {
    const double time = row.standard->timing.median;
    fmt::print("  {:>9} {:>6.2f}x", seconds_text(time),
               row.timing.median > 0 ? time / row.timing.median : 0.0);
  } else if (columns.standard) {
    fmt::print("  {:>9} {:>7}", "no memory", "");
  }
  fmt::print("  {}\n", row.backend);
  std::fflush(stdout);
}

/// The peaks that the shares are of: the largest measured of each kind.
void print_peaks(const std::vector<BenchRow>& rows) {
  std::map<std::string, const BenchRow*> peaks;
  for (const BenchRow& row : rows) {
    const BenchRow*& best = peaks[row.peak_name];
    if (best == nullptr || row.peak_flops > best->peak_flops) best = &row;
  }
  for (const auto& [name, row] : peaks) {
    fmt::print("peak of {}: {:.1f} GFLOP/s on {} thread{}", name, row->peak_flops * 1e-9,
               row->threads, row->threads == 1 ? "" : "s");
    if (row->known_flops > 0) {
      fmt::print("; the core is known for {:.1f} at its {:.2f} GHz", row->known_flops * 1e-9,
                 row->clock_hz * 1e-9);
    }
    fmt::print("\n");
  }
}

/// What a reader must know to trust the table.
void print_notes(const std::vector<BenchRow>& rows) {
  std::vector<std::string> notes;
  const auto note = [&notes](const std::string& text) {
    const bool known = std::find(notes.begin(), notes.end(), text) != notes.end();
    if (!text.empty() && !known) notes.push_back(text);
  };
  for (const BenchRow& row : rows) {
    if (row.relative)
      note("column relative: the row's time by that of the case that it was timed in turn with");
    note(row.remark);
    if (!row.standard_failure.empty()) note("standard attention: " + row.standard_failure);
    if (row.caches > 1) {
      note("decode is measured cold, on as many caches in rotation as make more than 512 MiB");
    } else if (row.caches == 1) {
      note(row.cache_bytes > kColdBytes
               ? "one cache alone is more than any machine keeps near"
               : "some rows of decode are hot: every run has the same cache");
    }
    if (!row.timing.undisturbed) {
      note("other processes ran beside some rows (CPU/wall is below 0.97 x threads)");
    }
  }
  fmt::print(
      "column peak: share of it; limit: share of the nearer limit, peak or memory reads; scores: "
      "what the score matrix would take\n");
  for (const std::string& text : notes) fmt::print("note: {}\n", text);
}

int bench(BenchOptions options) {
  options.measure.standard = options.compare == "standard";
  if (!options.suite.empty() && suite_op(options.suite) == Op::decode)
    options.measure.where.op_name = "decode";
  const std::vector<SuiteCase> cases = chosen_cases(options);
  const std::vector<Problem> problems = checked_problems(options, cases);
  const Columns columns = columns_for(cases, options.measure);

  Progress progress(static_cast<int>(cases.size()));
  print_head(options, columns);
  std::vector<BenchRow> rows;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    progress.begin(cases[i].text);
    MeasureOptions measured = options.measure;
    measured.draw.values = cases[i].values;
    measured.hot = measured.hot || cases[i].hot;
    measured.progress = [&](double part) { progress.part(part); };
    with_memory_for(problems[i], bench_bytes(measured),
                    [&] { rows.push_back(measure(problems[i], measured, cases[i].relative_to)); });
    rows.back().text = cases[i].text;
    rows.back().label = cases[i].label;
    progress.step();
    progress.clear();
    print_row(rows.back(), title(cases[i]), columns);
  }
  fmt::print("\n");
  print_peaks(rows);
  print_notes(rows);
  if (!options.json.empty()) {
    harness::OutputFile file(options.json);
    file.write(bench_json(rows, options.measure.where));
    file.finish();
    file.commit();
  }
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("bench", "time, and the share of this machine's peak");
  const auto options = std::make_shared<BenchOptions>();
  command->add_option("case", options->cases, "\"h8 q4096 d64 causal\" ...");
  command->add_option("--suite", options->suite, suite_names() + ", instead of cases");
  add_op(*command, options->measure.where);
  add_threads(*command, options->measure.where);
  add_backend(*command, options->measure.where);
  command->add_option("--compare", options->compare, "standard: time standard attention too");
  command->add_option("--relative-to", options->relative_to,
                      "a case: time each row in turn with it");
  command->add_option("--json", options->json, "write the rows to this file");
  command->add_flag("--hot", options->measure.hot, "decode: the same cache in every run");
  add_seed(*command, options->measure.draw.seed);
  add_values(*command, options->values);
  command->footer(kExamples);
  command->callback([&chosen, options] { chosen = [options] { return bench(*options); }; });
}

}  // namespace strobe::tool
