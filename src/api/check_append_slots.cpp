// New keys of a decode call go to slots of their own, which hold no key that the call sees.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"
#include "semantics/tile_walk.hpp"

namespace strobe::api {
namespace {

struct Key {
  std::int64_t sequence = 0;
  std::int64_t key = 0;
};

/// The keys of a call and the slots of the whole cache that hold them. What is said of pages holds
/// for the entries of a contiguous cache: each is one page of its sequence.
class Append {
 public:
  explicit Append(const DecodeTensors& t) : cache_(t.cache), side_(new_key_side(t)) {}

  std::int64_t batch() const { return side_.batch; }
  /// Keys that sequence `b` has before the call, and those that it gets.
  std::int64_t old_keys(std::int64_t b) const { return entries(cache_.cache_seqlens)[b]; }
  std::int64_t new_keys(std::int64_t b) const { return side_.length(b); }
  bool paged() const { return cache_.page_table.given(); }
  /// Slots of a page.
  std::int64_t slots() const { return cache_.k_cache.shape[1]; }

  /// Page `index` of sequence `b`.
  std::int64_t page(std::int64_t b, std::int64_t index) const {
    if (paged()) return entries(cache_.page_table)[b * cache_.page_table.strides[0] + index];
    return cache_.cache_batch_idx.given() ? entries(cache_.cache_batch_idx)[b] : b;
  }
  /// A key's slot, counted through the whole cache.
  std::int64_t slot(const Key& at) const {
    return page(at.sequence, at.key / slots()) * slots() + at.key % slots();
  }

  /// Calls visit(Key) for every new key, until it says true.
  template <class Visit>
  void find_new_key(Visit&& visit) const {
    for (std::int64_t b = 0; b < batch(); ++b)
      for (std::int64_t i = 0; i < new_keys(b); ++i)
        if (visit(Key{b, old_keys(b) + i})) return;
  }

 private:
  const KvCache& cache_;
  Side side_;
};

/// The new slots, rising, and which pages they may be of: most pages that are read are told from
/// those without a search.
class NewSlots {
 public:
  NewSlots(const Append& append, std::span<std::int64_t> room) : size_(append.slots()) {
    std::size_t count = 0;
    append.find_new_key([&](const Key& key) {
      const std::int64_t slot = append.slot(key);
      const Bit bit = bit_of(slot / size_);
      pages_[bit.word] |= bit.mask;
      room[count++] = slot;
      return false;
    });
    slots_ = room.first(count);
    std::ranges::sort(slots_);
  }

  std::span<const std::int64_t> all() const { return slots_; }

  static constexpr std::int64_t kNone = -1;
  /// The first one in places `places` of page `page`, or kNone.
  std::int64_t first_in(std::int64_t page, const Range& places) const {
    const Bit bit = bit_of(page);
    if ((pages_[bit.word] & bit.mask) == 0) return kNone;
    const auto found = std::ranges::lower_bound(slots_, page * size_ + places.begin);
    return found != slots_.end() && *found < page * size_ + places.end ? *found : kNone;
  }

 private:
  struct Bit {
    std::size_t word;
    std::uint64_t mask;
  };
  static Bit bit_of(std::int64_t page) {
    const auto number = static_cast<std::size_t>(page);
    return {number / 64 % kWords, std::uint64_t{1} << number % 64};
  }

