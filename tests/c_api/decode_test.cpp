// Decoding in C computes what it does in C++, bit for bit, with all that is around it.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "c_call.hpp"
#include "tests/api/provocation.hpp"

namespace strobe::test {
namespace {

/// b2 h4/2 q2 d8/4 over 6 pages of 4 slots, 5 and 3 keys, 2 new ones. Not copied.
struct CacheCall {
  std::vector<float> memory = std::vector<float>(10 * 512);
  std::vector<std::int32_t> lengths{5, 3}, table{4, 1, 0, 2, 3, 5}, some{1, 2}, leftpad{1, 0};
  std::vector<std::uint8_t> allowed = std::vector<std::uint8_t>(64, 1);
  DecodeTensors tensors{};
  Options options{};

  float* slice(int number) { return memory.data() + 512 * number; }

  CacheCall() {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (float& number : memory) number = normal(random);
    tensors.q = {slice(0), {2, 2, 4, 8}};
    tensors.k = {slice(1), {2, 2, 2, 8}};
    tensors.v = {slice(2), {2, 2, 2, 4}};
    tensors.o = {slice(3), {2, 2, 4, 4}};
    tensors.lse = {slice(4), {2, 4, 2}};
    tensors.cache.k_cache = {slice(5), {6, 4, 2, 8}};
    tensors.cache.v_cache = {slice(6), {6, 4, 2, 4}};
    tensors.cache.page_table = {table.data(), {2, 3}};
    tensors.cache.cache_seqlens = {lengths.data(), {2}};
  }
  CacheCall(const CacheCall&) = delete;
  CacheCall& operator=(const CacheCall&) = delete;
};

struct Variant {
  const char* name;
  void (*change)(CacheCall&);
};
std::ostream& operator<<(std::ostream& out, const Variant& v) { return out << v.name; }

const Variant kVariants[] = {
    {"Plain", [](CacheCall&) {}},
    {"ReadOnly", [](CacheCall& c) { c.tensors.k = c.tensors.v = {}; }},
    {"Contiguous",
     [](CacheCall& c) {
       c.tensors.cache.page_table = {};
       c.tensors.cache.k_cache = {c.slice(5), {3, 8, 2, 8}};
       c.tensors.cache.v_cache = {c.slice(6), {3, 8, 2, 4}};
       c.tensors.cache.cache_batch_idx = {c.some.data(), {2}};
     }},
    {"LengthsAndPadding",
     [](CacheCall& c) {
       c.tensors.seqlens_q = c.tensors.seqlens_new = {c.some.data(), {2}};
       c.tensors.cache.leftpad_k = {c.leftpad.data(), {2}};
     }},
    {"Rotary",
     [](CacheCall& c) {
       c.options.rotary = {.dim = 6, .interleaved = true, .base = 500};
       c.options.mask.causal = true;
     }},
    {"RotaryTables",
     [](CacheCall& c) {
       c.options.rotary.dim = 8;
       c.tensors.rotary_cos = {c.slice(7), {10, 4}};
       c.tensors.rotary_sin = {c.slice(8), {10, 4}};
     }},
    {"PairsInMemory",
     [](CacheCall& c) {
       c.options.mask.block_q = c.options.mask.block_k = 4;
       c.tensors.allowed = {c.allowed.data(), DType::boolean, {2, 1, 2, 8}};
       c.tensors.blocks = {c.allowed.data(), DType::boolean, {1, 1, 1, 2}};
       c.tensors.bias = {c.slice(7), {1, 4, 2, 8}};
       c.tensors.alibi_slopes = {c.slice(8), {4}};
       c.tensors.sink_logits = {c.slice(9), {4}};
       c.tensors.key_begin = {c.leftpad.data(), {1, 1, 2}};
       c.tensors.key_end = {c.lengths.data(), {1, 1, 2}};
     }},
    {"Codes",
     [](CacheCall& c) {
       c.tensors.cache.k_cache.dtype = c.tensors.cache.v_cache.dtype = DType::i4;
       c.tensors.cache.k_scale = {c.slice(7), {6, 4, 2, 1}};
       c.tensors.cache.v_scale = {c.slice(8), {6, 4, 2, 1}};
     }},
};

class CDecode : public ::testing::TestWithParam<Variant> {
 protected:
  CacheCall expected, call;

