// How far a forward result is from float64, beside how far standard attention is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/hard_values.hpp"
#include "harness/team.hpp"
#include "semantics/forward_params.hpp"
#include "strobe/attention.hpp"
#include "strobe/plan.hpp"
#include "strobe/problem.hpp"

namespace strobe::harness {

/// Differences from float64 over the rows that were compared; infinities and NaN are left out.
struct Errors {
  double max_abs = 0.0;
  double rel_rms = 0.0;  ///< sqrt(sum of squared differences / sum of squared references)
};

/// Where an element is: `dim` is -1 for lse. Rows count inside their sequence.
struct Place {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t row = 0;
  std::int64_t dim = -1;
};

struct Comparison {
  std::int64_t rows = 0;      ///< compared with float64
  std::int64_t rows_all = 0;  ///< of the result; all were looked at for NaN, and padding for 0
  std::int64_t values = 0;    ///< elements of o compared
  bool sampled = false;       ///< rows < rows_all
  double largest_o = 0.0;     ///< the largest |o| of float64 in the rows compared
  double largest_lse = 0.0;   ///< the same of finite lse
  Errors o{};                 ///< the result's
  Errors standard_o{};        ///< standard attention's
  Errors lse{};               ///< rel_rms is the plain root mean square here
  Errors standard_lse{};
  double o_tolerance = 0.0;    ///< for o.max_abs: twice o_tolerance(), see accuracy.cpp
  double rms_tolerance = 0.0;  ///< for o.rel_rms; 0: too few values to judge by it
  double lse_tolerance = 0.0;  ///< for lse.max_abs
  bool lse_given = false;
  Place worst_o{};
  Place worst_lse{};
  /// What is wrong, each with place and values: unwritten and non-finite elements first. Empty:
  /// passed. At most 8, then the number of further ones.
  std::vector<std::string> failures{};

  bool passed() const { return failures.empty(); }
  /// A few lines for people: errors beside standard attention's, tolerances, failures.
  std::string to_string() const;
};

/// The distance of neighbouring numbers of this type just above `value`.
double ulp(double value, DType dtype);

/// error <= 1.25 x standard + 2 ulp of the largest |o|, or 32 where that is denormal: such a sum
/// rounds to the same step at every addition, not only at its end. An ulp is that of the type to
/// which P is rounded, the problem's dtype, or of o's where that is coarser.
double o_tolerance(double standard_error, double largest_o, DType dtype, DType o_dtype);

/// For the root mean square, where at least 1000 values of 48 rows are compared: 1.25 x standard +
/// a slack relative to o: 1 ulp (2^-23, 2^-52) of an f32 or f64 o, a quarter of one (2^-9, 2^-12)
/// of a bf16 or f16 o. Steadier than the largest error, it has teeth where bf16 inputs give f32
/// outputs.
double rms_tolerance(double standard_rms, DType o_dtype);

/// error <= 1.25 x standard + 2 ulp of the largest |lse| or 1, plus what an exp of the type's
/// accuracy leaves in the sum of p, which the logarithm turns into an absolute error: 2^-21 for f32
/// and f16, 2^-50 for f64 (exp to 4 ulp), 2^-13 for bf16 (exp 16 times finer than P's rounding,
/// 2^-9).
double lse_tolerance(double standard_error, double largest_lse, DType dtype);

struct CompareOptions {
  std::uint64_t seed = 0;  ///< of the sampled rows
  /// Below this many visible pairs (of all heads) every row is compared, else a sample of at least
  /// 48: tile edges of several heads and sequences, and rows drawn evenly.
  std::int64_t full_below = std::int64_t{1} << 24;
  /// Told the share that is done, 0 to 1; called by one thread at a time.
  std::function<void(double)> progress{};
  double slack =
      1.0;  ///< on every tolerance: for those who look for the worst of millions of calls
};

/// Compares p.o and, where given, p.lse, with float64 on the same inputs; of a quantised cache, on
/// the values of its codes, which standard attention reads rounded to q's type.
/// Found besides, in every row, sampled or not: elements never written (all bits set, as
/// output_tensors leaves them), rows that see no key with o != 0 or lse != -inf, and, where the
/// inputs are finite, NaN and infinities. In compared rows NaN and infinities must be those of
/// float64.
Comparison compare_forward(const ForwardParams& p, const Team& team,
                           const CompareOptions& options = {});

/// The rows that a sample compares, in order and without repeats.
std::vector<Place> sampled_rows(const ForwardParams& p, std::uint64_t seed);

struct CheckResult {
  Problem problem{};
  Draw draw{0};
  PlanOptions options{};  ///< as asked for, but for the threads that there are
  std::string kernel{};   ///< that ran: "cpu:avx512 forward f32", "reference"
  Comparison comparison{};

  bool passed() const { return comparison.passed(); }
  /// strobe check "b2 h8 ..." --backend cpu:avx512 --values rising --seed 7 --threads 2; the
  /// backend is that of the kernel that ran, also where none was asked for.
  std::string command() const;
  /// The case, the comparison, and where it failed "reproduce: " with the command.
  std::string to_string() const;
};

/// Runs forward on drawn tensors of the problem with a backend ("reference" too; "" is the best)
/// and compares. Throws what Plan throws.
CheckResult check_forward(const Problem& problem, const Draw& draw, const std::string& backend,
                          int threads, const std::function<void(double)>& progress = {});

/// The same for decode, `options` a plan's with op decode. What was appended must be what the
/// reference appends, to the bit or, where keys were turned, to an ulp; all else in the cache must
/// be as it was.
CheckResult check_decode(const Problem& problem, const Draw& draw, const PlanOptions& options,
                         const std::function<void(double)>& progress = {});

/// Runs one forward pass as the tool does: "reference" in float64, all else through a Plan with a
/// pool of `threads`. Returns the kernel's name. `tensors` must pose `problem`. The reference,
/// which is slow, tells `progress` what share is done.
std::string run_forward(const Problem& problem, const ForwardTensors& tensors,
                        const std::string& backend, int threads,
                        const std::function<void(double)>& progress = {});

/// The same for decode; the cache is appended to where new keys are given.
std::string run_decode(const Problem& problem, const DecodeTensors& tensors,
                       const PlanOptions& options,
                       const std::function<void(double)>& progress = {});

/// The float64 reference on every head, each by one thread of the team.
void run_reference(const ForwardParams& p, const Team& team,
                   const std::function<void(double)>& progress = {});

}  // namespace strobe::harness
