// o and lse from the states of leaves: the merge of semantics/softmax_state.hpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/decode_task.hpp"
#include "cpu/tiles/rules.hpp"
#include "cpu/tiles/state.hpp"

namespace strobe::cpu::STROBE_ISA {

/// o and lse of the rows of a task's key heads, of its only sequence: the states of all leaves,
/// folded left to right as the tile kernel folds them.
template <class C>
class Combine {
  using Element = typename C::Element;
  using Real = RealOf<C>;
  using Vec = VecOf<C>;

 public:
  Combine(const ForwardParams& p, const DecodeTask& task, std::byte* memory)
      : p_(p),
        task_(task),
        total_(reinterpret_cast<Real*>(memory)),
        scale_(split_scale<C>(p.softmax_scale)),
        unit_(rules_of<C>(p, {task.member[0].sequence, 0, 0, 0}, scale_.score).unit) {}

  void run() {
    const Sequence& n = task_.member[0].sequence;
    const std::int64_t group = p_.num_heads / p_.num_heads_kv;
    for (std::int64_t h = 0; h < task_.kv_heads; ++h) {
      const std::int64_t kv_head = task_.first_kv_head + h;
      for (std::int64_t row = 0; row < n.lengths.q * group; ++row) {
        fold_leaves(kv_head, row);
        store(decode_row(p_, kv_head, row));
      }
      for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
        clear_rows(p_, {n, head, 0, 0}, n.lengths.q, n.rows - n.lengths.q);
    }
  }

 private:
  void fold_leaves(std::int64_t kv_head, std::int64_t row) {
    const std::int64_t rows = task_.member[0].sequence.lengths.q * (p_.num_heads / p_.num_heads_kv);
    const std::int64_t dims = p_.head_dim_v;
    row_max_ = C::Isa::set(C::kUnseen);
    row_sum_ = C::Isa::zero();
    bool first = true;
    for (std::int64_t leaf = 0; leaf < task_.leaves; ++leaf) {
      const std::int64_t at = (leaf * p_.num_heads_kv + kv_head) * rows + row;
      const Real* const sums = static_cast<const Real*>(task_.member[0].states.sums) + 2 * at;
      if (sums[1] == 0) continue;  // the row saw none of its keys
      const Real* const o = static_cast<const Real*>(task_.member[0].states.o) + at * dims;
      const Vec leaf_max = C::Isa::set(sums[0]), leaf_sum = C::Isa::set(sums[1]);
      const MergeWeights<C> w = merge_weights<C>(row_max_, leaf_max, scale_.score);
      row_max_ = first ? leaf_max : w.now;
      row_sum_ = first ? leaf_sum : C::Isa::fma(w.a, row_sum_, C::Isa::mul(w.b, leaf_sum));
      for (std::int64_t d = 0; d < dims; d += C::kLanes) {
        const Vec x = C::Isa::load_row(o + d, static_cast<int>(dims - d));
        C::Isa::store(total_ + d,
                      first ? x : C::Isa::fma(w.a, C::Isa::load(total_ + d), C::Isa::mul(w.b, x)));
      }
      first = false;
    }
    for (std::int64_t d = 0; first && d < dims; d += C::kLanes)
      C::Isa::store(total_ + d, C::Isa::zero());
  }

  void store(const DecodeRow& row) {
    const Sequence& n = task_.member[0].sequence;
    const Sink<C> sink = sink_of<C>(p_, row.head, unit_);
    Vec gain = C::Isa::set(1);
    if (sink.given) {
      SinkSums<C> sums{row_max_, row_sum_};
      gain = sums.add(sink, scale_.score);
      row_max_ = sums.row_max;
      row_sum_ = sums.row_sum;
    }
    const std::int64_t at = n.first_q + row.query;
    const std::int64_t offset = p_.o_strides.offset(n.batch, at, row.head);
    const Vec inverse = inverse_of<C>(row_sum_, Real(1));
    for (std::int64_t d = 0; d < p_.head_dim_v; d += C::kLanes) {
      const Vec x = output_of<C>(C::Isa::mul(gain, C::Isa::load(total_ + d)), inverse);
      const int left = static_cast<int>(p_.head_dim_v - d);
      if (p_.o_dtype == DType::f32)
        C::Isa::store_row(static_cast<float*>(p_.o) + offset + d, x, left);
      else
        C::Isa::store_row(static_cast<Element*>(p_.o) + offset + d, x, left);
    }
    if (p_.lse == nullptr) return;
    alignas(64) Real lse[C::kLanes];
    C::Isa::store(lse, lse_of<C>(row_max_, row_sum_, scale_.score, sink));
    static_cast<Real*>(p_.lse)[p_.lse_strides.offset(n.batch, at, row.head)] = lse[0];
  }

  const ForwardParams& p_;
  const DecodeTask& task_;
  Real* total_;  // [head_dim_v], in whole vectors
  ScaleSplit<C> scale_;
  Real unit_;
  Vec row_max_, row_sum_;  // of the row, in every lane
};

}  // namespace strobe::cpu::STROBE_ISA
