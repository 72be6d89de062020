// Peaks measured so that a busy machine is noticed, and the peaks that cores are known to have.
// SPDX-License-Identifier: Apache-2.0
#include "harness/peaks.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "api/messages.hpp"
#include "harness/timing.hpp"
#include "harness/vector_loops.hpp"

namespace strobe::harness {
namespace {

/// Keeps results alive that nobody reads; several threads write it.
std::atomic<double> g_sink{0.0};

void keep(double value) { g_sink.store(value, std::memory_order_relaxed); }

struct PeakRow {
  Peak peak;
  const char* name;
  const char* loops;  ///< of vector_loops()
  PeakLoop VectorLoops::*loop;
  double zen5;    ///< FLOPs a cycle of a core with full 512-bit pipes
  double zen4;    ///< 512-bit operations take two passes
  double zen2_3;  ///< no 512-bit vectors; 0: the core lacks it
};

/// Two multipliers and two adders in every core, or two fused units. Zen 4 and Zen 5 as measured
/// with these loops, at 32.00, 64.0 and 16.00 FLOPs a cycle (Zen 4).
constexpr std::array kPeaks{
    PeakRow{Peak::mul_add_f32_128, "multiply and add f32, 128-bit", "portable",
            &VectorLoops::mul_add_f32, 16, 16, 16},
    PeakRow{Peak::mul_add_f64_128, "multiply and add f64, 128-bit", "portable",
            &VectorLoops::mul_add_f64, 8, 8, 8},
    PeakRow{Peak::fma_f32_256, "FMA f32, 256-bit", "avx2", &VectorLoops::mul_add_f32, 32, 32, 32},
    PeakRow{Peak::fma_f64_256, "FMA f64, 256-bit", "avx2", &VectorLoops::mul_add_f64, 16, 16, 16},
    PeakRow{Peak::fma_f32_512, "FMA f32, 512-bit", "avx512", &VectorLoops::mul_add_f32, 64, 32, 0},
    PeakRow{Peak::fma_f64_512, "FMA f64, 512-bit", "avx512", &VectorLoops::mul_add_f64, 32, 16, 0},
    PeakRow{Peak::dot_bf16_512, "bf16 dot product, 512-bit", "avx512bf16", &VectorLoops::dot_bf16,
            128, 64, 0},
};

const PeakRow& row_of(Peak peak) {
  return *std::find_if(kPeaks.begin(), kPeaks.end(),
                       [&](const PeakRow& row) { return row.peak == peak; });
}

/// All workers run the loop; their own rates are added.
double run_peak(const PeakLoop& loop, std::int64_t iterations, const Team& team) {
  std::vector<double> seconds(static_cast<std::size_t>(team.threads));
  on_each_worker(team, [&](int worker) {
    const double begin = thread_cpu_seconds();
    keep(loop.run(iterations));
    seconds[static_cast<std::size_t>(worker)] = thread_cpu_seconds() - begin;
  });
  double flops = 0.0;
  for (const double s : seconds)
    flops += loop.flops_per_iteration * static_cast<double>(iterations) / std::max(s, 1e-9);
  return flops;
}

std::int64_t iterations_for(const PeakLoop& loop, double seconds) {
  constexpr std::int64_t kTrial = 20000;
  double one = 1.0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const double begin = wall_seconds();
    keep(loop.run(kTrial));
    one = std::min(one, (wall_seconds() - begin) / kTrial);
  }
  return static_cast<std::int64_t>(seconds / std::max(one, 1e-12)) + 1;
}

#if defined(__x86_64__)
std::uint64_t dependent_additions(std::int64_t iterations) {
  std::uint64_t value = 1;
  const std::uint64_t step = 3;
  for (std::int64_t i = 0; i < iterations; ++i)
    asm volatile(".rept 64\n\tadd %1, %0\n\t.endr" : "+r"(value) : "r"(step) : "cc");
  return value;
}
#else
std::uint64_t dependent_additions(std::int64_t iterations) {
  std::uint64_t value = 1;
  const std::uint64_t step = 3;
  for (std::int64_t i = 0; i < iterations; ++i)
    asm volatile(".rept 64\n\tadd %0, %0, %1\n\t.endr" : "+r"(value) : "r"(step));
  return value;
}
#endif

/// The part of `buffers`, laid end to end, that lies in [first, last).
std::uint64_t read_range(std::span<const std::span<const std::byte>> buffers, std::int64_t first,
                         std::int64_t last) {
  const VectorLoops& loops = best_vector_loops();
  std::uint64_t sum = 0;
  std::int64_t place = 0;
  for (const std::span<const std::byte> buffer : buffers) {
    const auto size = static_cast<std::int64_t>(buffer.size());
    const std::int64_t from = std::clamp<std::int64_t>(first - place, 0, size);
    const std::int64_t to = std::clamp<std::int64_t>(last - place, 0, size);
    if (from < to) sum ^= loops.read(buffer.data() + from, to - from);
    place += size;
  }
  return sum;
}

/// Zen 5 has full 512-bit pipes in servers and desktops; laptop parts (models 0x20 to 0x2f and 0x60
/// on) have half or were never measured: nothing is claimed of them.
bool has_full_pipes(const Machine& machine) {
  return machine.model <= 0x1f || (machine.model >= 0x40 && machine.model <= 0x4f);
}

}  // namespace

