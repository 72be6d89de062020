// What this machine can do at best, measured: products, clock, memory reads; and what is known.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/machine.hpp"
#include "harness/team.hpp"
#include "strobe/tensor.hpp"

namespace strobe::harness {

/// A loop of independent chains in registers, the most operations a core can do in one way.
enum class Peak : std::int32_t {
  mul_add_f32_128,  ///< multiplications and additions of 128-bit vectors (fused on aarch64)
  mul_add_f64_128,
  fma_f32_256,  ///< fused multiply-add, 256-bit vectors
  fma_f64_256,
  fma_f32_512,
  fma_f64_512,
  dot_bf16_512,  ///< vdpbf16ps: two bf16 products an element, summed in f32
};

/// "FMA f32, 512-bit"
const char* name_of(Peak peak);

/// The loop that kernels of this backend are held against: the dot product for bf16 where the
/// backend has it, else FMA f32; f64 for f64; vectors as wide as the backend's own.
/// Names: "cpu:avx512bf16", "cpu:avx512", "cpu:avx2", "cpu:portable", "reference" (as portable),
/// and "cpu" or "" for the best of this machine. Kernel names ("cpu:avx512 forward f32") will do.
/// Throws Error(unsupported) for other names.
Peak peak_for(std::string_view backend, DType dtype);

/// Whether this build and this machine can run the loop.
bool available(Peak peak);

/// Every loop that can run here.
std::vector<Peak> available_peaks();

struct PeakOptions {
  double seconds = 0.02;  ///< of one repeat
  int repeats = 5;
};

/// FLOPs a second on all threads of the team: each thread's own rate, summed; the median of the
/// repeats. Rates are by CPU time: these loops touch no memory, so a busy machine does not lower
/// them, and a share of the peak never flatters. The team's workers must run at once where threads
/// share cores. Throws Error(device) when the machine lacks the instructions.
double measure_peak(Peak peak, const Team& team, const PeakOptions& options = {});

/// Bytes a second that the team reads from `buffers` in one pass over all of them, each byte by one
/// thread. Alternate it with the kernel over the same buffers. 0 where they hold nothing.
double read_bandwidth(std::span<const std::span<const std::byte>> buffers, const Team& team);

/// The memory that a tensor spans, first element to last, gaps between them included.
std::span<const std::byte> bytes_of(const ConstTensorView& view);

/// Cycles a second of the calling thread's core: dependent additions, one a cycle, best of a few
/// repeats of about a millisecond.
double core_clock_hz();

/// FLOPs a cycle of one core, from the makers' documents and our own measurements; nothing for
/// cores that the table does not have.
std::optional<double> known_flops_per_cycle(const Machine& machine, Peak peak);

/// A peak measured before and after the work whose share of it is told.
class PeakMeter {
 public:
  /// Measures at once, peak and clock.
  PeakMeter(Peak peak, const Team& team, const PeakOptions& options = {});
  /// Measures again; the larger counts.
  void measure();

  Peak peak() const { return peak_; }
  /// FLOPs a second on all threads that a share is taken of: the largest measured, or the known
  /// ones where the measured fall short of them by over 3 %.
  double flops() const;
  double measured_flops() const { return measured_; }
  double clock_hz() const { return clock_hz_; }  ///< the highest measured
  /// What the cores of that many threads are known to do at that clock.
  std::optional<double> known_flops() const;
  /// Empty, or a sentence: the measured peak fell short of the known one by over 3 %, or the clock
  /// fell by over 3 % between two measurements (throttling).
  std::string remark() const;

 private:
  bool falls_short() const;

  Peak peak_;
  Team team_;
  PeakOptions options_;
  int cores_ = 1;  ///< that the team's threads can fill
  double measured_ = 0.0;
  double clock_hz_ = 0.0;
  double last_clock_hz_ = 0.0;
  std::optional<double> flops_per_cycle_{};
};

}  // namespace strobe::harness
