// The tasks of a decode call and their order; sequences that share pages share tasks.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/decode_task.hpp"

namespace strobe::cpu {

/// What a task is. Moves work, never bits.
struct DecodeCut {
  std::int64_t leaves = 1;     ///< of a task, at most
  std::int64_t kv_heads = 1;   ///< of a task, at most
  std::int64_t sequences = 1;  ///< that share its pages, at most; up to kMostMembers
};

/// A sequence in the order of the tasks.
struct DecodePlace {
  std::int64_t sequence = 0;
  std::int64_t first_leaf = 0;  ///< of the leaf states
  std::int64_t shared = 0;      ///< parts whose keys are those of the place before
};

/// Some leaves of sequences next to each other in the order, for all their key heads.
struct DecodePiece {
  std::int64_t part = 0;  ///< leaves [part * cut.leaves, (part + 1) * cut.leaves)
  std::int32_t place = 0;
  std::int32_t members = 0;
};

/// Parts of a sequence; one without keys has a part too: its rows are written.
std::int64_t count_parts(std::int64_t leaves, const DecodeCut& cut);

/// All tasks of a call, numbered. Those of several sequences come first, then sequences from the
/// longest on, within one the parts from the first on, within those the key heads.
class DecodeOrder {
 public:
  /// Memory of the order.
  struct Room {
    std::span<DecodePlace> places;  ///< [batch]
    std::span<DecodePiece> pieces;  ///< [batch * parts of the longest]
    std::span<std::int32_t> left;   ///< [batch * head sets]: tasks that are not done
  };

  DecodeOrder(const ForwardParams& p, const DecodeCut& cut, const Room& room);

  std::int64_t count() const { return pieces_ * head_sets_; }

  /// With the leaf states of each of its sequences, which begin at `states`.
  DecodeTask task(std::int64_t index, const LeafStates& states, std::size_t number_bytes) const;

  /// Counts the task; was it the last one of this member's key heads?
  bool finish(const DecodeTask& task, int member) const;

  /// The same key heads of one member, with all leaves.
  DecodeTask whole(const DecodeTask& task, int member) const;

 private:
  void sort_places();
  void find_shared();
  bool shares(std::int64_t place, std::int64_t part) const;
  void add_shared_pieces();
  void add_own_pieces();
  void add(std::int64_t part, std::int64_t place, std::int64_t members);
  std::int64_t parts_of(std::int64_t place) const;
  std::size_t counter(std::int64_t sequence, std::int64_t first_kv_head) const;

  const ForwardParams& p_;
  DecodeCut cut_;
  Room room_;
  std::int64_t head_sets_;
  std::int64_t pieces_ = 0;
};

}  // namespace strobe::cpu