const char* name_of(Peak peak) { return row_of(peak).name; }

Peak peak_for(std::string_view backend, DType dtype) {
  std::string_view name = backend.substr(0, backend.find(' '));
  if (name.empty() || name == "cpu") {
    name = best_vector_loops().name;
  } else if (name == "reference") {
    name = "portable";
  } else if (name.starts_with("cpu:")) {
    name.remove_prefix(4);
  }
  if (name == "avx512bf16" && dtype == DType::bf16) return Peak::dot_bf16_512;
  const bool f64 = dtype == DType::f64;
  if (name == "avx512bf16" || name == "avx512") return f64 ? Peak::fma_f64_512 : Peak::fma_f32_512;
  if (name == "avx2") return f64 ? Peak::fma_f64_256 : Peak::fma_f32_256;
  if (name == "portable") return f64 ? Peak::mul_add_f64_128 : Peak::mul_add_f32_128;
  throw api::error(
      "peak-unknown",
      fmt::format("strobe::harness::peak_for: no peak is known for backend \"{}\"; have "
                  "reference, cpu, cpu:portable, cpu:avx2, cpu:avx512, cpu:avx512bf16",
                  backend));
}

bool available(Peak peak) { return vector_loops(row_of(peak).loops) != nullptr; }

std::vector<Peak> available_peaks() {
  std::vector<Peak> peaks;
  for (const PeakRow& row : kPeaks) {
    if (available(row.peak)) peaks.push_back(row.peak);
  }
  return peaks;
}

double measure_peak(Peak peak, const Team& team, const PeakOptions& options) {
  const VectorLoops* const loops = vector_loops(row_of(peak).loops);
  if (loops == nullptr) {
    throw api::error(
        "backend-machine",
        fmt::format("strobe::harness::measure_peak: this machine cannot run \"{}\"; it "
                    "needs {}",
                    name_of(peak), row_of(peak).loops));
  }
  const PeakLoop& loop = loops->*row_of(peak).loop;
  const std::int64_t iterations = iterations_for(loop, options.seconds);
  std::vector<double> flops;
  for (int repeat = 0; repeat < std::max(1, options.repeats); ++repeat)
    flops.push_back(run_peak(loop, iterations, team));
  return median(flops);
}

