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

/// BLAS reads and writes f32 rows where they lie, if they do not overlap.
bool in_place(DType dtype, std::int64_t row_stride, std::int64_t dim) {
  return dtype == DType::f32 && row_stride >= std::max<std::int64_t>(1, dim);
}

/// Elements that a head's q, k, v and o take where they must be copied, in this order.
struct CopySizes {
  explicit CopySizes(const ForwardParams& p, Lengths most)
      : q(in_place(p.dtype, p.q_strides.row, p.head_dim) ? 0 : times(most.q, p.head_dim)),
        k(in_place(p.dtype, p.k_strides.row, p.head_dim) ? 0 : times(most.k, p.head_dim)),
        v(in_place(p.dtype, p.v_strides.row, p.head_dim_v) ? 0 : times(most.k, p.head_dim_v)),
        o(in_place(p.o_dtype, p.o_strides.row, p.head_dim_v) ? 0 : times(most.q, p.head_dim_v)) {}
  std::int64_t q, k, v, o;
  std::int64_t total() const { return plus(plus(q, k), plus(v, o)); }
};

HostTensor floats(std::int64_t count) {
  return count > 0 ? HostTensor(DType::f32, {count}) : HostTensor();
}

float* floats_of(HostTensor& tensor) { return reinterpret_cast<float*>(tensor.data()); }

/// Memory of one head that is being worked on.
struct Scratch {
  HostTensor scores{}, q{}, k{}, v{}, o{};
};

/// One head of one sequence, its matrices in f32.
struct Head {
  Sequence sequence{};
  std::int64_t head = 0;
  Rows q_rows{}, k_rows{}, v_rows{};
  ConstMatrix q{}, k{}, v{};
  Matrix scores{}, o{};
};

/// The rows where they lie, or where widen_rows puts them.
ConstMatrix matrix_of(const Rows& rows, HostTensor& copy) {
  if (copy.data() != nullptr) return {floats_of(copy), rows.dim};
  return {static_cast<const float*>(rows.data) + rows.first, rows.stride};
}

Head head_of(const ForwardParams& p, std::int64_t task, Scratch& memory) {
  Head h;
  h.sequence = sequence(p, task / p.num_heads);
  h.head = task % p.num_heads;
  const Sequence& s = h.sequence;
  const std::int64_t kv = p.kv_head(h.head);
  const auto rows = [&](const void* data, const Strides& strides, std::int64_t first,
                        std::int64_t head) {
    return Rows{data, p.dtype, strides.offset(s.batch, first, head), strides.row, p.head_dim};
  };
  h.q_rows = rows(p.q, p.q_strides, s.first_q, h.head);
  h.k_rows = rows(p.k, p.k_strides, s.first_k, kv);
  h.v_rows = rows(p.v, p.v_strides, s.first_k, kv);
  h.v_rows.dim = p.head_dim_v;
  h.q = matrix_of(h.q_rows, memory.q);
  h.k = matrix_of(h.k_rows, memory.k);
  h.v = matrix_of(h.v_rows, memory.v);
  h.scores = {floats_of(memory.scores), s.lengths.k};
  if (memory.o.data() != nullptr) {
    h.o = {floats_of(memory.o), p.head_dim_v};
  } else {
    h.o = {static_cast<float*>(p.o) + p.o_strides.offset(s.batch, s.first_q, h.head),
           p.o_strides.row};
  }
  return h;
}

/// Copies part `part` of q, k and v where they cannot be read in place.
void prepare(const Head& h, Scratch& memory, std::int64_t part, std::int64_t parts) {
  const auto copy = [&](const Rows& from, std::int64_t n, HostTensor& to) {
    const Range range = part_of(n, part, parts);
    if (to.data() != nullptr) widen_rows(from, range, floats_of(to) + range.begin * from.dim);
  };
  copy(h.q_rows, h.sequence.lengths.q, memory.q);
  copy(h.k_rows, h.sequence.lengths.k, memory.k);
  copy(h.v_rows, h.sequence.lengths.k, memory.v);
}

void store_lse(const ForwardParams& p, const Head& h, std::int64_t row, double lse) {
  if (p.lse == nullptr) return;
  const Sequence& s = h.sequence;
  store_element(p.lse, p.lse_dtype, p.lse_strides.offset(s.batch, s.first_q + row, h.head), lse);
}

