// SPDX-License-Identifier: Apache-2.0
#include "cpu/decode_order.hpp"

#include <algorithm>
#include <atomic>

namespace strobe::cpu {
std::int64_t count_parts(std::int64_t leaves, const DecodeCut& cut) {
  return std::max<std::int64_t>(1, ceil_div(leaves, cut.leaves));
}

DecodeOrder::DecodeOrder(const ForwardParams& p, const DecodeCut& cut, const Room& room)
    : p_(p), cut_(cut), room_(room), head_sets_(ceil_div(p.num_heads_kv, cut.kv_heads)) {
  for (std::int64_t b = 0; b < p.batch; ++b)
    room_.places[static_cast<std::size_t>(b)] = {.sequence = b};
  sort_places();
  find_shared();
  add_shared_pieces();
  add_own_pieces();
  std::int64_t leaf = 0;
  for (std::int64_t i = 0; i < p.batch; ++i) {
    DecodePlace& place = room_.places[static_cast<std::size_t>(i)];
    place.first_leaf = leaf;
    leaf += count_leaves(sequence(p, place.sequence).lengths.k);
    for (std::int64_t set = 0; set < head_sets_; ++set)
      room_.left[counter(place.sequence, set * cut.kv_heads)] =
          static_cast<std::int32_t>(parts_of(i));
  }
}

/// Sequences from the longest on; where they may share pages, those with the same first pages next
/// to each other.
void DecodeOrder::sort_places() {
  const bool by_pages = cut_.sequences > 1 && p_.page_table != nullptr;
  std::sort(
      room_.places.begin(), room_.places.end(), [&](const DecodePlace& a, const DecodePlace& b) {
        const Sequence m = sequence(p_, a.sequence), n = sequence(p_, b.sequence);
        if (by_pages) {
          const std::int64_t pages = ceil_div(m.lengths.k, p_.page_size);
          const std::int64_t others = ceil_div(n.lengths.k, p_.page_size);
          const auto [x, y] = std::mismatch(m.pages, m.pages + pages, n.pages, n.pages + others);
          if (x != m.pages + pages && y != n.pages + others) return *x < *y;
        }
        if (m.lengths.k != n.lengths.k) return m.lengths.k > n.lengths.k;
        return a.sequence < b.sequence;
      });
}

/// A part is shared where both sequences have all of its keys, in the same pages.
void DecodeOrder::find_shared() {
  if (cut_.sequences == 1 || p_.page_table == nullptr) return;
  for (std::size_t i = 1; i < room_.places.size(); ++i) {
    const Sequence a = sequence(p_, room_.places[i - 1].sequence);
    const Sequence b = sequence(p_, room_.places[i].sequence);
    const std::int64_t both = std::min(a.lengths.k, b.lengths.k);
    const auto [x, y] = std::mismatch(a.pages, a.pages + ceil_div(both, p_.page_size), b.pages);
    const std::int64_t keys = std::min(both, (x - a.pages) * p_.page_size);
    room_.places[i].shared = keys / (cut_.leaves * kLeafKeys);
  }
}

bool DecodeOrder::shares(std::int64_t place, std::int64_t part) const {
  return place < p_.batch && room_.places[static_cast<std::size_t>(place)].shared > part;
}

/// Runs of sequences that share a part, cut into pieces.
void DecodeOrder::add_shared_pieces() {
  std::int64_t most = 0;
  for (const DecodePlace& place : room_.places) most = std::max(most, place.shared);
  for (std::int64_t part = 0; part < most; ++part)
    for (std::int64_t first = 0, end = 0; first < p_.batch; first = end) {
      end = first + 1;
      while (shares(end, part)) ++end;
      for (std::int64_t at = first; end - first > 1 && at < end; at += cut_.sequences)
        add(part, at, std::min(cut_.sequences, end - at));
    }
}

/// Parts that a sequence has to itself.
void DecodeOrder::add_own_pieces() {
  for (std::int64_t place = 0; place < p_.batch; ++place)
    for (std::int64_t part = 0; part < parts_of(place); ++part)
      if (!shares(place, part) && !shares(place + 1, part)) add(part, place, 1);
}

void DecodeOrder::add(std::int64_t part, std::int64_t place, std::int64_t members) {
  room_.pieces[static_cast<std::size_t>(pieces_++)] = {part, static_cast<std::int32_t>(place),
                                                       static_cast<std::int32_t>(members)};
}

DecodeTask DecodeOrder::task(std::int64_t index, const LeafStates& states,
                             std::size_t number_bytes) const {
  const DecodePiece& piece = room_.pieces[static_cast<std::size_t>(index / head_sets_)];
  const auto bytes = static_cast<std::int64_t>(number_bytes);
  DecodeTask task;
  task.first_kv_head = index % head_sets_ * cut_.kv_heads;
  task.kv_heads = std::min(cut_.kv_heads, p_.num_heads_kv - task.first_kv_head);
  task.first_leaf = piece.part * cut_.leaves;
  task.members = piece.members;
  for (int i = 0; i < piece.members; ++i) {
    const DecodePlace& place =
        room_.places[static_cast<std::size_t>(std::int64_t{piece.place} + i)];
    DecodeMember& member = task.member[i];
    member.sequence = sequence(p_, place.sequence);
    // As far apart as the most queries need.
    const std::int64_t rows = p_.num_heads_kv * p_.seqlen_q * (p_.num_heads / p_.num_heads_kv);
    const std::int64_t before = place.first_leaf * rows;
    member.states.sums = static_cast<std::byte*>(states.sums) + before * 2 * bytes;
    member.states.o = static_cast<std::byte*>(states.o) + before * p_.head_dim_v * bytes;
  }
  const std::int64_t leaves = count_leaves(task.member[0].sequence.lengths.k);
  task.leaves = std::min(cut_.leaves, leaves - task.first_leaf);
  return task;
}

bool DecodeOrder::finish(const DecodeTask& task, int member) const {
  const std::size_t at = counter(task.member[member].sequence.index, task.first_kv_head);
  return std::atomic_ref<std::int32_t>(room_.left[at]).fetch_sub(1, std::memory_order_acq_rel) == 1;
}

DecodeTask DecodeOrder::whole(const DecodeTask& task, int member) const {
  DecodeTask all = task;
  all.members = 1;
  all.member[0] = task.member[member];
  all.first_leaf = 0;
  all.leaves = count_leaves(all.member[0].sequence.lengths.k);
  return all;
}

std::int64_t DecodeOrder::parts_of(std::int64_t place) const {
  const std::int64_t b = room_.places[static_cast<std::size_t>(place)].sequence;
  return count_parts(count_leaves(sequence(p_, b).lengths.k), cut_);
}

std::size_t DecodeOrder::counter(std::int64_t sequence, std::int64_t first_kv_head) const {
  return static_cast<std::size_t>(sequence * head_sets_ + first_kv_head / cut_.kv_heads);
}

}  // namespace strobe::cpu
