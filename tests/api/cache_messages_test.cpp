// Every message about caches, appending, rotary embedding, and what decode does not take.
// SPDX-License-Identifier: Apache-2.0
#include "call.hpp"
#include "decode_call.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class CacheMessage : public testing::TestWithParam<Provocation> {};

TEST_P(CacheMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

void spoil(void (*change)(DecodeCall&)) {
  DecodeCall call;
  change(call);
  call.check();
}
#define SPOIL(statement) [] { spoil([](DecodeCall& c) { statement; }); }

void plan(const char* text, Op op, int splits = 0) {
  api::check_op(Problem::parse(text), op, splits, "strobe::Plan");
}

const Provocation kProblems[] = {
    {"PageBelowNone", [] { Plan{Problem{.page_size = -1}}; },
     "strobe::Plan: page_size is -1; it must be at least 0 [size-range]"},
    {"AppendOfLessThanNothing", [] { Plan{Problem{.seqlen_new = -1}}; },
     "strobe::Plan: seqlen_new is -1; it must be at least 0 [size-range]"},
    {"AppendBeyondTheLength", [] { Problem::parse("h1 q5 k3 d8 append"); },
     "strobe::Problem::parse: seqlen_new is 5 and seqlen_k, which counts new keys too, is 3; make "
     "seqlen_k the length after the append [append-length]"},
    {"RotaryOfHalfAPair", [] { Problem::parse("h1 q5 d8 rotary=7"); },
     "strobe::Problem::parse: rotary.dim is 7; it turns dimensions in pairs, so it must be even "
     "and at least 0, which is off [rotary-dim]"},
    {"RotaryBelowNone", [] { Plan{Problem{.rotary = {.dim = -2}}}; },
     "strobe::Plan: rotary.dim is -2; it turns dimensions in pairs, so it must be even and at "
     "least 0, which is off [rotary-dim]"},
    {"RotaryBeyondTheHead", [] { Problem::parse("h1 q5 d8 rotary=10"); },
     "strobe::Problem::parse: rotary.dim is 10 and head_dim is 8; it turns the first dimensions of "
     "a head, at most all of them [rotary-dim]"},
    {"RotaryOfBaseZero", [] { Problem::parse("h1 q5 d8 rotary=8,0"); },
     "strobe::Problem::parse: rotary.base is 0; it must be finite and above 0, as in 10000 "
     "[rotary-base]"},
    {"RotaryOfBaseNaN", [] { Plan{Problem{.rotary = {.base = std::nan("")}}}; },
     "strobe::Plan: rotary.base is nan; it must be finite and above 0, as in 10000 [rotary-base]"},
    {"IndexOfPages", [] { Problem::parse("h1 q5 d8 page=16 batch_idx"); },
     "strobe::Problem::parse: cache_batch_idx (batch_idx) joins pages of 16 slots; a page table "
     "says where each sequence lies, so leave the index out [cache-batch-idx-paged]"},
    {"PageOfMoreThanMemory", [] { Problem::parse("h2 q1 k5 d8 page=9223372036854775807"); },
     "strobe::Problem::parse: k_cache of 1 x 1 x 9223372036854775807 x 16 f32 takes more than "
     "9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
    {"ForwardOverPages",
     [] { Plan{Problem::parse("h1 q5 d8 page=16 append=2 rotary=8,interleaved leftpad")}; },
     "strobe::Plan: \"page=16 append=2 rotary=8,interleaved leftpad\" is what only decode answers, "
     "as forward has no cache; call decode (a plan with PlanOptions::op, the tool with --op "
     "decode) or leave it out [op-cache]"},
    {"ExplainedForwardOverEntries", [] { explain(Problem::parse("h1 q5 d8 batch_idx")); },
     "strobe::explain: \"batch_idx\" is what only decode answers, as forward has no cache; call "
     "decode (a plan with PlanOptions::op, the tool with --op decode) or leave it out [op-cache]"},
    {"ForwardWithRotary",
     [] {
       Call call;
       call.options.rotary.dim = 8;
       call.check();
     },
     "strobe::forward: \"rotary=8\" is what only decode answers, as forward has no cache; call "
     "decode (a plan with PlanOptions::op, the tool with --op decode) or leave it out [op-cache]"},
    {"DecodeOfPacked", [] { plan("h1 q5 d8 varlen", Op::decode); },
     "strobe::Plan: decode takes no packed sequences (varlen); pad q and give seqlens_q, the keys "
     "lie in the cache [op-packed]"},
    {"DecodeWithDropout", [] { plan("h1 q5 d8 dropout=0.5,7", Op::decode); },
     "strobe::Plan: decode has no dropout, and dropout.probability is 0.5, seed 7, offset 0; leave "
     "all three 0 [op-dropout]"},
    {"OpOfNoKind", [] { plan("h1 q5 d8", static_cast<Op>(2)); },
     "strobe::Plan: op is 2, which is none of its values; they go from 0 to 1 [enum-value]"},
    {"StatesOfMoreThanMemory", [] { plan("h128/1 q16 k2251799813685248 d1/1024 f16", Op::decode); },
     "strobe::Plan: the workspace for 1 x 128 heads of 16 queries x 2251799813685248 keys may take "
     "more than 9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
    {"SlotsOfMoreThanMemory",
     [] {
       plan("h1 q1 k2305843009213693952 d1 f16 page=16 append=1152921504606846976", Op::decode);
     },
     "strobe::Plan: the workspace for 1 x 1 heads of 1 queries x 2305843009213693952 keys may take "
     "more than 9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
    {"FewerThanNoSplits", [] { plan("h1 q5 d8", Op::decode, -1); },
     "strobe::Plan: splits is -1; it is 0 for as many as pay, or, for decode, the parts that keys "
     "are cut into [plan-splits]"},
    {"SplitsOfForward", [] { plan("h1 q5 d8", Op::forward, 4); },
     "strobe::Plan: splits is 4 and forward splits no keys; it is 0 for as many as pay, or, for "
     "decode, the parts that keys are cut into [plan-splits]"},
};
INSTANTIATE_TEST_SUITE_P(Problems, CacheMessage, testing::ValuesIn(kProblems), name_of_test);

const Provocation kShapes[] = {
    {"NoCache", SPOIL(c.tensors.cache.v_cache = {}),
     "strobe::decode: v_cache is not given; q, o, k_cache, v_cache and cache_seqlens are needed "
     "[tensor-missing]"},
    {"NoLengths", SPOIL(c.tensors.cache.cache_seqlens = {}),
     "strobe::decode: cache_seqlens is not given; q, o, k_cache, v_cache and cache_seqlens are "
     "needed [tensor-missing]"},
    {"QueriesWithoutBatch", SPOIL(c.tensors.q.shape = (Shape{3, 4, 8})),
     "strobe::decode: q has shape [3, 4, 8]; it takes 4 axes: batch, seqlen_q, heads, dim "
     "[tensor-rank]"},
    {"CacheWithoutHeads", SPOIL(c.tensors.cache.k_cache.shape = (Shape{2, 8, 16})),
     "strobe::decode: k_cache has shape [2, 8, 16]; it takes 4 axes: cache_batch, capacity, heads, "
     "dim (pages need page_table) [tensor-rank]"},
    {"PagesWithoutHeads", SPOIL(c.page(); c.tensors.cache.v_cache.shape = (Shape{6, 4, 6})),
     "strobe::decode: v_cache has shape [6, 4, 6]; it takes 4 axes: pages, page_size, heads, dim "
     "(as page_table is given) [tensor-rank]"},
    {"KeysAlone", SPOIL(c.append(); c.tensors.v = {}),
     "strobe::decode: k is given without v; an append needs both, a call without new keys neither "
     "[append-pair]"},
    {"ValuesAlone", SPOIL(c.append(); c.tensors.k = {}),
     "strobe::decode: v is given without k; an append needs both, a call without new keys neither "
     "[append-pair]"},
    {"LengthsOfNoNewKeys", SPOIL(c.tensors.seqlens_new = (ConstTensorView{c.index.data(), {2}})),
     "strobe::decode: seqlens_new is given without k and v; it says how many of their rows are "
     "appended, so give them, or leave it out [append-pair]"},
    {"CacheOfAnotherType", SPOIL(c.tensors.cache.k_cache.dtype = DType::bf16),
     "strobe::decode: q is f32 and k_cache is bf16; q, the cache and new keys and values must have "
     "one type, but for a cache of e4m3, e5m2, i8 or i4 [dtype-mismatch]"},
    {"TableOfFloats", SPOIL(c.page(); c.tensors.cache.page_table.dtype = DType::f32),
     "strobe::decode: page_table is f32; it must be i32 [dtype-mismatch]"},
    {"ValuesOfOtherPages", SPOIL(c.page(); c.tensors.cache.v_cache.shape[1] = 3),
     "strobe::decode: page_size is 4 in k_cache [6, 4, 2, 8] and 3 in v_cache [6, 3, 2, 3]; they "
     "must be equal [shape-mismatch]"},
    {"ValuesOfAnotherCapacity", SPOIL(c.tensors.cache.v_cache.shape[1] = 7),
     "strobe::decode: capacity is 8 in k_cache [2, 8, 2, 8] and 7 in v_cache [2, 7, 2, 3]; they "
     "must be equal [shape-mismatch]"},
    {"NewKeysOfOtherHeads", SPOIL(c.append(); c.tensors.k.shape[2] = 4),
     "strobe::decode: num_heads_kv is 4 in k [2, 2, 4, 8] and 2 in k_cache [2, 8, 2, 8]; they must "
     "be equal [shape-mismatch]"},
    {"MoreNewKeysThanValues", SPOIL(c.append(); c.tensors.k.shape[1] = 3),
     "strobe::decode: seqlen_new is 3 in k [2, 3, 2, 8] and 2 in v [2, 2, 2, 3]; they must be "
     "equal [shape-mismatch]"},
    {"PagesWithoutSlots",
     SPOIL(c.page(); c.tensors.cache.k_cache.shape[1] = c.tensors.cache.v_cache.shape[1] = 0),
     "strobe::decode: page_size is 0 in k_cache [6, 0, 2, 8]; it must be at least 1 [size-range]"},
    {"TooFewEntries",
     SPOIL(c.tensors.cache.k_cache.shape[0] = c.tensors.cache.v_cache.shape[0] = 1),
     "strobe::decode: k_cache has 1 entries and the batch 2 sequences; each needs an entry of its "
     "own, or one named by cache_batch_idx [cache-entries]"},
    {"IndexBesidesPages", SPOIL(c.page(); c.name_entries()),
     "strobe::decode: cache_batch_idx (batch_idx) joins pages of 4 slots; a page table says where "
     "each sequence lies, so leave the index out [cache-batch-idx-paged]"},
    {"LengthsOfAnotherBatch", SPOIL(c.tensors.cache.cache_seqlens.shape[0] = 3),
     "strobe::decode: cache_seqlens has 3 entries and the batch 2 sequences; it needs one entry "
     "for each [seqlens-shape]"},
    {"BiasShorterThanTheCache", SPOIL(c.tensors.bias = (ConstTensorView{c.slice(9), {1, 1, 3, 4}})),
     "strobe::decode: bias has shape [1, 1, 3, 4] and seqlen_k is 5; axis 3 must be at least 5, or "
     "1 to serve all [pair-shape]"},
    {"CacheOfNoMemory", SPOIL(c.tensors.cache.v_cache.data = nullptr),
     "strobe::decode: v_cache has shape [2, 8, 2, 3] and a null pointer; only a tensor without "
     "elements may have one [data-null]"},
    {"TableThatSkips", SPOIL(c.page(); c.tensors.cache.page_table.strides = (Shape{1, 2})),
     "strobe::decode: page_table has strides [1, 2] for shape [2, 3]; its last axis must be "
     "contiguous (stride 1), the others are free [stride-last]"},
    {"LongestAsTold", SPOIL(c.options.max_seqlen_k = 8),
     "strobe::decode: max_seqlen_k is 8 without cu_seqlens; padded tensors tell their lengths by "
     "shape, so leave it 0 [max-seqlen-padded]"},
    {"Dropout", SPOIL(c.options.dropout.probability = 0.25),
     "strobe::decode: decode has no dropout, and dropout.probability is 0.25, seed 0, offset 0; "
     "leave all three 0 [op-dropout]"},
};
INSTANTIATE_TEST_SUITE_P(Shapes, CacheMessage, testing::ValuesIn(kShapes), name_of_test);

const Provocation kQuantised[] = {
    {"TypeOfNoCodes", [] { Plan{Problem{.kv_dtype = DType::bf16}}; },
     "strobe::Plan: kv_dtype is bf16; a quantised cache is e4m3, e5m2, i8 or i4, and none is a "
     "cache of q's type [kv-type]"},
    {"CodesWithoutScales", [] { Plan{Problem{.kv_dtype = DType::i8}}; },
     "strobe::Plan: kv_dtype is i8 and kv_scales none; a quantised cache has scales of tensor, "
     "head, token or group, and no other has any [kv-scales]"},
    {"ScalesWithoutCodes", [] { Plan{Problem{.kv_scales = KvScales::head}}; },
     "strobe::Plan: kv_dtype is none and kv_scales not none; a quantised cache has scales of "
     "tensor, head, token or group, and no other has any [kv-scales]"},
    {"ScalesOfNoKind", [] { Plan{Problem{.kv_scales = static_cast<KvScales>(5)}}; },
     "strobe::Plan: kv_scales is 5, which is none of its values; they go from 0 to 4 "
     "[enum-value]"},
    {"HalfAByte", [] { Problem::parse("h1 q5 d8/7 kv=int4"); },
     "strobe::Problem::parse: head_dim_v is 7 and two codes of i4 share a byte; make it even, with "
     "one more dim that is 0 [kv-dim]"},
    {"ForwardOverCodes", [] { Plan{Problem::parse("h1 q5 d8 kv=int4:token")}; },
     "strobe::Plan: \"kv=int4:token\" is what only decode answers, as forward has no cache; call "
     "decode (a plan with PlanOptions::op, the tool with --op decode) or leave it out [op-cache]"},
    {"RowsOfHalfAByte", SPOIL(c.quantise(DType::i4, KvScales::head)),
     "strobe::decode: v_cache has 3 dims and two codes of i4 share a byte; make the number even, "
     "with one more that is 0 [kv-dim]"},
    {"CodesOfTwoTypes",
     SPOIL(c.quantise(DType::i8, KvScales::head); c.tensors.cache.v_cache.dtype = DType::e4m3),
     "strobe::decode: k_cache is i8 and v_cache is e4m3; both must have one type "
     "[dtype-mismatch]"},
    {"NewKeysOfCodes",
     SPOIL(c.append(); c.quantise(DType::i8, KvScales::head); c.tensors.k.dtype = DType::i8),
     "strobe::decode: q is f32 and k is i8; q, the cache and new keys and values must have one "
     "type, but for a cache of e4m3, e5m2, i8 or i4 [dtype-mismatch]"},
    {"CodesAlone", SPOIL(c.quantise(DType::i8, KvScales::head); c.tensors.cache.v_scale = {}),
     "strobe::decode: v_scale is not given and v_cache is i8, whose values are codes times a "
     "scale; give both k_scale and v_scale [kv-scale-missing]"},
    {"ScalesOfPlainKeys",
     SPOIL(c.quantise(DType::i8, KvScales::head);
           c.tensors.cache.k_cache.dtype = c.tensors.cache.v_cache.dtype = DType::f32),
     "strobe::decode: k_scale is given and the cache is f32, whose elements are the values; leave "
     "it out [kv-scale-off]"},
    {"ScalesOfOtherHeads",
     SPOIL(c.quantise(DType::e4m3, KvScales::head); c.tensors.cache.k_scale.shape = (Shape{4})),
     "strobe::decode: k_scale has shape [4] for k_cache [2, 8, 2, 8]; it takes [1], one for each "
     "head [2], for each token [2, 8, 2] or for each 32 dims of a token [2, 8, 2, 1] "
     "[kv-scale-shape]"},
    {"ScalesOfTwoGranularities",
     SPOIL(c.quantise(DType::i8, KvScales::token);
           c.tensors.cache.v_scale = (TensorView{c.slice(11), {2}})),
     "strobe::decode: k_scale has shape [2, 8, 2] and v_scale [2]; both take scales of one "
     "granularity [kv-scale-shape]"},
    {"ScalesOfBf16",
     SPOIL(c.quantise(DType::i8, KvScales::token); c.tensors.cache.k_scale.dtype = DType::bf16),
     "strobe::decode: k_scale is bf16; it must be f32 [dtype-mismatch]"},
    {"StepsOfHalfAByte",
     SPOIL(c.quantise(DType::i4, KvScales::tensor); c.tensors.o.shape[3] = 2;
           c.tensors.cache.v_cache = (TensorView{c.slice(4), DType::i4, {2, 8, 2, 2}});
           c.tensors.cache.k_cache.strides = (Shape{136, 17, 8, 1})),
     "strobe::decode: k_cache has strides [136, 17, 8, 1] and 2 i4 share a byte; strides count "
     "codes, and all but the last must be even [stride-packed]"},
    {"AppendOverScales",
     SPOIL(c.append(); c.quantise(DType::i8, KvScales::token);
           c.tensors.cache.v_scale.data = c.tensors.cache.k_cache.data),
     "strobe::decode: k_cache shares memory with v_scale; no element of an output may be an "
     "input's or another output's, so write k_cache elsewhere [overlap]"},
    {"AppendToOneScaleForAll",
     SPOIL(c.append(); c.quantise(DType::i8, KvScales::token);
           c.tensors.cache.k_scale.strides = (Shape{0, 2, 1})),
     "strobe::decode: elements of k_scale share memory: shape [2, 8, 2], strides [0, 2, 1]; each "
     "element of an output needs a place of its own [overlap-self]"},
    {"OutputInTheScales",
     SPOIL(c.quantise(DType::i8, KvScales::head); c.tensors.o.data = c.tensors.cache.k_scale.data),
     "strobe::decode: o shares memory with k_scale; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
};
INSTANTIATE_TEST_SUITE_P(Quantised, CacheMessage, testing::ValuesIn(kQuantised), name_of_test);

const Provocation kOverlaps[] = {
    {"OutputInTheCache", SPOIL(c.tensors.o.data = c.tensors.cache.v_cache.data),
     "strobe::decode: o shares memory with v_cache; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
    {"LogarithmsInTheTable", SPOIL(c.page(); c.tensors.lse.data = c.table.data()),
     "strobe::decode: lse shares memory with page_table; no element of an output may be an input's "
     "or another output's, so write lse elsewhere [overlap]"},
    {"AppendToOneCache", SPOIL(c.append(); c.tensors.cache.v_cache.data = c.slice(3)),
     "strobe::decode: k_cache shares memory with v_cache; no element of an output may be an "
     "input's or another output's, so write k_cache elsewhere [overlap]"},
    {"AppendOverNewKeys", SPOIL(c.append(); c.tensors.k.data = c.slice(3) + 8),
     "strobe::decode: k_cache shares memory with k; no element of an output may be an input's or "
     "another output's, so write k_cache elsewhere [overlap]"},
    {"AppendToARepeatedCache", SPOIL(c.append(); c.tensors.cache.k_cache.strides[0] = 0),
     "strobe::decode: elements of k_cache share memory: shape [2, 8, 2, 8], strides [0, 16, 8, 1]; "
     "each element of an output needs a place of its own [overlap-self]"},
    {"AppendOverLengths",
     SPOIL(c.append(); c.shorten(); c.tensors.cache.v_cache.data = c.lengths_q.data()),
     "strobe::decode: v_cache shares memory with seqlens_q; no element of an output may be an "
     "input's or another output's, so write v_cache elsewhere [overlap]"},
};
INSTANTIATE_TEST_SUITE_P(Overlaps, CacheMessage, testing::ValuesIn(kOverlaps), name_of_test);

const Provocation kLengths[] = {
    {"LengthBelowNone", SPOIL(c.lengths[1] = -1),
     "strobe::decode: cache_seqlens[1] is -1 and a sequence has 8 slots in k_cache; it counts the "
     "keys before the call, from 0 to that [cache-length]"},
    {"LengthBeyondItsPages", SPOIL(c.page(); c.lengths[0] = 13),
     "strobe::decode: cache_seqlens[0] is 13 and a sequence has 12 slots in its row of page_table; "
     "it counts the keys before the call, from 0 to that [cache-length]"},
    {"CacheFull", SPOIL(c.append(); c.lengths[0] = 7),
     "strobe::decode: sequence 0 has 7 keys and gets 2 new ones, and the cache ends at 8 slots; "
     "make k_cache and v_cache longer, or drop old keys [cache-full]"},
    {"PagesFull", SPOIL(c.append(); c.page(); c.lengths[1] = 11),
     "strobe::decode: sequence 1 has 11 keys and gets 2 new ones, and the cache ends at 12 slots; "
     "add pages to its row of page_table, or drop old keys [cache-full]"},
    {"PageNotThere", SPOIL(c.page(); c.lengths[1] = 6),
     "strobe::decode: page_table[1, 1] is -7 and k_cache has 6 pages; the 6 slots of sequence 1 "
     "reach 2 entries, which must be from 0 to 5 [page-table-entry]"},
    {"EntryNotThere", SPOIL(c.name_entries(); c.index[1] = 2),
     "strobe::decode: cache_batch_idx[1] is 2 and k_cache has 2 entries; they count from 0 "
     "[cache-batch-idx]"},
    {"PaddingOfMoreThanAll", SPOIL(c.pad_left(); c.leftpad[1] = 3),
     "strobe::decode: leftpad_k[1] is 3 and the sequence has 2 slots in use; padding is the first "
     "of these, from 0 to all of them [leftpad-value]"},
    {"MoreQueriesThanRows", SPOIL(c.shorten(); c.lengths_q[1] = 4),
     "strobe::decode: seqlens_q[1] is 4 and the sequence has 3 rows in q; a length is from 0 to "
     "that [seqlens-value]"},
    {"MoreNewKeysThanRows", SPOIL(c.append(); c.shorten(); c.lengths_new[0] = 3),
     "strobe::decode: seqlens_new[0] is 3 and the sequence has 2 rows in k; a length is from 0 to "
     "that [seqlens-value]"},
};
INSTANTIATE_TEST_SUITE_P(Lengths, CacheMessage, testing::ValuesIn(kLengths), name_of_test);

const Provocation kRotary[] = {
    {"CosinesAlone", SPOIL(c.rotate(); c.tensors.rotary_sin = {}),
     "strobe::decode: rotary_cos is given without rotary_sin; a turn needs both, and angles from "
     "rotary.base neither [rotary-pair]"},
    {"SinesAlone", SPOIL(c.rotate(); c.tensors.rotary_cos = {}),
     "strobe::decode: rotary_sin is given without rotary_cos; a turn needs both, and angles from "
     "rotary.base neither [rotary-pair]"},
    {"TablesOfWholeNumbers", SPOIL(c.rotate(); c.tensors.rotary_cos.dtype = DType::i32),
     "strobe::decode: rotary_cos is i32; it must be f32 [dtype-mismatch]"},
    {"TablesOfTwoTypes",
     SPOIL(c.rotate(); c.tensors.rotary_sin.dtype = c.tensors.q.dtype =
                           c.tensors.cache.k_cache.dtype = c.tensors.cache.v_cache.dtype =
                               DType::bf16),
     "strobe::decode: rotary_cos is f32 and rotary_sin is bf16; both must have one type "
     "[dtype-mismatch]"},
    {"TablesOfHeads", SPOIL(c.rotate(); c.tensors.rotary_cos.shape = (Shape{10, 4, 3})),
     "strobe::decode: rotary_cos has shape [10, 4, 3]; it takes 2 axes: positions, rotary.dim / 2 "
     "[tensor-rank]"},
    {"TablesForNothing", SPOIL(c.rotate(); c.options.rotary = {}),
     "strobe::decode: rotary_cos and rotary_sin are given and rotary.dim is 0, which turns "
     "nothing; set it to the dimensions that are turned, twice the width of the tables "
     "[rotary-off]"},
    {"TablesOfAllDimensions", SPOIL(c.rotate(); c.options.rotary.dim = 8),
     "strobe::decode: rotary_cos has shape [10, 3] and rotary.dim is 8; it takes a column for each "
     "pair, 4 [rotary-shape]"},
    {"TablesTooShort",
     SPOIL(c.rotate(); c.append();
           c.tensors.rotary_cos.shape[0] = c.tensors.rotary_sin.shape[0] = 6),
     "strobe::decode: sequence 0 turns a row at position 6 and rotary_cos holds 6 positions; make "
     "rotary_cos and rotary_sin longer [rotary-positions]"},
    {"QueriesBeforeTheFirstKey", SPOIL(c.rotate()),
     "strobe::decode: row 0 of sequence 1 is at position -1, which no table holds, and sees keys: "
     "the sequence has more queries than keys; shorten it with seqlens_q, align top left, or leave "
     "the tables out [rotary-positions]"},
    {"RotaryBeyondTheHeadOfQ", SPOIL(c.options.rotary.dim = 10),
     "strobe::decode: rotary.dim is 10 and head_dim is 8; it turns the first dimensions of a head, "
     "at most all of them [rotary-dim]"},
};
INSTANTIATE_TEST_SUITE_P(Rotary, CacheMessage, testing::ValuesIn(kRotary), name_of_test);

void run_on(const char* planned, void (*change)(DecodeCall&)) {
  DecodeCall call;
  change(call);
  call.check_against(Problem::parse(planned));
}

const Provocation kPlans[] = {
    {"OtherPages", [] { run_on("b2 h4/2 q3 k8 d8/3 page=16", [](DecodeCall& c) { c.page(); }); },
     "strobe::Plan::run: page_size is 4 and the plan was made for 16; make a plan for this problem "
     "[plan-mismatch]"},
    {"PagesOfAContiguousPlan",
     [] { run_on("b2 h4/2 q3 k8 d8/3", [](DecodeCall& c) { c.page(); }); },
     "strobe::Plan::run: page_size is 4 and the plan was made for 0; make a plan for this problem "
     "[plan-mismatch]"},
    {"AppendToAPlanWithout",
     [] { run_on("b2 h4/2 q3 k8 d8/3", [](DecodeCall& c) { c.append(); }); },
     "strobe::Plan::run: seqlen_new is 2 and the plan was made for at most 0; make a plan for the "
     "longest [plan-longer]"},
    {"LongerCache", [] { run_on("b2 h4/2 q3 k4 d8/3", [](DecodeCall&) {}); },
     "strobe::Plan::run: seqlen_k is 5 and the plan was made for at most 4; make a plan for the "
     "longest [plan-longer]"},
    {"EntriesUnplanned",
     [] { run_on("b2 h4/2 q3 k8 d8/3", [](DecodeCall& c) { c.name_entries(); }); },
     "strobe::Plan::run: cache_batch_idx is given and the plan was made without it; make a plan "
     "for this problem [plan-option]"},
    {"PaddingPlanned", [] { run_on("b2 h4/2 q3 k8 d8/3 leftpad", [](DecodeCall&) {}); },
     "strobe::Plan::run: leftpad_k is not given and the plan was made with it; make a plan for "
     "this problem [plan-option]"},
    {"CodesOfAPlainPlan",
     [] {
       run_on("b2 h4/2 q3 k8 d8/3", [](DecodeCall& c) { c.quantise(DType::i8, KvScales::head); });
     },
     "strobe::Plan::run: the cache is i8 with head scales and the plan was made for f32; make a "
     "plan for this problem [plan-mismatch]"},
    {"ScalesOfAnotherPlan",
     [] {
       run_on("b2 h4/2 q3 k8 d8/3 kv=int8:group",
              [](DecodeCall& c) { c.quantise(DType::i8, KvScales::token); });
     },
     "strobe::Plan::run: the cache is i8 with token scales and the plan was made for i8 with group "
     "scales; make a plan for this problem [plan-mismatch]"},
    {"TablesUnplanned",
     [] { run_on("b2 h4/2 q3 k8 d8/3 align=top_left", [](DecodeCall& c) { c.rotate(); }); },
     "strobe::Plan::run: rotary_cos and rotary_sin are given and rotary.dim is 0, which turns "
     "nothing; set it to the dimensions that are turned, twice the width of the tables "
     "[rotary-off]"},
};
INSTANTIATE_TEST_SUITE_P(Plans, CacheMessage, testing::ValuesIn(kPlans), name_of_test);

}  // namespace
}  // namespace strobe::test
