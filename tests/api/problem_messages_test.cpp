// Every message about a problem's numbers.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "api/validate.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class ProblemMessage : public testing::TestWithParam<Provocation> {};

TEST_P(ProblemMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

/// A valid problem with one member changed, checked as Plan does.
template <class Member, class Value>
void check_with(Member Problem::*member, Value value) {
  Problem p = Problem::parse("b2 h4/2 q7 k9 d16/8");
  p.*member = static_cast<Member>(value);
  api::check_problem(p, "strobe::Plan");
}

template <class Member, class Value>
void check_with_mask(Member Mask::*member, Value value) {
  Mask mask;
  mask.*member = static_cast<Member>(value);
  check_with(&Problem::mask, mask);
}

void check_with_scale(double scale) { check_with(&Problem::score, Score{scale}); }

const Provocation kProvocations[] = {
    {"BatchBelowZero", [] { check_with(&Problem::batch, -1); },
     "strobe::Plan: batch is -1; it must be at least 0 [size-range]"},
    {"QueriesBelowZero", [] { check_with(&Problem::seqlen_q, -1); },
     "strobe::Plan: seqlen_q is -1; it must be at least 0 [size-range]"},
    {"KeysBelowZero", [] { check_with(&Problem::seqlen_k, -5); },
     "strobe::Plan: seqlen_k is -5; it must be at least 0 [size-range]"},
    {"NoHeads", [] { check_with(&Problem::num_heads, 0); },
     "strobe::Plan: num_heads is 0; it must be at least 1 [size-range]"},
    {"NoKeyHeads", [] { check_with(&Problem::num_heads_kv, 0); },
     "strobe::Plan: num_heads_kv is 0; it must be at least 1 [size-range]"},
    {"NoHeadDim", [] { check_with(&Problem::head_dim, 0); },
     "strobe::Plan: head_dim is 0; it must be at least 1 [size-range]"},
    {"NoHeadDimOfValues", [] { check_with(&Problem::head_dim_v, 0); },
     "strobe::Plan: head_dim_v is 0; it must be at least 1 [size-range]"},
    {"HeadDimTooLarge", [] { check_with(&Problem::head_dim, 1025); },
     "strobe::Plan: head_dim is 1025; kernels take 1 to 1024; split the heads or project to "
     "fewer dimensions [head-dim]"},
    {"HeadDimOfValuesTooLarge", [] { check_with(&Problem::head_dim_v, 4096); },
     "strobe::Plan: head_dim_v is 4096; kernels take 1 to 1024; split the heads or project "
     "to fewer dimensions [head-dim]"},
    {"HeadsThatDoNotDivide", [] { check_with(&Problem::num_heads, 5); },
     "strobe::Plan: q has 5 heads and k has 2; each key head must serve the same number of "
     "query heads, so the first number must be a multiple of the second [heads-ratio]"},
    {"MoreKeyHeadsThanHeads", [] { check_with(&Problem::num_heads_kv, 8); },
     "strobe::Plan: q has 4 heads and k has 8; each key head must serve the same number of "
     "query heads, so the first number must be a multiple of the second [heads-ratio]"},
    {"QueriesBeyondInt64", [] { check_with(&Problem::seqlen_q, std::int64_t{1} << 56); },
     "strobe::Plan: q of 2 x 72057594037927936 x 4 x 16 f32 takes more than "
     "9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
    {"KeysBeyondInt64", [] { check_with(&Problem::seqlen_k, std::int64_t{1} << 57); },
     "strobe::Plan: k of 2 x 144115188075855872 x 2 x 16 f32 takes more than "
     "9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
    {"PairsBeyondInt64", [] { Problem::parse("b2 h32 q1000000000 d8"); },
     "strobe::Problem::parse: 2 x 32 heads of 1000000000 queries x 1000000000 keys are more "
     "than 9223372036854775807 pairs; make the sizes smaller [size-overflow]"},
    {"EmptyBatchBeyondInt64", [] { Problem::parse("b0 h1 q9223372036854775807 d1"); },
     "strobe::Problem::parse: q of 0 x 9223372036854775807 x 1 x 1 f32 takes more than "
     "9223372036854775807 bytes; make the sizes smaller [size-overflow]"},
    {"SequencesBeyondAnyWorkspace", [] { Problem::parse("b1152921504606846976 h1 q0 d1"); },
     "strobe::Problem::parse: batch is 1152921504606846976; a call takes up to 72057594037927936 "
     "sequences, so make it smaller [size-overflow]"},
    {"TypeNotGiven", [] { check_with(&Problem::dtype, DType::none); },
     "strobe::Plan: q, k and v are none; their type must be f32, f16, bf16 or f64 "
     "[dtype-input]"},
    {"TypeOfNoNumbers", [] { check_with(&Problem::dtype, DType::boolean); },
     "strobe::Plan: q, k and v are bool; their type must be f32, f16, bf16 or f64 "
     "[dtype-input]"},
    {"OutputTypeOfNeither", [] { check_with(&Problem::o_dtype, DType::bf16); },
     "strobe::Plan: o is bf16 and q is f32; o must have q's type or f32 [dtype-output]"},
    {"StorageOfNoKind", [] { check_with(&Problem::storage, 3); },
     "strobe::Plan: storage is 3, which is none of its values; they go from 0 to 2 "
     "[enum-value]"},
    {"LayoutOfNoKind", [] { check_with(&Problem::layout, -1); },
     "strobe::Plan: layout is -1, which is none of its values; they go from 0 to 1 "
     "[enum-value]"},
    {"DeterminismOfNoKind", [] { check_with(&Problem::determinism, 2); },
     "strobe::Plan: determinism is 2, which is none of its values; they go from 0 to 1 "
     "[enum-value]"},
    {"AlignOfNoKind", [] { check_with_mask(&Mask::align, 2); },
     "strobe::Plan: mask.align is 2, which is none of its values; they go from 0 to 1 "
     "[enum-value]"},
    {"WindowLeftBelowAll", [] { check_with_mask(&Mask::left, -2); },
     "strobe::Plan: mask.left is -2; a window side is a number of keys from 0 on, or -1 for "
     "all [mask-window]"},
    {"WindowRightBelowAll", [] { check_with_mask(&Mask::right, -7); },
     "strobe::Plan: mask.right is -7; a window side is a number of keys from 0 on, or -1 "
     "for all [mask-window]"},
    {"ChunkBelowZero", [] { check_with_mask(&Mask::chunk, -1); },
     "strobe::Plan: mask.chunk is -1; it must be at least 0, and 0 is off [mask-number]"},
    {"PrefixBelowZero", [] { check_with_mask(&Mask::prefix, -1); },
     "strobe::Plan: mask.prefix is -1; it must be at least 0, and 0 is off [mask-number]"},
    {"SinkTokensBelowZero", [] { check_with_mask(&Mask::sink_tokens, -1); },
     "strobe::Plan: mask.sink_tokens is -1; it must be at least 0, and 0 is off "
     "[mask-number]"},
    {"SoftcapBelowZero", [] { Problem::parse("h8 q4 d8 softcap=-1"); },
     "strobe::Problem::parse: score.softcap is -1; it must be from 1e-30 to 1e30, or 0 for none "
     "[softcap-value]"},
    {"BiasTypeWithoutBias", [] { check_with(&Problem::bias_dtype, DType::f32); },
     "strobe::Plan: bias_dtype is f32 for q of f32; it is q's type or f32 where there is a bias, "
     "and none where there is not [dtype-bias]"},
    {"BlocksBelowZero", [] { check_with_mask(&Mask::block_q, -64); },
     "strobe::Plan: mask.block_q is -64; it must be at least 0, and 0 is off [mask-number]"},
    {"BlocksOfOneSize", [] { check_with_mask(&Mask::block_k, 64); },
     "strobe::Plan: mask.block_q is 0 and mask.block_k is 64; a block map needs both, and 0 for "
     "both is none [blocks-size]"},
    {"DropoutOfAll", [] { Problem::parse("h8 q4 d8 dropout=1"); },
     "strobe::Problem::parse: dropout.probability is 1; it is at least 0 and below 1, in steps of "
     "1 / 65536, and one entry in 65536 is kept [dropout-probability]"},
    {"DropoutBelowNothing", [] { Problem::parse("h8 q4 d8 dropout=-0.5"); },
     "strobe::Problem::parse: dropout.probability is -0.5; it is at least 0 and below 1, in steps "
     "of 1 / 65536, and one entry in 65536 is kept [dropout-probability]"},
    {"DropoutOffsetTooLarge", [] { Problem::parse("h8 q4 d8 dropout=0.5,1,134217728"); },
     "strobe::Problem::parse: dropout.offset is 134217728; it counts the uses of a seed below "
     "2^27; go on with another seed [dropout-offset]"},
    {"IntervalsOfNoKind", [] { check_with(&Problem::intervals, 3); },
     "strobe::Plan: intervals is 3, which is none of its values; they go from 0 to 2 "
     "[enum-value]"},
    {"ScaleNotANumber", [] { check_with_scale(std::numeric_limits<double>::quiet_NaN()); },
     "strobe::Plan: score.scale is nan; it must be from -1e30 to 1e30; leave it out for 1 / "
     "sqrt(head_dim) [scale-finite]"},
    {"ScaleWithoutEnd", [] { check_with_scale(-std::numeric_limits<double>::infinity()); },
     "strobe::Plan: score.scale is -inf; it must be from -1e30 to 1e30; leave it out for 1 / "
     "sqrt(head_dim) [scale-finite]"},
};

INSTANTIATE_TEST_SUITE_P(All, ProblemMessage, testing::ValuesIn(kProvocations), name_of_test);

TEST(CheckProblem, TakesTheLimitsThemselves) {
  Problem p = Problem::parse("b0 h4 q0 k0 d1024/1");
  p.score.scale = 0.0;
  p.mask = {.left = 0,
            .right = std::numeric_limits<std::int64_t>::max(),
            .chunk = std::numeric_limits<std::int64_t>::max()};
  EXPECT_NO_THROW(api::check_problem(p, "strobe::Plan"));
}

}  // namespace
}  // namespace strobe::test