  static constexpr std::size_t kWords = 256;  // 2 KiB of stack; 256 pages set 1.5 % of the bits
  std::int64_t size_;
  std::array<std::uint64_t, kWords> pages_{};
  std::span<std::int64_t> slots_{};
};

/// How a message names the slot: "place 1 of page 0".
std::string slot_text(const Append& append, std::int64_t slot) {
  return std::string(append.paged() ? "place " : "slot ")
      .append(std::to_string(slot % append.slots()))
      .append(append.paged() ? " of page " : " of entry ")
      .append(std::to_string(slot / append.slots()));
}

/// The two keys that go to `slot`.
[[noreturn]] void refuse_shared(const Append& append, std::int64_t slot, const char* where) {
  Key keys[2];
  int found = 0;
  append.find_new_key([&](const Key& key) {
    if (append.slot(key) == slot) keys[found++] = key;
    return found == 2;
  });
  const std::string place = slot_text(append, slot);
  if (keys[0].sequence == keys[1].sequence) {
    fail("append-shared", where,
         {"sequence ", keys[0].sequence, " appends its keys ", keys[0].key, " and ", keys[1].key,
          " to one slot, ", place, ", which comes twice in its row of page_table; give each part ",
          "of a sequence a page of its own"});
  }
  fail("append-shared", where,
       {"sequence ", keys[0].sequence, " appends its key ", keys[0].key, " and sequence ",
        keys[1].sequence, " its key ", keys[1].key, " to one slot, ", place, "; give each that ",
        "grows ", append.paged() ? "a last page of its own (copy_pages)" : "an entry of its own"});
}

/// A new key goes to `slot`, which holds `old`.
[[noreturn]] void refuse_read(const Append& append, std::int64_t slot, const Key& old,
                              const char* where) {
  Key added;
  append.find_new_key([&](const Key& key) {
    added = key;
    return append.slot(key) == slot;
  });
  const std::string place = slot_text(append, slot);
  if (added.sequence == old.sequence) {
    fail("append-read", where,
         {"sequence ", added.sequence, " appends its key ", added.key, " to ", place,
          ", which comes twice in its row of page_table and holds its key ", old.key,
          "; give each part of a sequence a page of its own"});
  }
  fail("append-read", where,
       {"sequence ", added.sequence, " appends its key ", added.key, " to ", place,
        ", which holds key ", old.key, " of sequence ", old.sequence, "; ",
        append.paged() ? "copy the page first (copy_pages) and name the copy in the row that grows"
                       : "give each that grows an entry of its own"});
}

/// What the queries of sequence `b` see as far as lengths and intervals go: slots that a window has
/// passed may serve again. A sequence that only gets keys sees what a query after them would, an
/// idle one nothing.
RowBounds seen(const ForwardParams& p, std::int64_t b, bool grows) {
  const Sequence s = sequence(p, b);
  RowBounds bounds;
  if (s.lengths.q == 0 && grows) bounds.add(p.mask.keys(0, {1, s.lengths.k}, {.begin = s.leftpad}));
  const bool heads_differ = p.key_begin.head != 0 || p.key_end.head != 0;
  for (std::int64_t head = 0; head < (heads_differ ? p.num_heads : 1); ++head)
    for (std::int64_t row = 0; row < s.lengths.q; ++row) bounds.add(row_keys(p, s, head, row));
  return bounds;
}

/// No new slot holds one of the keys `keys` of sequence `b`.
void check_range(const Append& append, const NewSlots& slots, std::int64_t b, const Range& keys,
                 const char* where) {
  if (keys.begin >= keys.end) return;
  const std::int64_t size = append.slots();
  std::int64_t first = keys.begin / size * size;  // of the page
  for (std::int64_t index = keys.begin / size; first < keys.end; ++index, first += size) {
    const Range places{std::max(keys.begin - first, std::int64_t{0}),
                       std::min(keys.end - first, size)};
    const std::int64_t slot = slots.first_in(append.page(b, index), places);
    if (slot != NewSlots::kNone) refuse_read(append, slot, {b, first + slot % size}, where);
  }
}

void check_reads(const Append& append, const NewSlots& slots, const ForwardParams& p,
                 const char* where) {
  for (std::int64_t b = 0; b < append.batch(); ++b) {
    const RowBounds bounds = seen(p, b, append.new_keys(b) > 0);
    const std::int64_t old = append.old_keys(b);
    check_range(append, slots, b, {bounds.begin_min, std::min(bounds.end_max, old)}, where);
    check_range(append, slots, b, {bounds.sink_begin_min, std::min(bounds.sink_end_max, old)},
                where);
  }
}

}  // namespace

void check_append_slots(const DecodeTensors& t, const Problem& problem,
                        std::span<std::int64_t> room, const char* where) {
  if (room.empty()) return;
  const Append append(t);
  const NewSlots slots(append, room);
  if (slots.all().empty()) return;
  const auto twice = std::ranges::adjacent_find(slots.all());
  if (twice != slots.all().end()) refuse_shared(append, *twice, where);
  check_reads(append, slots, decode_params(t, problem).attention, where);
}

}  // namespace strobe::api