/// S = scale Q K^T, P = softmax(S), O = P V for rows of a head.
void attend(const ForwardParams& p, const Head& h, Range range) {
  const Lengths n = h.sequence.lengths;
  const std::int64_t rows = range.size();
  const ConstMatrix q{h.q.data + range.begin * h.q.row, h.q.row};
  const Matrix scores{h.scores.data + range.begin * h.scores.row, h.scores.row};
  const Matrix o{h.o.data + range.begin * h.o.row, h.o.row};

  multiply_transposed(q, h.k, scores, {rows, n.k, p.head_dim}, static_cast<float>(p.softmax_scale));
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t i = range.begin + row;
    const Columns seen = columns_of(row_keys(p, h.sequence, h.head, i));
    float* const s = scores.data + row * scores.row;
    for (const Range& keys : {seen.sinks, seen.window})
      rule_row(p, {h.sequence, h.head, i, keys.begin}, keys.size(), s + keys.begin);
    const auto sink = static_cast<float>(sink_logit(p, h.head));
    store_lse(p, h, i, softmax_row(s, n.k, seen, {p.dtype, sink}));
    for (const Range& keys : {seen.sinks, seen.window})
      drop_row(p, {h.sequence, h.head, i, keys.begin}, keys.size(), s + keys.begin);
  }
  multiply({scores.data, scores.row}, h.v, o, {rows, p.head_dim_v, n.k});
}

/// Rounds rows to o's type where the product could not be written in place.
void store(const ForwardParams& p, const Head& h, Scratch& memory, Range range) {
  if (memory.o.data() == nullptr) return;
  const Sequence& s = h.sequence;
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const std::int64_t first = p.o_strides.offset(s.batch, s.first_q + row, h.head);
    for (std::int64_t d = 0; d < p.head_dim_v; ++d)
      store_element(p.o, p.o_dtype, first + d, h.o.data[row * h.o.row + d]);
  }
}

/// Rows past the sequence's length.
void store_padding(const ForwardParams& p, const Head& h) {
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
      fmt::format("{}: {} score matri{} of {} x {} floats and the copies of a head take "
                  "{:.1f} GiB, the machine has {:.1f} GiB available; take shorter "
                  "sequences or fewer threads, or leave the baseline out",
                  kWhere, held, held == 1 ? "x" : "ces", most.q, most.k,
                  static_cast<double>(bytes) / kGibibyte,
                  static_cast<double>(available) / kGibibyte));
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
  if (p.dtype != DType::f32 && p.dtype != DType::f16 && p.dtype != DType::bf16) {
    throw api::error("dtype-later", fmt::format("{}: the type is {}; it takes f32, f16 and bf16",
                                                kWhere, name_of(p.dtype)));
  }
  const std::int64_t held = matrices(p.batch * p.num_heads, std::max(1, threads));
  const Lengths most = longest(p);
  const CopySizes copies(p, most);
  const std::int64_t scores = times(most.q, most.k);
  state_->most = most;
  state_->score_bytes = times(held, times(scores, 4));
  state_->workspace_bytes = times(held, times(plus(scores, copies.total()), 4));
  const std::int64_t available = available_memory_bytes();
  if (state_->workspace_bytes > available)
    throw_no_memory(state_->workspace_bytes, most, held, available);
  for (std::int64_t i = 0; i < held; ++i) {
    state_->scratch.push_back(
        {floats(scores), floats(copies.q), floats(copies.k), floats(copies.v), floats(copies.o)});
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
  const std::int64_t heads = p.batch * p.num_heads;
  const bool whole_heads = static_cast<std::int64_t>(state_->scratch.size()) >= team.threads;
  const std::int64_t whole = whole_heads ? heads - heads % team.threads : 0;
  for_each_task(team, whole, [&](std::int64_t task, int worker) {
    Scratch& memory = state_->scratch[static_cast<std::size_t>(worker)];
    const Head h = head_of(p, task, memory);
    const Range all{0, h.sequence.lengths.q};
    prepare(h, memory, 0, 1);
    attend(p, h, all);
    store(p, h, memory, all);
    store_padding(p, h);
  });
  for (std::int64_t task = whole; task < heads; ++task) {
    Scratch& memory = state_->scratch.front();
    const Head h = head_of(p, task, memory);
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

std::int64_t StandardAttention::score_bytes() const { return state_->score_bytes; }
std::int64_t StandardAttention::workspace_bytes() const { return state_->workspace_bytes; }

std::int64_t standard_forward(const ForwardParams& p, const Team& team) {
  StandardAttention standard(p, team.threads);
  standard.run(p, team);
  return standard.score_bytes();
}

std::int64_t standard_score_bytes(const Problem& problem, int threads) {
  const std::int64_t heads = times(problem.batch, problem.num_heads);
  const std::int64_t one = times(times(problem.seqlen_q, problem.seqlen_k), 4);
  return times(matrices(heads, std::max(1, threads)), one);
}

std::int64_t full_score_bytes(const Problem& problem) {
  const std::int64_t heads = times(problem.batch, problem.num_heads);
  return times(heads, times(times(problem.seqlen_q, problem.seqlen_k), 4));
}

}  // namespace strobe::harness
