// One row of the benchmark: a case timed beside the peaks of the same process.
// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "bench_job.hpp"
#include "harness/machine.hpp"
#include "harness/peaks.hpp"
#include "harness/standard_attention.hpp"
#include "harness/stretch.hpp"
#include "memory.hpp"
#include "plan/cost.hpp"
#include "strobe/error.hpp"

namespace strobe::tool {
namespace {

constexpr int kStandardRuns = 3;
constexpr int kPairs = 7;

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

/// Times the job alone or, where there is another, in turn with it.
void time_job(BenchRow& row, BenchJob& job, BenchJob* other, const std::function<void()>& between,
              const harness::Told& progress) {
  harness::TimingOptions timing{.threads_with_work = job.threads_with_work(), .progress = progress};
  if (other == nullptr) {
    row.timing = harness::time_runs([&] { job.run(); }, timing, between);
    return;
  }
  timing.threads_with_work = std::min(timing.threads_with_work, other->threads_with_work());
  timing.runs = kPairs;
  const harness::PairTiming pairs =
      harness::time_pairs([&] { job.run(); }, [&] { other->run(); }, timing, between);
  row.timing = pairs.first;
  row.relative->timing = pairs.second;
  row.relative->ratio = pairs.ratio;
  row.relative->cpu_ratio = pairs.cpu_ratio;
}

void time_kernel(BenchRow& row, BenchJob& job, BenchJob* other, const harness::Told& progress) {
  const harness::Team team = job.runner().team();
  std::vector<double> reads;
  const auto read = [&] { reads.push_back(harness::read_bandwidth(job.buffers(), team)); };
  harness::PeakMeter meter(harness::peak_for(job.runner().backend(), row.problem.dtype), team);
  time_job(row, job, other, read, progress);
  if (reads.empty()) read();
  meter.measure();
  row.peak_name = harness::name_of(meter.peak());
  row.peak_flops = meter.flops();
  row.known_flops = meter.known_flops().value_or(0.0);
  row.clock_hz = meter.clock_hz();
  row.remark = meter.remark();
  row.peak_bytes = harness::median(reads);
}

void time_standard(BenchRow& row, const ForwardParams& params, const harness::Team& team,
                   const harness::Told& progress) {
  try {
    harness::StandardAttention standard(params, team.threads);
    StandardRow result{.score_bytes = standard.score_bytes(),
                       .workspace_bytes = standard.workspace_bytes()};
    result.timing = harness::time_runs(
        [&] { standard.run(params, team); },
        {.threads_with_work = team.threads, .runs = kStandardRuns, .progress = progress});
    row.standard = result;
  } catch (const Error& error) {
    if (error.code() != Code::out_of_memory) throw;
    row.standard_failure = error.what();
  }
}

}  // namespace

double BenchRow::flops_per_second() const { return ratio(flops, timing.median); }
double BenchRow::bytes_per_second() const { return ratio(bytes, timing.median); }
double BenchRow::fraction_of_peak() const { return ratio(flops_per_second(), peak_flops); }
double BenchRow::fraction_of_bandwidth() const { return ratio(bytes_per_second(), peak_bytes); }

double BenchRow::fraction_of_limit() const {
  const double limit = std::max(ratio(flops, peak_flops), ratio(bytes, peak_bytes));
  return ratio(limit, timing.median);
}

BenchRow measure(const Problem& problem, const MeasureOptions& options,
                 const std::string& relative_to) {
  harness::reset_peak_rss();
  const auto job = make_bench_job(problem, options.draw, options.where, options.hot);
  std::unique_ptr<BenchJob> other;
  if (!relative_to.empty())
    other =
        make_bench_job(Problem::parse(relative_to), options.draw.seed, options.where, options.hot);

  const ForwardParams params = job->params();
  const plan::Cost cost = plan::forward_cost(problem, &params);
  const Runner& runner = job->runner();
  BenchRow row{.values = options.draw.values,
               .problem = problem,
               .backend = runner.backend(),
               .kernel = runner.kernel(),
               .threads = runner.threads(),
               .flops = cost.flops,
               .bytes = cost.bytes + job->more_bytes(),
               .workspace_bytes = static_cast<std::int64_t>(runner.workspace_bytes()),
               .score_matrix_bytes = harness::full_score_bytes(problem),
               .caches = job->caches(),
               .cache_bytes = job->caches() > 0 ? key_bytes(problem) : 0};
  if (other) row.relative = RelativeRow{.text = relative_to};
  const double timed = options.standard ? 0.5 : 1.0;  // the share that is the kernel's
  time_kernel(row, *job, other.get(), harness::stretch(options.progress, 0.0, timed));
  row.busy = job->busy();
  row.peak_rss_bytes = harness::peak_rss_bytes();
  if (options.standard)
    time_standard(row, params, runner.team(), harness::stretch(options.progress, timed, 1.0));
  return row;
}

}  // namespace strobe::tool
