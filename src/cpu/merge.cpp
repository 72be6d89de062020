// Folds the parts of each row, some dims at a time, and rounds once.
// SPDX-License-Identifier: Apache-2.0
#include "cpu/merge.hpp"

#include <algorithm>
#include <array>

#include "cpu/threads.hpp"
#include "semantics/softmax_state.hpp"

namespace strobe::cpu {
namespace {

/// Dims that are folded at a time, on the stack; beyond them the weights are computed once more.
constexpr std::int64_t kDims = 256;
/// Rows that a worker claims at a time.
constexpr std::int64_t kRows = 16;

struct Row {
  std::int64_t batch = 0;
  std::int64_t row = 0;
  std::int64_t head = 0;
};

/// In elements, of an o; its dims are contiguous.
std::int64_t o_offset(const Shape& strides, const Row& at) {
  return at.batch * strides[0] + at.row * strides[1] + at.head * strides[2];
}

std::int64_t lse_offset(const Shape& strides, const Row& at) {
  return at.batch * strides[0] + at.head * strides[1] + at.row * strides[2];
}

/// The parts of one row as one, over o.size() dims from `first` on.
template <class T>
SoftmaxState<T> fold(std::span<const Partial> parts, const Row& at, std::int64_t first,
                     std::span<T> o) {
  SoftmaxState<T> all;
  std::ranges::fill(o, T(0));
  for (const Partial& part : parts) {
    const auto state = SoftmaxState<T>::of_lse(
        static_cast<const T*>(part.lse.data)[lse_offset(part.lse.strides, at)]);
    if (state.empty()) continue;  // its o may be NaN
    const std::span<const T> part_o(
        static_cast<const T*>(part.o.data) + o_offset(part.o.strides, at) + first, o.size());
    if (!all.empty()) {
      merge_into(all, o, state, part_o);
      continue;
    }
    std::ranges::copy(part_o, o.begin());  // not 0 * 0 + o, which loses the sign of a zero
    all = state;
  }
  return all;
}

/// One more score without a value; -inf where there is none.
template <class T>
SoftmaxState<T> sink_state(const ConstTensorView& sink_logits, std::int64_t head) {
  if (!sink_logits.given()) return {};
  return SoftmaxState<T>::of_lse(
      static_cast<const T*>(sink_logits.data)[head * sink_logits.strides[0]]);
}

template <class T, class Out>
void merge_row(const MergeTensors& t, const Row& at) {
  const std::int64_t dims = t.o.shape[3];
  const SoftmaxState<T> sink = sink_state<T>(t.sink_logits, at.head);
  std::array<T, kDims> memory;
  std::int64_t first = 0;
  Merged<T> merged;
  do {  // once even where there are no dims: lse is wanted all the same
    const std::span<T> o =
        std::span(memory).first(static_cast<std::size_t>(std::min(kDims, dims - first)));
    merged = strobe::merge(fold(t.parts, at, first, o), sink);
    const T scale = merged.weight_a * merged.state.inverse_sum();
    Out* const to = static_cast<Out*>(t.o.data) + o_offset(t.o.strides, at) + first;
    for (std::size_t d = 0; d < o.size(); ++d) to[d] = static_cast<Out>(o[d] * scale);
    first += kDims;
  } while (first < dims);
  if (t.lse.given())
    static_cast<T*>(t.lse.data)[lse_offset(t.lse.strides, at)] = merged.state.lse();
}

/// Rows [item * kRows, ...) of [batch, seqlen_q, num_heads].
template <class T, class Out>
void merge_rows(const MergeTensors& t, const Parallel& parallel, int threads) {
  const std::int64_t rows = t.o.shape[1], heads = t.o.shape[2];
  const std::int64_t count = t.o.shape[0] * rows * heads;
  run_items(parallel, threads, count / kRows + (count % kRows != 0 ? 1 : 0),
            [&](std::int64_t item, int) {
              const std::int64_t end = std::min(count, (item + 1) * kRows);
              for (std::int64_t i = item * kRows; i < end; ++i)
                merge_row<T, Out>(t, {i / heads / rows, i / heads % rows, i % heads});
            });
}

}  // namespace

void merge(const MergeTensors& tensors, const Parallel& parallel, int threads) {
  switch (tensors.o.dtype) {
    case DType::f32: return merge_rows<float, float>(tensors, parallel, threads);
    case DType::f16: return merge_rows<float, float16>(tensors, parallel, threads);
    case DType::bf16: return merge_rows<float, bfloat16>(tensors, parallel, threads);
    case DType::f64: return merge_rows<double, double>(tensors, parallel, threads);
    default: return;
  }
}

}  // namespace strobe::cpu