double read_bandwidth(std::span<const std::span<const std::byte>> buffers, const Team& team) {
  const std::int64_t bytes = std::accumulate(
      buffers.begin(), buffers.end(), std::int64_t{0},
      [](std::int64_t sum, auto buffer) { return sum + static_cast<std::int64_t>(buffer.size()); });
  if (bytes == 0) return 0.0;
  const auto workers = static_cast<std::size_t>(team.threads);
  std::vector<double> begins(workers);
  std::vector<double> ends(workers);
  on_each_worker(team, [&](int worker) {
    const auto border = [&](std::int64_t part) { return bytes / team.threads * part / 64 * 64; };
    const std::int64_t last = worker + 1 == team.threads ? bytes : border(worker + 1);
    begins[static_cast<std::size_t>(worker)] = wall_seconds();
    keep(static_cast<double>(read_range(buffers, border(worker), last)));
    ends[static_cast<std::size_t>(worker)] = wall_seconds();
  });
  const double seconds =
      *std::max_element(ends.begin(), ends.end()) - *std::min_element(begins.begin(), begins.end());
  return static_cast<double>(bytes) / std::max(seconds, 1e-9);
}

std::span<const std::byte> bytes_of(const ConstTensorView& view) {
  if (!view.given() || view.data == nullptr) return {};
  std::int64_t elements = 1;
  for (int axis = 0; axis < view.rank(); ++axis) {
    if (view.shape[axis] == 0) return {};
    elements += (view.shape[axis] - 1) * view.strides[axis];
  }
  return {static_cast<const std::byte*>(view.data),
          static_cast<std::size_t>(elements * size_of(view.dtype))};
}

double core_clock_hz() {
  constexpr std::int64_t kIterations = 50000;  // 3.2 million cycles, about a millisecond
  double fastest = 1.0;
  for (int repeat = 0; repeat < 12; ++repeat) {
    const double begin = wall_seconds();
    keep(static_cast<double>(dependent_additions(kIterations)));
    fastest = std::min(fastest, wall_seconds() - begin);
  }
  return 64.0 * kIterations / fastest;
}

std::optional<double> known_flops_per_cycle(const Machine& machine, Peak peak) {
  const PeakRow& row = row_of(peak);
  double flops = 0.0;
  if (machine.core == "AMD Zen 5" && has_full_pipes(machine)) flops = row.zen5;
  if (machine.core == "AMD Zen 4") flops = row.zen4;
  if (machine.core == "AMD Zen 2" || machine.core == "AMD Zen 3") flops = row.zen2_3;
  return flops > 0.0 ? std::optional(flops) : std::nullopt;
}

PeakMeter::PeakMeter(Peak peak, const Team& team, const PeakOptions& options)
    : peak_(peak), team_(team), options_(options) {
  const Machine machine = read_machine();
  flops_per_cycle_ = known_flops_per_cycle(machine, peak);
  cores_ = std::min(team.threads, std::max(1, machine.threads / machine.threads_per_core));
  measure();
}

void PeakMeter::measure() {
  measured_ = std::max(measured_, measure_peak(peak_, team_, options_));
  last_clock_hz_ = core_clock_hz();
  clock_hz_ = std::max(clock_hz_, last_clock_hz_);
}

std::optional<double> PeakMeter::known_flops() const {
  if (!flops_per_cycle_) return std::nullopt;
  return *flops_per_cycle_ * clock_hz_ * cores_;
}

bool PeakMeter::falls_short() const {
  const std::optional<double> known = known_flops();
  return known && measured_ < 0.97 * *known;
}

double PeakMeter::flops() const { return falls_short() ? *known_flops() : measured_; }

std::string PeakMeter::remark() const {
  if (falls_short()) {
    return fmt::format(
        "the peak ({}) measured {:.1f} GFLOP/s; at {:.2f} GHz this machine is known to reach "
        "{:.1f}, which shares are taken of: something slows its cores",
        name_of(peak_), measured_ * 1e-9, clock_hz_ * 1e-9, *known_flops() * 1e-9);
  }
  if (last_clock_hz_ < 0.97 * clock_hz_) {
    return fmt::format("the clock fell from {:.2f} to {:.2f} GHz: the machine is throttled or busy",
                       clock_hz_ * 1e-9, last_clock_hz_ * 1e-9);
  }
  return {};
}

}  // namespace strobe::harness
