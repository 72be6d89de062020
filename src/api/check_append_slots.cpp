// No two sequences of a decode call append to one slot of the cache.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "api/checks.hpp"
#include "api/messages.hpp"
#include "api/validate.hpp"

namespace strobe::api {
namespace {

/// The new keys of a call and the slots of the whole cache that they go to.
class Append {
 public:
  explicit Append(const DecodeTensors& t) : cache_(t.cache), side_(new_key_side(t)) {}

  std::int64_t batch() const { return side_.batch; }
  /// Keys that sequence `b` has before the call, and those that it gets.
  std::int64_t old_keys(std::int64_t b) const { return entries(cache_.cache_seqlens)[b]; }
  std::int64_t new_keys(std::int64_t b) const { return side_.length(b); }
  bool paged() const { return cache_.page_table.given(); }
  /// Slots of an entry, or of a page.
  std::int64_t slots() const { return cache_.k_cache.shape[1]; }

  /// The entry or page that holds key `key` of sequence `b`.
  std::int64_t entry(std::int64_t b, std::int64_t key) const {
    if (paged())
      return entries(cache_.page_table)[b * cache_.page_table.strides[0] + key / slots()];
    return cache_.cache_batch_idx.given() ? entries(cache_.cache_batch_idx)[b] : b;
  }
  /// Its slot, counted through the whole cache.
  std::int64_t slot(std::int64_t b, std::int64_t key) const {
    return entry(b, key) * slots() + (paged() ? key % slots() : key);
  }

 private:
  const KvCache& cache_;
  Side side_;
};

/// The two keys that go to `slot`.
[[noreturn]] void refuse(const Append& append, std::int64_t slot, const char* where) {
  std::int64_t sequences[2] = {}, keys[2] = {};
  int found = 0;
  for (std::int64_t b = 0; b < append.batch(); ++b) {
    for (std::int64_t i = 0; i < append.new_keys(b) && found < 2; ++i) {
      const std::int64_t key = append.old_keys(b) + i;
      if (append.slot(b, key) != slot) continue;
      sequences[found] = b;
      keys[found++] = key;
    }
  }
  fail("append-shared", where,
       {"sequence ", sequences[0], " appends its key ", keys[0], " and sequence ", sequences[1],
        " its key ", keys[1], " to one slot, ", append.paged() ? "place " : "slot ",
        slot % append.slots(), append.paged() ? " of page " : " of entry ", slot / append.slots(),
        "; give each that grows ",
        append.paged() ? "a last page of its own (copy_pages)" : "an entry of its own"});
}

}  // namespace

void check_append_slots(const DecodeTensors& t, std::span<std::int64_t> room, const char* where) {
  if (room.empty()) return;
  const Append append(t);
  std::size_t count = 0;
  for (std::int64_t b = 0; b < append.batch(); ++b) {
    for (std::int64_t i = 0; i < append.new_keys(b); ++i)
      room[count++] = append.slot(b, append.old_keys(b) + i);
  }
  const std::span<std::int64_t> slots = room.first(count);
  std::ranges::sort(slots);
  const auto twice = std::ranges::adjacent_find(slots);
  if (twice != slots.end()) refuse(append, *twice, where);
}

}  // namespace strobe::api
