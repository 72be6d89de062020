// Every message about the tensors of a call.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "call.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class TensorMessage : public testing::TestWithParam<Provocation> {};

TEST_P(TensorMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

/// Changes a valid padded call, then checks it.
void spoil(void (*change)(Call&)) {
  Call call;
  change(call);
  call.check();
}

void spoil_packed(void (*change)(Call&)) {
  Call call;
  call.pack();
  change(call);
  call.check();
}

#define SPOIL(statement) [] { spoil([](Call& c) { statement; }); }
#define SPOIL_PACKED(statement) [] { spoil_packed([](Call& c) { statement; }); }

const Provocation kShapes[] = {
    {"NothingGiven", [] { api::check_forward({}, {}, "strobe::forward"); },
     "strobe::forward: q is not given; q, k, v and o are needed [tensor-missing]"},
    {"NoQueries", SPOIL(c.tensors.q = {}),
     "strobe::forward: q is not given; q, k, v and o are needed [tensor-missing]"},
    {"NoOutput", SPOIL(c.tensors.o = {}),
     "strobe::forward: o is not given; q, k, v and o are needed [tensor-missing]"},
    {"RankTooSmall", SPOIL(c.tensors.q.shape = (Shape{12, 4, 8})),
     "strobe::forward: q has shape [12, 4, 8]; it takes 4 axes: batch, seqlen, heads, dim "
     "(packed sequences, which have no batch axis, need cu_seqlens_q and cu_seqlens_k) "
     "[tensor-rank]"},
    {"RankTooLarge", SPOIL(c.tensors.k.shape = (Shape{1, 2, 5, 2, 8})),
     "strobe::forward: k has shape [1, 2, 5, 2, ...]; it takes 4 axes: batch, seqlen, "
     "heads, dim (packed sequences, which have no batch axis, need cu_seqlens_q and "
     "cu_seqlens_k) [tensor-rank]"},
    {"PackedRank", SPOIL_PACKED(c.tensors.v.shape = (Shape{1, 5, 2, 3})),
     "strobe::forward: v has shape [1, 5, 2, 3]; it takes 3 axes: total, heads, dim "
     "(packed, as cu_seqlens are given) [tensor-rank]"},
    {"LseRank", SPOIL(c.tensors.lse.shape = (Shape{8, 6})),
     "strobe::forward: lse has shape [8, 6]; it takes 3 axes: batch, heads, seqlen_q "
     "[tensor-rank]"},
    {"PackedLseRank", SPOIL_PACKED(c.tensors.lse.shape = (Shape{1, 4, 6})),
     "strobe::forward: lse has shape [1, 4, 6]; it takes 2 axes: heads, total [tensor-rank]"},
    {"CuSeqlensRank", SPOIL_PACKED(c.tensors.cu_seqlens_k.shape = (Shape{2, 2})),
     "strobe::forward: cu_seqlens_k has shape [2, 2]; it takes 1 axis: batch + 1 "
     "[tensor-rank]"},
    {"SeqlensRank", SPOIL(c.shorten(); c.tensors.seqlens_k.shape = (Shape{1, 2})),
     "strobe::forward: seqlens_k has shape [1, 2]; it takes 1 axis: batch [tensor-rank]"},
    {"SizeBelowZero", SPOIL(c.tensors.q.shape[1] = -6),
     "strobe::forward: q has shape [2, -6, 4, 8]; sizes are at least 0 [shape-negative]"},
    {"BatchDiffers", SPOIL(c.tensors.k.shape[0] = 3),
     "strobe::forward: batch is 2 in q [2, 6, 4, 8] and 3 in k [3, 5, 2, 8]; they must be "
     "equal [shape-mismatch]"},
    {"BatchOfOutputDiffers", SPOIL(c.tensors.o.shape[0] = 1),
     "strobe::forward: batch is 2 in q [2, 6, 4, 8] and 1 in o [1, 6, 4, 3]; they must be "
     "equal [shape-mismatch]"},
    {"KeysAndValuesDiffer", SPOIL(c.tensors.v.shape[1] = 4),
     "strobe::forward: seqlen_k is 5 in k [2, 5, 2, 8] and 4 in v [2, 4, 2, 3]; they must "
     "be equal [shape-mismatch]"},
    {"QueriesAndOutputDiffer", SPOIL(c.tensors.o.shape[1] = 5),
     "strobe::forward: seqlen_q is 6 in q [2, 6, 4, 8] and 5 in o [2, 5, 4, 3]; they must "
     "be equal [shape-mismatch]"},
    {"KeyHeadsDiffer", SPOIL(c.tensors.v.shape[2] = 1),
     "strobe::forward: num_heads_kv is 2 in k [2, 5, 2, 8] and 1 in v [2, 5, 1, 3]; they "
     "must be equal [shape-mismatch]"},
    {"HeadsOfOutputDiffer", SPOIL(c.tensors.o.shape[2] = 2),
     "strobe::forward: num_heads is 4 in q [2, 6, 4, 8] and 2 in o [2, 6, 2, 3]; they must "
     "be equal [shape-mismatch]"},
    {"HeadDimDiffers", SPOIL(c.tensors.k.shape[3] = 7),
     "strobe::forward: head_dim is 8 in q [2, 6, 4, 8] and 7 in k [2, 5, 2, 7]; they must "
     "be equal [shape-mismatch]"},
    {"HeadDimOfValuesDiffers", SPOIL(c.tensors.o.shape[3] = 8),
     "strobe::forward: head_dim_v is 3 in v [2, 5, 2, 3] and 8 in o [2, 6, 4, 8]; they must "
     "be equal [shape-mismatch]"},
    {"LseBatchDiffers", SPOIL(c.tensors.lse.shape[0] = 1),
     "strobe::forward: batch is 2 in q [2, 6, 4, 8] and 1 in lse [1, 4, 6]; they must be "
     "equal [shape-mismatch]"},
    {"LseHeadsDiffer", SPOIL(c.tensors.lse.shape[1] = 2),
     "strobe::forward: num_heads is 4 in q [2, 6, 4, 8] and 2 in lse [2, 2, 6]; they must "
     "be equal [shape-mismatch]"},
    {"LseRowsDiffer", SPOIL(c.tensors.lse.shape[2] = 5),
     "strobe::forward: seqlen_q is 6 in q [2, 6, 4, 8] and 5 in lse [2, 4, 5]; they must be "
     "equal [shape-mismatch]"},
    {"PackedTotalsDiffer", SPOIL_PACKED(c.tensors.o.shape[0] = 5),
     "strobe::forward: the total of queries is 6 in q [6, 4, 8] and 5 in o [5, 4, 3]; they "
     "must be equal [shape-mismatch]"},
    {"PackedKeyTotalsDiffer", SPOIL_PACKED(c.tensors.v.shape[0] = 4),
     "strobe::forward: the total of keys is 5 in k [5, 2, 8] and 4 in v [4, 2, 3]; they "
     "must be equal [shape-mismatch]"},
    {"PackedLseDiffers", SPOIL_PACKED(c.tensors.lse.shape[1] = 5),
     "strobe::forward: the total of queries is 6 in q [6, 4, 8] and 5 in lse [4, 5]; they "
     "must be equal [shape-mismatch]"},
    {"HeadsThatDoNotDivide",
     SPOIL(c.tensors.q.shape[2] = 3; c.tensors.o.shape[2] = 3; c.tensors.lse.shape[1] = 3),
     "strobe::forward: q has 3 heads and k has 2; each key head must serve the same number "
     "of query heads, so the first number must be a multiple of the second [heads-ratio]"},
    {"HeadDimTooLarge", SPOIL(c.tensors.q.shape[3] = 2000; c.tensors.k.shape[3] = 2000),
     "strobe::forward: head_dim is 2000; kernels take 1 to 1024; split the heads or project "
     "to fewer dimensions [head-dim]"},
    {"ShapesBeyondInt64",
     SPOIL(c.tensors.q = (ConstTensorView{c.slice(0), {2, kLargest, 4, 8}});
           c.tensors.o = (TensorView{c.slice(3), {2, kLargest, 4, 3}}); c.tensors.lse = {}),
     "strobe::forward: q of 2 x 9223372036854775807 x 4 x 8 f32 takes more than "
     "9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
};

const Provocation kTypes[] = {
    {"KeysOfAnotherType", SPOIL(c.tensors.k.dtype = DType::bf16),
     "strobe::forward: q is f32 and k is bf16; q, k and v must have one type "
     "[dtype-mismatch]"},
    {"ValuesOfAnotherType", SPOIL(c.tensors.v.dtype = DType::f16),
     "strobe::forward: q is f32 and v is f16; q, k and v must have one type [dtype-mismatch]"},
    {"TypeNotGiven", SPOIL(c.tensors.q.dtype = c.tensors.k.dtype = c.tensors.v.dtype = DType::none),
     "strobe::forward: q, k and v are none; their type must be f32, f16, bf16 or f64 "
     "[dtype-input]"},
    {"OutputOfAnotherType", SPOIL(c.tensors.o.dtype = DType::bf16),
     "strobe::forward: o is bf16 and q is f32; o must have q's type or f32 [dtype-output]"},
    {"LseOfAnotherType", SPOIL(c.tensors.lse.dtype = DType::f64),
     "strobe::forward: lse is f64; it must be f32 [dtype-mismatch]"},
    {"CuSeqlensOfAnotherType", SPOIL_PACKED(c.tensors.cu_seqlens_q.dtype = DType::f32),
     "strobe::forward: cu_seqlens_q is f32; it must be i32 [dtype-mismatch]"},
    {"SeqlensOfAnotherType", SPOIL(c.shorten(); c.tensors.seqlens_q.dtype = DType::boolean),
     "strobe::forward: seqlens_q is bool; it must be i32 [dtype-mismatch]"},
};

const Provocation kMemory[] = {
    {"NullPointer", SPOIL(c.tensors.v.data = nullptr),
     "strobe::forward: v has shape [2, 5, 2, 3] and a null pointer; only a tensor without "
     "elements may have one [data-null]"},
    {"NullLse", SPOIL(c.tensors.lse.data = nullptr),
     "strobe::forward: lse has shape [2, 4, 6] and a null pointer; only a tensor without "
     "elements may have one [data-null]"},
    {"NullLengths", SPOIL_PACKED(c.tensors.cu_seqlens_k.data = nullptr),
     "strobe::forward: cu_seqlens_k has shape [4] and a null pointer; only a tensor without "
     "elements may have one [data-null]"},
    {"OddAddress", SPOIL(c.tensors.k.data = reinterpret_cast<const char*>(c.slice(1)) + 2),
     "strobe::forward: k lies at an address that is no multiple of the 4 bytes of f32; copy "
     "it to one that is [data-alignment]"},
    {"StridesOfAnotherRank", SPOIL(c.tensors.q.strides = (Shape{32, 8, 1})),
     "strobe::forward: q has shape [2, 6, 4, 8] and strides [32, 8, 1]; it takes one stride "
     "for each axis [stride-rank]"},
    {"LastAxisNotContiguous",
     SPOIL(c.tensors.k.shape = (Shape{2, 5, 2, 8}); c.tensors.k.strides = (Shape{1, 2, 10, 20})),
     "strobe::forward: k has strides [1, 2, 10, 20] for shape [2, 5, 2, 8]; its last axis "
     "must be contiguous (stride 1), the others are free [stride-last]"},
    {"LengthsNotContiguous", SPOIL(c.shorten(); c.tensors.seqlens_q.strides = (Shape{2})),
     "strobe::forward: seqlens_q has strides [2] for shape [2]; its last axis must be "
     "contiguous (stride 1), the others are free [stride-last]"},
    {"StrideBelowZero", SPOIL(c.tensors.v.strides[1] = -6),
     "strobe::forward: v has strides [30, -6, 3, 1]; negative strides are not taken, so "
     "reverse the axis in a copy [stride-negative]"},
    {"LseStrideBelowZero", SPOIL(c.tensors.lse.strides[2] = -1),
     "strobe::forward: lse has strides [24, 6, -1]; negative strides are not taken, so "
     "reverse the axis in a copy [stride-negative]"},
    {"StrideBeyondMemory", SPOIL(c.tensors.q.strides[0] = kLargest / 2),
     "strobe::forward: q of shape [2, 6, 4, 8] with strides [4611686018427387903, 32, 8, 1] "
     "reaches beyond any memory; strides count elements, not bytes [stride-overflow]"},
    {"StridesBeyondInt64", SPOIL(c.tensors.q.strides[0] = c.tensors.q.strides[1] = kLargest),
     "strobe::forward: q of shape [2, 6, 4, 8] with strides [9223372036854775807, "
     "9223372036854775807, 8, 1] reaches beyond any memory; strides count elements, not "
     "bytes [stride-overflow]"},
    {"OutputOnItselfByStrideZero", SPOIL(c.tensors.o.strides[0] = 0),
     "strobe::forward: elements of o share memory: shape [2, 6, 4, 3], strides [0, 12, 3, "
     "1]; each element of an output needs a place of its own [overlap-self]"},
    {"OutputOnItselfByShortStride", SPOIL(c.tensors.o.strides[1] = 11),
     "strobe::forward: elements of o share memory: shape [2, 6, 4, 3], strides [72, 11, 3, "
     "1]; each element of an output needs a place of its own [overlap-self]"},
    {"LseOnItself", SPOIL(c.tensors.lse.strides[1] = 5),
     "strobe::forward: elements of lse share memory: shape [2, 4, 6], strides [24, 5, 1]; "
     "each element of an output needs a place of its own [overlap-self]"},
    {"OutputOnQueries", SPOIL(c.tensors.o.data = c.slice(0)),
     "strobe::forward: o shares memory with q; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
    {"OutputOnLastElementOfValues", SPOIL(c.tensors.o.data = c.slice(2) + 59),
     "strobe::forward: o shares memory with v; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
    {"LseOnKeys", SPOIL(c.tensors.lse.data = c.slice(1) + 40),
     "strobe::forward: lse shares memory with k; no element of an output may be an input's "
     "or another output's, so write lse elsewhere [overlap]"},
    {"LseOnLengths", SPOIL(c.shorten(); c.tensors.lse.data = c.lengths_k.data()),
     "strobe::forward: lse shares memory with seqlens_k; no element of an output may be an "
     "input's or another output's, so write lse elsewhere [overlap]"},
    {"OutputOnLse", SPOIL(c.tensors.lse.data = c.slice(3) + 100),
     "strobe::forward: o shares memory with lse; no element of an output may be an input's "
     "or another output's, so write o elsewhere [overlap]"},
    {"StridesWithoutOrder",
     SPOIL(c.tensors.q.shape = c.tensors.o.shape = (Shape{50, 50, 50, 1});
           c.tensors.q.strides = (Shape{1234567891, 1345678909, 1456789013, 1});
           c.tensors.o.strides = (Shape{1567890127, 1678901239, 1789012357, 1});
           c.tensors.k.shape = c.tensors.v.shape = (Shape{50, 1, 1, 1});
           c.tensors.o.data = c.slice(0) + 8; c.tensors.lse = {}),
     "strobe::forward: whether elements of o of shape [50, 50, 50, 1] with strides "
     "[1567890127, 1678901239, 1789012357, 1] share memory was not decided within 1048576 "
     "steps; give it memory of its own, row-major [overlap-undecided]"},
};

INSTANTIATE_TEST_SUITE_P(Shapes, TensorMessage, testing::ValuesIn(kShapes), name_of_test);
INSTANTIATE_TEST_SUITE_P(Types, TensorMessage, testing::ValuesIn(kTypes), name_of_test);
INSTANTIATE_TEST_SUITE_P(Memory, TensorMessage, testing::ValuesIn(kMemory), name_of_test);

const Provocation kLengths[] = {
    {"OnlyOneCuSeqlens", SPOIL_PACKED(c.tensors.cu_seqlens_k = {}),
     "strobe::forward: cu_seqlens_q is given without cu_seqlens_k; packed sequences need "
     "both, padded ones neither [cu-seqlens-pair]"},
    {"OnlyTheOtherCuSeqlens", SPOIL_PACKED(c.tensors.cu_seqlens_q = {}),
     "strobe::forward: cu_seqlens_k is given without cu_seqlens_q; packed sequences need "
     "both, padded ones neither [cu-seqlens-pair]"},
    {"CuSeqlensOfTwoSizes", SPOIL_PACKED(c.tensors.cu_seqlens_k.shape[0] = 3),
     "strobe::forward: cu_seqlens_q has 4 entries and cu_seqlens_k 3; both need batch + 1 "
     "[cu-seqlens-shape]"},
    {"CuSeqlensWithoutEntries",
     SPOIL_PACKED(c.tensors.cu_seqlens_q.shape[0] = c.tensors.cu_seqlens_k.shape[0] = 0),
     "strobe::forward: cu_seqlens_q has 0 entries and cu_seqlens_k 0; both need batch + 1 "
     "[cu-seqlens-shape]"},
    {"CuSeqlensStartsBelowZero", SPOIL_PACKED(c.cu_q[0] = -3),
     "strobe::forward: cu_seqlens_q[0] is -3; the first sequence starts at row 0 or later "
     "[cu-seqlens-start]"},
    {"CuSeqlensFalls", SPOIL_PACKED(c.cu_q[1] = 3),
     "strobe::forward: cu_seqlens_q[2] is 2 after 3; entries never fall, as sequence b is "
     "rows [cu[b], cu[b + 1]) [cu-seqlens-falling]"},
    {"CuSeqlensFallsFar", SPOIL_PACKED(c.cu_k[3] = std::numeric_limits<std::int32_t>::min()),
     "strobe::forward: cu_seqlens_k[3] is -2147483648 after 4; entries never fall, as "
     "sequence b is rows [cu[b], cu[b + 1]) [cu-seqlens-falling]"},
    {"CuSeqlensEndsBeyondTheTensor", SPOIL_PACKED(c.cu_k[3] = 6),
     "strobe::forward: cu_seqlens_k[3] is 6 and k has 5 rows; the last entry is at most "
     "that [cu-seqlens-end]"},
    {"SeqlensOfAnotherBatch", SPOIL(c.shorten(); c.tensors.seqlens_q.shape[0] = 1),
     "strobe::forward: seqlens_q has 1 entries and the batch 2 sequences; it needs one "
     "entry for each [seqlens-shape]"},
    {"PackedSeqlensOfAnotherBatch",
     SPOIL_PACKED(c.tensors.seqlens_k = (ConstTensorView{c.lengths_k.data(), {2}})),
     "strobe::forward: seqlens_k has 2 entries and the batch 3 sequences; it needs one "
     "entry for each [seqlens-shape]"},
    {"SeqlensBelowZero", SPOIL(c.shorten(); c.lengths_k[1] = -1),
     "strobe::forward: seqlens_k[1] is -1 and the sequence has 5 rows in k; a length is "
     "from 0 to that [seqlens-value]"},
    {"SeqlensBeyondTheTensor", SPOIL(c.shorten(); c.lengths_q[1] = 7),
     "strobe::forward: seqlens_q[1] is 7 and the sequence has 6 rows in q; a length is from "
     "0 to that [seqlens-value]"},
    {"PackedSeqlensBeyondTheSequence",
     SPOIL_PACKED(c.lengths_k = (std::vector<std::int32_t>{3, 1, 2});
                  c.tensors.seqlens_k = (ConstTensorView{c.lengths_k.data(), {3}})),
     "strobe::forward: seqlens_k[2] is 2 and the sequence has 1 rows in k; a length is from "
     "0 to that [seqlens-value]"},
    {"MaxSeqlenBelowZero", SPOIL_PACKED(c.options.max_seqlen_q = -1),
     "strobe::forward: max_seqlen_q is -1; give the longest length, or 0 to read it from "
     "cu_seqlens [max-seqlen-negative]"},
    {"MaxSeqlenOfPaddedTensors", SPOIL(c.options.max_seqlen_k = 5),
     "strobe::forward: max_seqlen_k is 5 without cu_seqlens; padded tensors tell their "
     "lengths by shape, so leave it 0 [max-seqlen-padded]"},
    {"MaxSeqlenTooSmall", SPOIL_PACKED(c.options.max_seqlen_q = 3),
     "strobe::forward: max_seqlen_q is 3 and sequence 2 has 4 rows in q; make it at least "
     "the longest, or 0 to read it from cu_seqlens [max-seqlen-small]"},
    {"MaxSeqlenOfKeysTooSmall", SPOIL_PACKED(c.options.max_seqlen_k = 2),
     "strobe::forward: max_seqlen_k is 2 and sequence 0 has 3 rows in k; make it at least "
     "the longest, or 0 to read it from cu_seqlens [max-seqlen-small]"},
    {"OptionsAreChecked", SPOIL(c.options.mask.left = -2),
     "strobe::forward: mask.left is -2; a window side is a number of keys from 0 on, or -1 "
     "for all [mask-window]"},
};
INSTANTIATE_TEST_SUITE_P(Lengths, TensorMessage, testing::ValuesIn(kLengths), name_of_test);

/// Runs a call against a plan for `planned`.
void run_padded(const char* planned) { Call().check_against(Problem::parse(planned)); }
void run_packed(const char* planned) {
  Call call;
  call.pack();
  call.check_against(Problem::parse(planned));
}

const Provocation kPlans[] = {
    {"Batch", [] { run_padded("b3 h4/2 q6 k5 d8/3"); },
     "strobe::Plan::run: batch is 2 and the plan was made for 3; make a plan for this "
     "problem [plan-mismatch]"},
    {"SmallerBatch", [] { run_packed("b4 h4/2 q6 k5 d8/3 varlen"); },
     "strobe::Plan::run: batch is 3 and the plan was made for 4; make a plan for this "
     "problem [plan-mismatch]"},
    {"Heads", [] { run_padded("b2 h8/2 q6 k5 d8/3"); },
     "strobe::Plan::run: num_heads is 4 and the plan was made for 8; make a plan for this "
     "problem [plan-mismatch]"},
    {"KeyHeads", [] { run_padded("b2 h4/4 q6 k5 d8/3"); },
     "strobe::Plan::run: num_heads_kv is 2 and the plan was made for 4; make a plan for "
     "this problem [plan-mismatch]"},
    {"HeadDim", [] { run_padded("b2 h4/2 q6 k5 d16/3"); },
     "strobe::Plan::run: head_dim is 8 and the plan was made for 16; make a plan for this "
     "problem [plan-mismatch]"},
    {"HeadDimOfValues", [] { run_padded("b2 h4/2 q6 k5 d8"); },
     "strobe::Plan::run: head_dim_v is 3 and the plan was made for 8; make a plan for this "
     "problem [plan-mismatch]"},
    {"Type", [] { run_padded("b2 h4/2 q6 k5 d8/3 bf16 o=f32"); },
     "strobe::Plan::run: q, k and v are f32 and o is f32 and the plan was made for bf16 and "
     "f32; make a plan for this problem [plan-mismatch]"},
    {"LongerQueries", [] { run_padded("b2 h4/2 q5 k5 d8/3"); },
     "strobe::Plan::run: seqlen_q is 6 and the plan was made for at most 5; make a plan for "
     "the longest [plan-longer]"},
    {"LongerKeys", [] { run_packed("b3 h4/2 q6 k2 d8/3 varlen"); },
     "strobe::Plan::run: seqlen_k is 3 and the plan was made for at most 2; make a plan for "
     "the longest [plan-longer]"},
    {"PackedOnAPlanForPadded", [] { run_packed("b3 h4/2 q6 k5 d8/3"); },
     "strobe::Plan::run: cu_seqlens are given and the plan was made for padded sequences; "
     "make a plan for this problem [plan-storage]"},
    {"PaddedOnAPlanForPacked", [] { run_padded("b2 h4/2 q6 k5 d8/3 varlen"); },
     "strobe::Plan::run: no cu_seqlens are given and the plan was made for packed sequences "
     "(varlen); make a plan for this problem [plan-storage]"},
};
INSTANTIATE_TEST_SUITE_P(Plans, TensorMessage, testing::ValuesIn(kPlans), name_of_test);

}  // namespace
}  // namespace strobe::test
