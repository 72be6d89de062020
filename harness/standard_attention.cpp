// Standard attention: three steps over a stored score matrix, products by BLAS.
// SPDX-License-Identifier: Apache-2.0
#include "harness/standard_attention.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "api/messages.hpp"
#include "harness/host_tensor.hpp"
#include "harness/machine.hpp"
#include "harness/standard_products.hpp"
#include "harness/standard_softmax.hpp"
#include "semantics/number_formats.hpp"

namespace strobe::harness {
namespace {

constexpr std::int64_t kOverflow = std::numeric_limits<std::int64_t>::max();
constexpr const char* kWhere = "strobe::harness::StandardAttention";

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kOverflow : product;
}

std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kOverflow : sum;
}

/// Score matrices that are held at once: one for each thread where the heads suffice.
std::int64_t matrices(std::int64_t heads, int threads) { return heads >= threads ? threads : 1; }

/// Part `part` of `parts` of n rows, cut at multiples of 16.
Range part_of(std::int64_t n, std::int64_t part, std::int64_t parts) {
  const auto border = [&](std::int64_t i) { return i == parts ? n : n * i / parts / 16 * 16; };
  return {border(part), border(part + 1)};
}

Lengths longest(const ForwardParams& p) {
  Lengths most;
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const Lengths one = sequence(p, b).lengths;
    most = {std::max(most.q, one.q), std::max(most.k, one.k)};
  }
  return most;
}

/// What is computed in, and what scores are stored as: f32, for f64 f64.
DType real_of(DType dtype) { return lse_dtype_of(dtype); }

/// BLAS reads and writes rows of its own type where they lie, if they do not overlap.
bool in_place(DType dtype, DType real, std::int64_t row_stride, std::int64_t dim) {
  return dtype == real && row_stride >= std::max<std::int64_t>(1, dim);
}

/// Elements that a head's q, k, v and o take where they must be copied, in this order.
struct CopySizes {
  explicit CopySizes(const ForwardParams& p, Lengths most)
      : q(size(p, p.dtype, p.q_strides.row, {most.q, p.head_dim})),
        k(size(p, p.dtype, p.k_strides.row, {most.k, p.head_dim})),
        v(size(p, p.dtype, p.v_strides.row, {most.k, p.head_dim_v})),
        o(size(p, p.o_dtype, p.o_strides.row, {most.q, p.head_dim_v})) {}
  std::int64_t q, k, v, o;
  std::int64_t total() const { return plus(plus(q, k), plus(v, o)); }

 private:
  static std::int64_t size(const ForwardParams& p, DType dtype, std::int64_t stride, Shape shape) {
    return in_place(dtype, real_of(p.dtype), stride, shape[1]) ? 0 : times(shape[0], shape[1]);
  }
};

template <class Real>
Real* reals_of(HostTensor& tensor) {
  return reinterpret_cast<Real*>(tensor.data());
}

/// Memory of one head that is being worked on.
struct Scratch {
  HostTensor scores{}, q{}, k{}, v{}, o{};
};

/// One head of one sequence, its matrices in Real.
template <class Real>
struct Head {
  Sequence sequence{};
  std::int64_t head = 0;
  Rows q_rows{}, k_rows{}, v_rows{};
  ConstMatrix<Real> q{}, k{}, v{};
  Matrix<Real> scores{}, o{};
};

/// The rows where they lie, or where widen_rows puts them.
template <class Real>
ConstMatrix<Real> matrix_of(const Rows& rows, HostTensor& copy) {
  if (copy.data() != nullptr) return {reals_of<Real>(copy), rows.dim};
  return {static_cast<const Real*>(rows.data) + rows.first, rows.stride};
}

template <class Real>
Head<Real> head_of(const ForwardParams& p, std::int64_t task, Scratch& memory) {
  Head<Real> h;
  h.sequence = sequence(p, task / p.num_heads);
  h.head = task % p.num_heads;
  const Sequence& s = h.sequence;
  const std::int64_t kv = p.kv_head(h.head);
  h.q_rows = {p.q, p.dtype, p.q_strides.offset(s.batch, s.first_q, h.head), p.q_strides.row,
              p.head_dim};
  h.k_rows = {p.k, p.dtype, key_offset(p, s, p.k_strides, 0, kv), p.k_strides.row, p.head_dim};
  h.v_rows = {p.v, p.dtype, key_offset(p, s, p.v_strides, 0, kv), p.v_strides.row, p.head_dim_v};
  h.q = matrix_of<Real>(h.q_rows, memory.q);
  h.k = matrix_of<Real>(h.k_rows, memory.k);
  h.v = matrix_of<Real>(h.v_rows, memory.v);
  h.scores = {reals_of<Real>(memory.scores), s.lengths.k};
  if (memory.o.data() != nullptr) {
    h.o = {reals_of<Real>(memory.o), p.head_dim_v};
  } else {
    h.o = {static_cast<Real*>(p.o) + p.o_strides.offset(s.batch, s.first_q, h.head),
           p.o_strides.row};
  }
  return h;
}

