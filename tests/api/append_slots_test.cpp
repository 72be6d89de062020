// New keys go to slots of their own: every message, and a check against the keys one by one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>

#include "decode_call.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class AppendMessage : public testing::TestWithParam<Provocation> {};

TEST_P(AppendMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

void spoil(void (*change)(DecodeCall&)) {
  DecodeCall call;
  call.append();
  change(call);
  call.check_append();
}
#define SPOIL(...) [] { spoil([](DecodeCall& c) { __VA_ARGS__; }); }

/// The first sequence alone, over pages of 4.
void leave_one(DecodeCall& call) {
  call.page();
  for (ConstTensorView* const view :
       {&call.tensors.q, &call.tensors.k, &call.tensors.v, &call.tensors.cache.page_table,
        &call.tensors.cache.cache_seqlens})
    view->shape[0] = 1;
  for (TensorView* const view : {&call.tensors.o, &call.tensors.lse}) view->shape[0] = 1;
}

const Provocation kMessages[] = {
    {"TwoAppendToOnePage", SPOIL(c.page(); c.table[3] = 0; c.lengths[1] = 0),
     "strobe::decode: sequence 0 appends its key 5 and sequence 1 its key 1 to one slot, place 1 "
     "of page 0; give each that grows a last page of its own (copy_pages) [append-shared]"},
    {"TwoAppendToOneEntry", SPOIL(c.name_entries(); c.index[1] = 1; c.lengths[1] = 4),
     "strobe::decode: sequence 0 appends its key 5 and sequence 1 its key 5 to one slot, slot 5 of "
     "entry 1; give each that grows an entry of its own [append-shared]"},
    {"OneAppendsToAPageTwice",
     SPOIL(leave_one(c); c.tensors.cache.k_cache = (TensorView{c.slice(3), {6, 1, 2, 8}});
           c.tensors.cache.v_cache = (TensorView{c.slice(4), {6, 1, 2, 3}});
           c.tensors.cache.page_table.shape[1] = 3; c.table = {4, 0, 0}; c.lengths[0] = 1),
     "strobe::decode: sequence 0 appends its keys 1 and 2 to one slot, place 0 of page 0, which "
     "comes twice in its row of page_table; give each part of a sequence a page of its own "
     "[append-shared]"},
    {"OneAppendsToAPageThatAnotherReads",
     SPOIL(c.page(); c.table = {0, 1, -1, 0, 2, -1}; c.lengths[0] = 5; c.lengths[1] = 2),
     "strobe::decode: sequence 1 appends its key 2 to place 2 of page 0, which holds key 2 of "
     "sequence 0; copy the page first (copy_pages) and name the copy in the row that grows "
     "[append-read]"},
    {"OneAppendsToAnEntryThatAnotherReads",
     SPOIL(c.name_entries(); c.shorten(); c.index[1] = 1; c.lengths_new[0] = 0),
     "strobe::decode: sequence 1 appends its key 2 to slot 2 of entry 1, which holds key 2 of "
     "sequence 0; give each that grows an entry of its own [append-read]"},
    {"OneAppendsToAPageThatItReads", SPOIL(leave_one(c); c.table = {0, 0}; c.lengths[0] = 4),
     "strobe::decode: sequence 0 appends its key 4 to place 0 of page 0, which comes twice in its "
     "row of page_table and holds its key 0; give each part of a sequence a page of its own "
     "[append-read]"},
};
INSTANTIATE_TEST_SUITE_P(Slots, AppendMessage, testing::ValuesIn(kMessages), name_of_test);

/// One row serves as `rows` new keys, of which a sequence gets one.
void repeat(DecodeCall& call, std::int64_t rows) {
  call.shorten();
  call.lengths_new = {1, 1};
  for (ConstTensorView* const view : {&call.tensors.k, &call.tensors.v}) {
    view->strides[1] = 0;
    view->shape[1] = rows;
  }
}

const Provocation kSizes[] = {
    {"RowsBeyondCounting", SPOIL(repeat(c, std::int64_t{1} << 62)),
     "strobe::decode: k of 2 x 4611686018427387904 x 2 x 8 f32 takes more than 9223372036854775807 "
     "bytes; make the sizes smaller [size-overflow]"},
    {"ValuesBeyondCounting",
     SPOIL(c.tensors.cache.k_cache.shape[3] = c.tensors.k.shape[3] = c.tensors.q.shape[3] = 1;
           c.tensors.cache.v_cache.shape[3] = c.tensors.v.shape[3] = c.tensors.o.shape[3] = 4;
           repeat(c, std::int64_t{1} << 58)),
     "strobe::decode: v of 2 x 288230376151711744 x 2 x 4 f32 takes more than 9223372036854775807 "
     "bytes; make the sizes smaller [size-overflow]"},
};
INSTANTIATE_TEST_SUITE_P(Sizes, AppendMessage, testing::ValuesIn(kSizes), name_of_test);

/// The call takes as long as its appends, not as k has rows.
TEST(Append, TakesOneRowAsManyNewKeys) {
  std::vector<float> written;
  for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{1} << 28, std::int64_t{1} << 50}) {
    DecodeCall call;
    call.append();
    for (std::size_t i = 0; i < call.memory.size(); ++i)
      call.memory[i] = static_cast<float>(i % 7) - 3;
    repeat(call, rows);
    decode(call.tensors, call.options);
    if (written.empty()) written = call.memory;
    EXPECT_EQ(call.memory, written) << rows;
  }
}

