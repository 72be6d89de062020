// One row of the benchmark: a case timed beside the peaks of the same process.
// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "api/validate.hpp"
#include "harness/machine.hpp"
#include "harness/peaks.hpp"
#include "harness/random_tensors.hpp"
#include "harness/standard_attention.hpp"
#include "harness/tensor_map.hpp"
#include "plan/cost.hpp"
#include "plan/heuristics.hpp"
#include "plan/registry.hpp"
#include "runner.hpp"
#include "strobe/error.hpp"

namespace strobe::tool {
namespace {

constexpr int kStandardRuns = 3;
constexpr int kPairs = 7;

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

/// Threads that have a task at all: fewer than asked for in the smallest cases.
int threads_with_work(const Problem& problem, const ForwardRunner& runner) {
  for (const plan::KernelRow& row : plan::kernels()) {
    if (row.name() != runner.kernel()) continue;
    const int tiles = plan::choose_tiles(problem, *row.forward, runner.threads());
    const std::int64_t tasks = plan::count_tasks(problem, *row.forward, tiles);
    return static_cast<int>(std::clamp<std::int64_t>(tasks, 1, runner.threads()));
  }
  return runner.threads();  // the reference: one thread
}

/// A problem with all that running it again and again takes.
class Job {
 public:
  Job(const Problem& problem, const harness::Draw& draw, const Where& where)
      : in_(harness::drawn_tensors(problem, draw)),
        out_(harness::output_tensors(problem, in_)),
        tensors_(harness::forward_tensors(in_, out_)),
        runner_(problem, where),
        threads_with_work_(threads_with_work(problem, runner_)) {}

  void run() { runner_.run(tensors_); }
  const ForwardTensors& tensors() const { return tensors_; }
  const ForwardRunner& runner() const { return runner_; }
  int threads() const { return threads_with_work_; }

 private:
  harness::TensorMap in_;
  harness::TensorMap out_;
  ForwardTensors tensors_;
  ForwardRunner runner_;
  int threads_with_work_;
};

/// Times the job alone or, where there is another, in turn with it.
void time_job(BenchRow& row, Job& job, Job* other, const std::function<void()>& between) {
  if (other == nullptr) {
    row.timing =
        harness::time_runs([&] { job.run(); }, {.threads_with_work = job.threads()}, between);
    return;
  }
  const harness::PairTiming pairs = harness::time_pairs(
      [&] { job.run(); }, [&] { other->run(); },
      {.threads_with_work = std::min(job.threads(), other->threads()), .runs = kPairs}, between);
  row.timing = pairs.first;
  row.relative->timing = pairs.second;
  row.relative->ratio = pairs.ratio;
  row.relative->cpu_ratio = pairs.cpu_ratio;
}

void time_kernel(BenchRow& row, Job& job, Job* other) {
  const harness::Team team = job.runner().team();
  const ForwardTensors& tensors = job.tensors();
  const std::array buffers{harness::bytes_of(tensors.q), harness::bytes_of(tensors.k),
                           harness::bytes_of(tensors.v), harness::bytes_of(tensors.o),
                           harness::bytes_of(tensors.lse)};
  std::vector<double> reads;
  harness::PeakMeter meter(harness::peak_for(job.runner().backend(), row.problem.dtype), team);
  time_job(row, job, other, [&] { reads.push_back(harness::read_bandwidth(buffers, team)); });
  meter.measure();
  row.peak_name = harness::name_of(meter.peak());
  row.peak_flops = meter.flops();
  row.known_flops = meter.known_flops().value_or(0.0);
  row.clock_hz = meter.clock_hz();
  row.remark = meter.remark();
  row.peak_bytes = reads.empty() ? harness::read_bandwidth(buffers, team) : harness::median(reads);
}

void time_standard(BenchRow& row, const ForwardParams& params, const harness::Team& team) {
  try {
    harness::StandardAttention standard(params, team.threads);
    StandardRow result{.score_bytes = standard.score_bytes(),
                       .workspace_bytes = standard.workspace_bytes()};
    result.timing = harness::time_runs([&] { standard.run(params, team); },
                                       {.threads_with_work = team.threads, .runs = kStandardRuns});
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

BenchRow measure_forward(const Problem& problem, const MeasureOptions& options,
                         const std::string& relative_to) {
  harness::reset_peak_rss();
  Job job(problem, options.draw, options.where);
  const ForwardParams params = api::forward_params(job.tensors(), problem);
  const plan::Cost cost = plan::forward_cost(problem, &params);
  std::optional<Job> other;
  if (!relative_to.empty())
    other.emplace(Problem::parse(relative_to), options.draw.seed, options.where);

  const ForwardRunner& runner = job.runner();
  BenchRow row{.values = options.draw.values,
               .problem = problem,
               .backend = runner.backend(),
               .kernel = runner.kernel(),
               .threads = runner.threads(),
               .flops = cost.flops,
               .bytes = cost.bytes,
               .workspace_bytes = static_cast<std::int64_t>(runner.workspace_bytes()),
               .score_matrix_bytes = harness::full_score_bytes(problem)};
  if (other) row.relative = RelativeRow{.text = relative_to};
  time_kernel(row, job, other ? &*other : nullptr);
  row.peak_rss_bytes = harness::peak_rss_bytes();
  if (options.standard) time_standard(row, params, runner.team());
  return row;
}

}  // namespace strobe::tool