/// Copies part `part` of q, k and v where they cannot be read in place.
template <class Real>
void prepare(const Head<Real>& h, Scratch& memory, std::int64_t part, std::int64_t parts) {
  const auto copy = [&](const Rows& from, std::int64_t n, HostTensor& to) {
    const Range range = part_of(n, part, parts);
    if (to.data() != nullptr) widen_rows(from, range, reals_of<Real>(to) + range.begin * from.dim);
  };
  copy(h.q_rows, h.sequence.lengths.q, memory.q);
  copy(h.k_rows, h.sequence.lengths.k, memory.k);
  copy(h.v_rows, h.sequence.lengths.k, memory.v);
}

template <class Real>
void store_lse(const ForwardParams& p, const Head<Real>& h, std::int64_t row, double lse) {
  if (p.lse == nullptr) return;
  const Sequence& s = h.sequence;
  store_element(p.lse, p.lse_dtype, p.lse_strides.offset(s.batch, s.first_q + row, h.head), lse);
}

/// S = scale Q K^T, P = softmax(S), O = P V for rows of a head.
template <class Real>
void attend(const ForwardParams& p, const Head<Real>& h, Range range) {
  const Lengths n = h.sequence.lengths;
  const std::int64_t rows = range.size();
  const ConstMatrix<Real> q{h.q.data + range.begin * h.q.row, h.q.row};
  const Matrix<Real> scores{h.scores.data + range.begin * h.scores.row, h.scores.row};
  const Matrix<Real> o{h.o.data + range.begin * h.o.row, h.o.row};

  multiply_transposed(q, h.k, scores, {rows, n.k, p.head_dim}, static_cast<Real>(p.softmax_scale));
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t i = range.begin + row;
    const Columns seen = columns_of(row_keys(p, h.sequence, h.head, i));
    Real* const s = scores.data + row * scores.row;
    for (const Range& keys : {seen.sinks, seen.window})
      rule_row(p, {h.sequence, h.head, i, keys.begin}, keys.size(), s + keys.begin);
    const auto sink = static_cast<Real>(sink_logit(p, h.head));
    store_lse(p, h, i, softmax_row<Real>(s, n.k, seen, {p.dtype, sink}));
    for (const Range& keys : {seen.sinks, seen.window})
      drop_row(p, {h.sequence, h.head, i, keys.begin}, keys.size(), s + keys.begin);
  }
  multiply<Real>({scores.data, scores.row}, h.v, o, {rows, p.head_dim_v, n.k});
}

/// Rounds rows to o's type where the product could not be written in place.
template <class Real>
void store(const ForwardParams& p, const Head<Real>& h, Scratch& memory, Range range) {
  if (memory.o.data() == nullptr) return;
  const Sequence& s = h.sequence;
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const std::int64_t first = p.o_strides.offset(s.batch, s.first_q + row, h.head);
    for (std::int64_t d = 0; d < p.head_dim_v; ++d)
      store_element(p.o, p.o_dtype, first + d, h.o.data[row * h.o.row + d]);
  }
}

/// Rows past the sequence's length.
template <class Real>
void store_padding(const ForwardParams& p, const Head<Real>& h) {
  const Sequence& s = h.sequence;
  for (std::int64_t row = s.lengths.q; row < s.rows; ++row) {
    const std::int64_t first = p.o_strides.offset(s.batch, s.first_q + row, h.head);
    for (std::int64_t d = 0; d < p.head_dim_v; ++d) store_element(p.o, p.o_dtype, first + d, 0.0);
    store_lse(p, h, row, -std::numeric_limits<double>::infinity());
  }
}

[[noreturn]] void throw_no_memory(std::int64_t bytes, Lengths most, std::int64_t held,
                                  std::int64_t available) {
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  throw api::error(
      "standard-memory",
      fmt::format("{}: {} score matri{} of {} x {} numbers and the copies of a head take "
                  "{:.1f} GiB, the machine has {:.1f} GiB available; take shorter "
                  "sequences or fewer threads, or leave the baseline out",
                  kWhere, held, held == 1 ? "x" : "ces", most.q, most.k,
                  static_cast<double>(bytes) / kGibibyte,
                  static_cast<double>(available) / kGibibyte));
}

