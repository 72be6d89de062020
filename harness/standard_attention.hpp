// Standard attention, the baseline: it stores the whole score matrix, as frameworks do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "harness/team.hpp"
#include "semantics/forward_params.hpp"
#include "strobe/problem.hpp"

namespace strobe::harness {

/// For every sequence and head: S = scale Q K^T by sgemm into a matrix of seqlen_q x seqlen_k
/// floats, softmax in place (vectorised, exp good to one ulp), O = P V by sgemm. For f16 and bf16,
/// q, k and v are widened to f32 first and the normalised P is rounded to that type; products and
/// sums are f32. For f64 all of it is f64.
///
/// Threads: with as many heads (batch x num_heads) as threads, each thread takes whole heads and
/// has a score matrix of its own; with fewer, the threads share one matrix and cut each of the
/// three steps by rows. BLAS itself is single-threaded: OpenBLAS's own threads were slower at
/// every attention shape tried (notes in the source).
///
/// Keys may lie in a contiguous cache, not in pages.
///
/// Masked scores are computed, as in frameworks, but softmax visits only what a row sees. A
/// non-finite v under the mask reaches the row (0 * NaN), also as in frameworks.
class StandardAttention {
 public:
  /// Allocates for problems like `p` (pointers may differ from run to run) on up to `threads`.
  /// Throws Error(out_of_memory), with the bytes, when the matrices take more than is available:
  /// before any allocation.
  StandardAttention(const ForwardParams& p, int threads);
  ~StandardAttention();
  StandardAttention(const StandardAttention&) = delete;
  StandardAttention& operator=(const StandardAttention&) = delete;

  /// Writes o and, where given, lse. `team` has at most the threads planned for.
  void run(const ForwardParams& p, const Team& team);

  /// Bytes of the score matrices that are held.
  std::int64_t score_bytes() const;
  /// All that is held: scores, and widened or copied q, k, v and o.
  std::int64_t workspace_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One run; returns the bytes of its score matrices.
std::int64_t standard_forward(const ForwardParams& p, const Team& team);

/// Bytes of the score matrices that StandardAttention would hold: one of seqlen_q x seqlen_k
/// numbers for each thread where there are as many heads, else one. The largest int64 where that
/// overflows.
std::int64_t standard_score_bytes(const Problem& problem, int threads);
/// Bytes of the scores of all heads at once, in f32 (f64 for f64): what frameworks allocate.
std::int64_t full_score_bytes(const Problem& problem);

/// A few rows [first, first + rows) of one head on the keys that any of them sees, with the same
/// steps and types but sums in one order on every machine (ordered_products.hpp), so that a verdict
/// on accuracy is the same everywhere: o [rows, head_dim_v] before it is rounded to the output's
/// type, lse [rows], both exact as double. Allocates what it needs. Rows past the sequence's length
/// get 0 and -inf.
struct StandardRows {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t first = 0;
  std::int64_t rows = 1;
};
void standard_rows(const ForwardParams& p, const StandardRows& which, double* o, double* lse);

/// What computes the products: "OpenBLAS 0.3.21 gemm (Haswell kernels)", or, where no OpenBLAS can
/// be loaded, "plain loops (no OpenBLAS found)": then do not publish times.
std::string standard_products();

}  // namespace strobe::harness