  void SetUp() override {
    GetParam().change(expected);
    GetParam().change(call);
    decode(expected.tensors, expected.options);
  }
  /// Outputs and caches, all of them in memory.
  void expect_same() const {
    EXPECT_EQ(
        std::memcmp(call.memory.data(), expected.memory.data(), call.memory.size() * sizeof(float)),
        0);
  }
};

TEST_P(CDecode, GivesTheBitsOfCxx) {
  strobe_decode_args args = c_args(call.tensors);
  const strobe_options options = c_options(call.options);
  args.options = &options;
  ASSERT_EQ(strobe_decode(&args, nullptr), STROBE_OK) << strobe_last_error();
  expect_same();
}

TEST_P(CDecode, SoDoesAPlanOfItsArgs) {
  strobe_decode_args args = c_args(call.tensors);
  const strobe_options options = c_options(call.options);
  args.options = &options;
  strobe_plan_options how;
  strobe_plan_options_init(&how, sizeof how);
  how.splits = 2;
  CPlan made;
  ASSERT_EQ(strobe_plan_create_decode(&args, &how, &made.plan), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(strobe_plan_case(made.plan), Problem::of(call.tensors, call.options).to_string());
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  strobe_exec exec;
  strobe_exec_init(&exec, sizeof exec);
  exec.workspace = workspace.data();
  exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  ASSERT_EQ(strobe_plan_run_decode(made.plan, &args, &exec), STROBE_OK) << strobe_last_error();
  expect_same();
}

INSTANTIATE_TEST_SUITE_P(All, CDecode, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return info.param.name; });

TEST(CDecodePlans, OfCasesTakeTheirOpFromOptions) {
  strobe_plan_options how;
  strobe_plan_options_init(&how, sizeof how);
  CPlan made;
  EXPECT_EQ(strobe_plan_create_from_case("h1 q1 k9 d8 page=4 append", &how, &made.plan),
            STROBE_INVALID_ARGUMENT);
  how.op = STROBE_OP_DECODE;
  EXPECT_EQ(strobe_plan_create_from_case("h1 q1 k9 d8 page=4 append", &how, &made.plan), STROBE_OK)
      << strobe_last_error();
}

TEST(CMerge, GivesTheBitsOfCxx) {
  CacheCall of;
  const Shape o{1, 2, 2, 4}, lse{1, 2, 2};
  const Partial parts[] = {{{of.slice(0), o}, {of.slice(1), lse}},
                           {{of.slice(2), o}, {of.slice(3), lse}}};
  const ConstTensorView sinks{of.slice(4), {2}};
  merge({.parts = parts, .o = {of.slice(5), o}, .lse = {of.slice(6), lse}, .sink_logits = sinks});

  const strobe_partial given[] = {{c_tensor(parts[0].o), c_tensor(parts[0].lse)},
                                  {c_tensor(parts[1].o), c_tensor(parts[1].lse)}};
  strobe_merge_args args;
  strobe_merge_args_init(&args, sizeof args);
  args.parts = given;
  args.num_parts = 2;
  args.o = c_tensor(TensorView{of.slice(7), o});
  args.lse = c_tensor(TensorView{of.slice(8), lse});
  args.sink_logits = c_tensor(sinks);
  ASSERT_EQ(strobe_merge(&args, nullptr), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(std::memcmp(of.slice(5), of.slice(7), 16 * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(of.slice(6), of.slice(8), 4 * sizeof(float)), 0);
}

TEST(CCopyPages, CopiesInOrder) {
  CacheCall expected, call;
  const PageCopy copies[] = {{4, 1}, {1, 3}};
  copy_pages(expected.tensors.cache.k_cache, expected.tensors.cache.v_cache, copies);
  const strobe_page_copy given[] = {{4, 1}, {1, 3}};
  const strobe_decode_args args = c_args(call.tensors);
  ASSERT_EQ(strobe_copy_pages(&args.k_cache, &args.v_cache, given, 2), STROBE_OK)
      << strobe_last_error();
  EXPECT_EQ(call.memory, expected.memory);
  ASSERT_EQ(strobe_copy_pages(&args.k_cache, &args.v_cache, nullptr, 0), STROBE_OK);
  EXPECT_EQ(call.memory, expected.memory);
}

/// Types and scales of quantised caches come through; no kernel reads them yet.
TEST(CDecodeOfCodes, HasTheChecksOfCxx) {
  CacheCall call;
  call.tensors.cache.k_cache.dtype = call.tensors.cache.v_cache.dtype = DType::i4;
  strobe_decode_args args = c_args(call.tensors);
  EXPECT_EQ(args.k_cache.dtype, STROBE_DTYPE_I4);
  EXPECT_EQ(strobe_decode(&args, nullptr), STROBE_INVALID_ARGUMENT);
  EXPECT_NE(std::string(strobe_last_error()).find("[kv-scale-missing]"), std::string::npos);
  call.tensors.cache.k_scale = {call.slice(7), {6, 4, 2, 1}};
  call.tensors.cache.v_scale = {call.slice(8), {6, 4, 3, 1}};
  args = c_args(call.tensors);
  EXPECT_EQ(strobe_decode(&args, nullptr), STROBE_INVALID_ARGUMENT);
  EXPECT_NE(std::string(strobe_last_error()).find("v_scale"), std::string::npos)
      << strobe_last_error();
}

TEST(CRotaryTables, AreThoseOfCxx) {
  for (const bool scaled : {false, true}) {
    RotaryTableOptions options{.rotary = {.dim = 8}};
    strobe_rotary_tables tables;
    strobe_rotary_tables_init(&tables, sizeof tables);
    if (scaled) {
      options.rotary.base = tables.base = 300;
      options.scaling = RotaryScaling::llama3;
      tables.scaling = STROBE_ROTARY_SCALING_LLAMA3;
      options.factor = tables.factor = 8;
      options.low_freq_factor = tables.low_freq_factor = 2;
      options.high_freq_factor = tables.high_freq_factor = 3;
      options.original_positions = tables.original_positions = 64;
    }
    std::vector<float> cos(40), sin(40), given_cos(40), given_sin(40);
    fill_rotary_tables(options, 10, cos, sin);
    tables.cos = given_cos.data();
    tables.sin = given_sin.data();
    tables.positions = 10;
    tables.dim = 8;
    ASSERT_EQ(strobe_fill_rotary_tables(&tables), STROBE_OK) << strobe_last_error();
    EXPECT_EQ(given_cos, cos) << scaled;
    EXPECT_EQ(given_sin, sin) << scaled;
  }
}

struct CDecodeProvocation {
  const char* name;  ///< of the test; CamelCase
  strobe_code (*act)();
  const char* text;  ///< the whole message, "[id]" at its end
};
std::ostream& operator<<(std::ostream& out, const CDecodeProvocation& p) { return out << p.name; }

class CDecodeMessage : public ::testing::TestWithParam<CDecodeProvocation> {};

TEST_P(CDecodeMessage, SaysWhatIsWrong) {
  const strobe_code code = GetParam().act();
  EXPECT_STREQ(strobe_last_error(), GetParam().text);
  EXPECT_EQ(code, static_cast<strobe_code>(code_of_text(GetParam().text)));
}

strobe_code decode_with(void (*spoil)(strobe_decode_args&, strobe_options&)) {
  CacheCall call;
  strobe_decode_args args = c_args(call.tensors);
  strobe_options options = c_options(call.options);
  args.options = &options;
  spoil(args, options);
  return strobe_decode(&args, nullptr);
}

strobe_code merge_with(void (*spoil)(strobe_merge_args&)) {
  strobe_merge_args args;
  strobe_merge_args_init(&args, sizeof args);
  spoil(args);
  return strobe_merge(&args, nullptr);
}

strobe_code tables_with(void (*spoil)(strobe_rotary_tables&)) {
  strobe_rotary_tables tables;
  strobe_rotary_tables_init(&tables, sizeof tables);
  spoil(tables);
  return strobe_fill_rotary_tables(&tables);
}

const CDecodeProvocation kMessages[] = {
    {"NoArgs", [] { return strobe_decode(nullptr, nullptr); },
     "strobe_decode: args is null and must point to a strobe_decode_args [c-null]"},
    {"CacheOfRankFive",
     [] { return decode_with([](strobe_decode_args& a, strobe_options&) { a.k_cache.rank = 5; }); },
     "strobe_decode: k_cache.rank is 5; a tensor has 1 to 4 axes, and 0 is none [c-rank]"},
    {"PairingOfNoKind",
     [] {
       return decode_with([](strobe_decode_args&, strobe_options& o) { o.rotary_interleaved = 2; });
     },
     "strobe_decode: options.rotary_interleaved is 2; it must be 0 or 1 [c-flag]"},
    {"ReservedBesideRotary",
     [] {
       return decode_with([](strobe_decode_args&, strobe_options& o) { o.reserved_rotary = 1; });
     },
     "strobe_decode: options.reserved_rotary is 1, which asks for what this version does not know; "
     "leave it at 0 or use a newer library [c-unknown]"},
    {"CheckOfEveryCaller",
     [] {
       return decode_with([](strobe_decode_args& a, strobe_options&) { a.cache_seqlens = {}; });
     },
     "strobe::decode: cache_seqlens is not given; q, o, k_cache, v_cache and cache_seqlens are "
     "needed [tensor-missing]"},
    {"OpOfNoKind",
     [] {
       strobe_plan_options options;
       strobe_plan_options_init(&options, sizeof options);
       options.op = 7;
       CPlan made;
       return strobe_plan_create_from_case("h1 q1 d8", &options, &made.plan);
     },
     "strobe_plan_create_from_case: options.op is 7, which is none of its values; they go from 0 "
     "to 1 [enum-value]"},
    {"PartsBelowNone", [] { return merge_with([](strobe_merge_args& a) { a.num_parts = -1; }); },
     "strobe_merge: args.num_parts is -1; it counts what lies in memory, so give 0 or more "
     "[c-count]"},
    {"NoParts", [] { return merge_with([](strobe_merge_args& a) { a.num_parts = 2; }); },
     "strobe_merge: args.parts is null and must point to a strobe_partial for each part [c-null]"},
    {"PartOfRankFive",
     [] {
       return merge_with([](strobe_merge_args& a) {
         static strobe_partial parts[2];
         parts[1].lse.rank = 5;
         a.parts = parts;
         a.num_parts = 2;
       });
     },
     "strobe_merge: parts[1].lse.rank is 5; a tensor has 1 to 4 axes, and 0 is none [c-rank]"},
    {"NoCache", [] { return strobe_copy_pages(nullptr, nullptr, nullptr, 0); },
     "strobe_copy_pages: k_cache is null and must point to a strobe_tensor [c-null]"},
    {"CopiesBelowNone", [] { return strobe_copy_pages(nullptr, nullptr, nullptr, -4); },
     "strobe_copy_pages: count is -4; it counts what lies in memory, so give 0 or more [c-count]"},
    {"ScalingOfNoKind", [] { return tables_with([](strobe_rotary_tables& t) { t.scaling = 4; }); },
     "strobe_fill_rotary_tables: tables.scaling is 4, which is none of its values; they go from 0 "
     "to 3 [enum-value]"},
    {"PositionsBelowNone",
     [] { return tables_with([](strobe_rotary_tables& t) { t.positions = -1; }); },
     "strobe_fill_rotary_tables: tables.positions is -1; it counts what lies in memory, so give 0 "
     "or more [c-count]"},
    {"NoTable",
     [] {
       return tables_with([](strobe_rotary_tables& t) {
         t.positions = 3;
         t.dim = 8;
       });
     },
     "strobe_fill_rotary_tables: tables.cos is null and must point to a number for each position "
     "and pair [c-null]"},
    {"TableBeyondI64",
     [] {
       return tables_with([](strobe_rotary_tables& t) {
         t.positions = INT64_MAX;
         t.dim = 8;
       });
     },
     "strobe_fill_rotary_tables: 9223372036854775807 positions x 4 pairs are more than "
     "9223372036854775807 numbers; make the sizes smaller [size-overflow]"},
};
INSTANTIATE_TEST_SUITE_P(All, CDecodeMessage, ::testing::ValuesIn(kMessages),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace strobe::test