/// All heads, with the scratch of as many as are worked on at once.
template <class Real>
void run_heads(const ForwardParams& p, const Team& team, std::vector<Scratch>& scratch) {
  const std::int64_t heads = p.batch * p.num_heads;
  const bool whole_heads = static_cast<std::int64_t>(scratch.size()) >= team.threads;
  const std::int64_t whole = whole_heads ? heads - heads % team.threads : 0;
  for_each_task(team, whole, [&](std::int64_t task, int worker) {
    Scratch& memory = scratch[static_cast<std::size_t>(worker)];
    const Head<Real> h = head_of<Real>(p, task, memory);
    const Range all{0, h.sequence.lengths.q};
    prepare(h, memory, 0, 1);
    attend(p, h, all);
    store(p, h, memory, all);
    store_padding(p, h);
  });
  for (std::int64_t task = whole; task < heads; ++task) {
    Scratch& memory = scratch.front();
    const Head<Real> h = head_of<Real>(p, task, memory);
    for_each_task(team, team.threads,
                  [&](std::int64_t part, int) { prepare(h, memory, part, team.threads); });
    for_each_task(team, team.threads, [&](std::int64_t part, int) {
      const Range rows = part_of(h.sequence.lengths.q, part, team.threads);
      attend(p, h, rows);
      store(p, h, memory, rows);
    });
    store_padding(p, h);
  }
}

}  // namespace

struct StandardAttention::State {
  std::vector<Scratch> scratch{};  ///< one for each head that is worked on at once
  Lengths most{};
  std::int64_t score_bytes = 0;
  std::int64_t workspace_bytes = 0;
};

StandardAttention::StandardAttention(const ForwardParams& p, int threads)
    : state_(std::make_unique<State>()) {
  if (p.dtype != DType::f32 && p.dtype != DType::f16 && p.dtype != DType::bf16 &&
      p.dtype != DType::f64) {
    throw api::error("dtype-input",
                     fmt::format("{}: the type is {}; it takes f32, f16, bf16 and f64", kWhere,
                                 name_of(p.dtype)));
  }
  const DType real = real_of(p.dtype);
  const auto reals = [&](std::int64_t count) {
    return count > 0 ? HostTensor(real, {count}) : HostTensor();
  };
  const std::int64_t held = matrices(p.batch * p.num_heads, std::max(1, threads));
  const Lengths most = longest(p);
  const CopySizes copies(p, most);
  const std::int64_t scores = times(most.q, most.k);
  state_->most = most;
  state_->score_bytes = times(held, times(scores, size_of(real)));
  state_->workspace_bytes = times(held, times(plus(scores, copies.total()), size_of(real)));
  const std::int64_t available = available_memory_bytes();
  if (state_->workspace_bytes > available)
    throw_no_memory(state_->workspace_bytes, most, held, available);
  for (std::int64_t i = 0; i < held; ++i) {
    state_->scratch.push_back(
        {reals(scores), reals(copies.q), reals(copies.k), reals(copies.v), reals(copies.o)});
  }
}

StandardAttention::~StandardAttention() = default;

void StandardAttention::run(const ForwardParams& p, const Team& team) {
  const Lengths most = longest(p);
  if (most.q > state_->most.q || most.k > state_->most.k) {
    throw api::error("plan-longer",
                     fmt::format("{}: a sequence has {} queries and {} keys and the plan was made "
                                 "for at most {} and {}; make a plan for the longest",
                                 kWhere, most.q, most.k, state_->most.q, state_->most.k));
  }
  if (p.dtype == DType::f64)
    run_heads<double>(p, team, state_->scratch);
  else
    run_heads<float>(p, team, state_->scratch);
}

std::int64_t StandardAttention::score_bytes() const { return state_->score_bytes; }
std::int64_t StandardAttention::workspace_bytes() const { return state_->workspace_bytes; }

std::int64_t standard_forward(const ForwardParams& p, const Team& team) {
  StandardAttention standard(p, team.threads);
  standard.run(p, team);
  return standard.score_bytes();
}

std::int64_t standard_score_bytes(const Problem& problem, int threads) {
  const std::int64_t heads = times(problem.batch, problem.num_heads);
  const std::int64_t one =
      times(times(problem.seqlen_q, problem.seqlen_k), size_of(real_of(problem.dtype)));
  return times(matrices(heads, std::max(1, threads)), one);
}

std::int64_t full_score_bytes(const Problem& problem) {
  const std::int64_t heads = times(problem.batch, problem.num_heads);
  return times(heads,
               times(times(problem.seqlen_q, problem.seqlen_k), size_of(real_of(problem.dtype))));
}

}  // namespace strobe::harness