bool refuses(const DecodeCall& call) {
  try {
    call.check_append();
  } catch (const Error&) {
    return true;
  }
  return false;
}

/// Does a query of sequence `b` see the key? Where it has no query but grows, would the next one?
bool seen(const ForwardParams& p, std::int64_t b, std::int64_t key) {
  const Sequence s = sequence(p, b);
  if (s.lengths.q == 0)
    return p.seqlens_new[b] > 0 &&
           p.mask.keys(0, {1, s.lengths.k}, {.begin = s.leftpad}).contains(key);
  for (std::int64_t head = 0; head < p.num_heads; ++head)
    for (std::int64_t row = 0; row < s.lengths.q; ++row)
      if (row_keys(p, s, head, row).contains(key)) return true;
  return false;
}

/// How often new keys meet in an address, which kernels compute in another way, and how often they
/// meet an old key there that is seen.
struct Meetings {
  int with_new = 0, with_old = 0;

  explicit Meetings(const ForwardParams& p) {
    std::map<std::int64_t, int> written;
    const auto offset = [&](std::int64_t b, std::int64_t key) {
      return key_offset(p, sequence(p, b), p.k_strides, key, 0);
    };
    for (std::int64_t b = 0; b < p.batch; ++b)
      for (std::int64_t key = p.cache_seqlens[b]; key < sequence(p, b).lengths.k; ++key)
        with_new += written[offset(b, key)]++;
    for (std::int64_t b = 0; b < p.batch; ++b)
      for (std::int64_t key = 0; key < p.cache_seqlens[b]; ++key)
        with_old += written.contains(offset(b, key)) && seen(p, b, key) ? 1 : 0;
  }
};

/// Lengths, pages and entries of anybody, and whatever hides keys by intervals.
void draw_call(Random& random, DecodeCall& call, int round) {
  draw_places(random, call, round % 2 == 0);
  for (std::size_t b = 0; b < 2; ++b) call.lengths_q[b] = draw(random, 0, 3);
  if (round % 3 == 0) {
    call.pad_left();
    for (std::size_t b = 0; b < 2; ++b)
      call.leftpad[b] = draw(random, 0, call.lengths[b] + call.lengths_new[b]);
  }
  if (round % 5 == 0) call.tensors.key_begin = {call.table.data() + 100, {2, 4, 3}};
  for (int i = 0; i < 24; ++i) call.table[static_cast<std::size_t>(100 + i)] = draw(random, 0, 9);
  const Mask masks[] = {{},
                        {.causal = true},
                        {.causal = true, .left = 2},
                        {.left = 0, .right = 0, .sink_tokens = 1},
                        {.causal = true, .align = Align::top_left},
                        {.causal = true, .chunk = 4},
                        {.causal = true, .left = 3, .prefix = 2}};
  call.options.mask = masks[round % 7];
}

TEST(CheckAppendSlots, RefusesExactlyWhatOverwritesAKey) {
  Random random(21);
  int twice = 0, overwritten = 0, free = 0, skipped = 0;
  for (int round = 0; round < 8000; ++round) {
    DecodeCall call;
    draw_call(random, call, round);
    const Meetings meetings(api::decode_params(call.tensors, call.check()).attention);
    const bool meet = meetings.with_new > 0 || meetings.with_old > 0;
    // Rows that each begin elsewhere may leave keys out that lie between what they see.
    const bool leaves_out = refuses(call) && !meet && call.tensors.key_begin.given();
    ASSERT_EQ(refuses(call), meet || leaves_out) << round;
    skipped += leaves_out ? 1 : 0;
    (meetings.with_new > 0 ? twice : meetings.with_old > 0 ? overwritten : free) += 1;
  }
  EXPECT_GT(twice, 300);
  EXPECT_GT(overwritten, 1000);
  EXPECT_GT(free, 1000);
  EXPECT_LT(skipped, 80);
}

TEST(CheckAppendSlots, LeavesPagesAloneThatAreOnlyRead) {
  DecodeCall call;
  call.append();
  call.page();
  call.table = {0, 0, 1, 0, 2, 2};  // a page twice in a row, and in both rows
  call.lengths[0] = 8;
  call.lengths[1] = 4;
  EXPECT_NO_THROW(call.check_append());
  call.table[2] = 0;
  EXPECT_THROW(call.check_append(), Error);
}

/// A ring of two pages, in which keys 8 and 9 replace 0 and 1. The first query sits on key 8.
TEST(CheckAppendSlots, TakesARingOfPagesThatTheWindowHasPassed) {
  for (const std::int64_t left : {0, 3, 6, 7, 8, -1}) {
    DecodeCall call;
    call.append();
    leave_one(call);
    call.tensors.q.shape[1] = call.tensors.o.shape[1] = call.tensors.lse.shape[2] = 2;
    call.table = {3, 5, 3};
    call.lengths[0] = 8;
    call.options.mask = {.causal = true, .left = left};
    EXPECT_EQ(refuses(call), left < 0 || left >= 7) << left;
  }
}

TEST(CheckAppendSlots, RefusesBeforeAnythingIsWritten) {
  DecodeCall call;
  call.append();
  call.page();
  call.table = {0, 1, -1, 0, 2, -1};
  call.lengths[1] = 2;
  for (std::size_t i = 0; i < call.memory.size(); ++i) call.memory[i] = static_cast<float>(i);
  const std::vector<float> before = call.memory;
  EXPECT_THROW(decode(call.tensors, call.options), Error);
  EXPECT_EQ(call.memory, before);
}

TEST(CheckAppendSlots, NeedsRoomOnlyWhereKeysMayMeet) {
  const auto slots = [](const char* text) { return plan::append_slots(Problem::parse(text)); };
  EXPECT_EQ(slots("b5 h1 q3 k9 d8 append"), 0);
  EXPECT_EQ(slots("b5 h1 q3 k9 d8 page=4"), 0);
  EXPECT_EQ(slots("b5 h1 q3 k9 d8 page=4 append"), 15);
  EXPECT_EQ(slots("b5 h1 q3 k9 d8 batch_idx append=2"), 10);
  EXPECT_EQ(slots("b1 h1 q3 k9 d8 batch_idx append=2"), 0);
  EXPECT_EQ(slots("b1 h1 q3 k9 d8 page=4 append=1"), 1) << "one page twice in its table";
}

/// More sequences than the test for pages has words, each with more pages than it appends to.
TEST(CheckAppendSlots, LooksForOldKeysOnManyPages) {
  constexpr std::int64_t kBatch = 300, kPages = 20, kSlots = 2;
  std::vector<std::int32_t> lengths(kBatch, kPages * kSlots - 1), table;
  for (std::int32_t page = 0; page < kBatch * kPages; ++page) table.push_back(page);
  std::vector<float> q(kBatch), cache(kBatch * kPages * kSlots);
  std::vector<float> v_cache = cache, k = q, v = q, o = q;
  DecodeTensors t;
  t.q = {q.data(), {kBatch, 1, 1, 1}};
  t.k = {k.data(), {kBatch, 1, 1, 1}};
  t.v = {v.data(), {kBatch, 1, 1, 1}};
  t.o = {o.data(), {kBatch, 1, 1, 1}};
  t.cache.k_cache = {cache.data(), {kBatch * kPages, kSlots, 1, 1}};
  t.cache.v_cache = {v_cache.data(), {kBatch * kPages, kSlots, 1, 1}};
  t.cache.page_table = {table.data(), {kBatch, kPages}};
  t.cache.cache_seqlens = {lengths.data(), {kBatch}};
  EXPECT_NO_THROW(decode(t));
  // Sequence 250 reads the page that sequence 7 appends to.
  table[250 * kPages + 3] = table[7 * kPages + kPages - 1];
  EXPECT_THROW(decode(t), Error);
}

}  // namespace
}  // namespace strobe::test
