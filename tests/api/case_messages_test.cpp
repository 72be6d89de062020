// Every message of the case grammar.
// SPDX-License-Identifier: Apache-2.0
#include "provocation.hpp"
#include "strobe/problem.hpp"

namespace strobe::test {
namespace {

class CaseMessage : public testing::TestWithParam<Provocation> {};

TEST_P(CaseMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

const Provocation kProvocations[] = {
    {"UnknownWord", [] { Problem::parse("b2 h8 q4 d8 hurry"); },
     "strobe::Problem::parse: word 5 \"hurry\" is not a word of the case grammar; sizes are "
     "b h q k d with a number, types f32, f16, bf16 and f64, options causal window chunk prefix "
     "sink_tokens align scale o varlen seqlens layout determinism softcap alibi bias allowed "
     "intervals blocks sink_logits dropout page append rotary batch_idx leftpad kv [case-word]"},
    {"NearMiss", [] { Problem::parse("h8 q4 d8 cuasal"); },
     "strobe::Problem::parse: word 4 \"cuasal\" is not a word of the case grammar; did you "
     "mean causal? [case-word]"},
    {"NearMissOfAValue", [] { Problem::parse("h8 q4 d8 sink_token=3"); },
     "strobe::Problem::parse: word 4 \"sink_token=3\" is not a word of the case grammar; "
     "did you mean sink_tokens=KEYS? [case-word]"},
    {"LongAndUnprintableWord",
     [] { Problem::parse("h8 q4 d8 \x01zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"); },
     "strobe::Problem::parse: word 4 \"?zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...\" is not "
     "a word of the case grammar; sizes are b h q k d with a number, types f32, f16, bf16 and f64, "
     "options causal window chunk prefix sink_tokens align scale o varlen seqlens layout "
     "determinism softcap alibi bias allowed intervals blocks sink_logits dropout page append "
     "rotary batch_idx leftpad kv [case-word]"},
    {"RepeatedSize", [] { Problem::parse("h8 q4 d8 h8"); },
     "strobe::Problem::parse: word 4 \"h8\" gives h a second time; each size, the type and "
     "each option may come once [case-repeated]"},
    {"RepeatedType", [] { Problem::parse("h8 q4 d8 f32 bf16"); },
     "strobe::Problem::parse: word 5 \"bf16\" gives type a second time; each size, the type "
     "and each option may come once [case-repeated]"},
    {"RepeatedOption", [] { Problem::parse("h8 q4 d8 chunk=2 causal chunk=2"); },
     "strobe::Problem::parse: word 6 \"chunk=2\" gives chunk a second time; each size, the "
     "type and each option may come once [case-repeated]"},
    {"SizeWithoutNumber", [] { Problem::parse("h8 q d8"); },
     "strobe::Problem::parse: word 2 \"q\" lacks a number where one is needed; write whole "
     "numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SizeWithSign", [] { Problem::parse("h8 q-4 d8"); },
     "strobe::Problem::parse: word 2 \"q-4\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SizeWithPlus", [] { Problem::parse("h8 q+4 d8"); },
     "strobe::Problem::parse: word 2 \"q+4\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SizeWithEquals", [] { Problem::parse("h8 q=4 d8"); },
     "strobe::Problem::parse: word 2 \"q=4\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SizeWithTail", [] { Problem::parse("h8 q4x d8"); },
     "strobe::Problem::parse: word 2 \"q4x\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SizeBeyondInt64", [] { Problem::parse("h8 q9223372036854775808 d8"); },
     "strobe::Problem::parse: word 2 \"q9223372036854775808\" lacks a number where one is "
     "needed; write whole numbers from 0 to 9223372036854775807 in digits alone, as in "
     "q1024 or chunk=512 [case-number]"},
    {"SizeWithEmptyHalf", [] { Problem::parse("h8/ q4 d8"); },
     "strobe::Problem::parse: word 1 \"h8/\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SizeWithThreeParts", [] { Problem::parse("h8/2/1 q4 d8"); },
     "strobe::Problem::parse: word 1 \"h8/2/1\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"SlashWhereNoneIsTaken", [] { Problem::parse("h8 q4/2 d8"); },
     "strobe::Problem::parse: word 2 \"q4/2\" is not understood; accepted: h32/8 (heads/kv "
     "heads) and d128/64 (head_dim/head_dim_v) with a \"/\" [case-value]"},
    {"OptionWithoutNumber", [] { Problem::parse("h8 q4 d8 chunk="); },
     "strobe::Problem::parse: word 4 \"chunk=\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"OptionWithSign", [] { Problem::parse("h8 q4 d8 prefix=-1"); },
     "strobe::Problem::parse: word 4 \"prefix=-1\" lacks a number where one is needed; "
     "write whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or "
     "chunk=512 [case-number]"},
    {"OptionWithFraction", [] { Problem::parse("h8 q4 d8 sink_tokens=1.5"); },
     "strobe::Problem::parse: word 4 \"sink_tokens=1.5\" lacks a number where one is "
     "needed; write whole numbers from 0 to 9223372036854775807 in digits alone, as in "
     "q1024 or chunk=512 [case-number]"},
    {"FlagWithValue", [] { Problem::parse("h8 q4 d8 causal=1"); },
     "strobe::Problem::parse: word 4 \"causal=1\" is not understood; accepted: causal, "
     "without a value [case-value]"},
    {"OptionWithoutValue", [] { Problem::parse("h8 q4 d8 window"); },
     "strobe::Problem::parse: word 4 \"window\" is not understood; accepted: "
     "window=LEFT,RIGHT [case-value]"},
    {"WindowOfOneNumber", [] { Problem::parse("h8 q4 d8 window=128"); },
     "strobe::Problem::parse: word 4 \"window=128\" is not understood; accepted: "
     "window=LEFT,RIGHT, two numbers of keys, -1 for all, as in window=128,0 [case-value]"},
    {"WindowOfThreeNumbers", [] { Problem::parse("h8 q4 d8 window=1,2,3"); },
     "strobe::Problem::parse: word 4 \"window=1,2,3\" is not understood; accepted: "
     "window=LEFT,RIGHT, two numbers of keys, -1 for all, as in window=128,0 [case-value]"},
    {"WindowBelowAll", [] { Problem::parse("h8 q4 d8 window=-2,0"); },
     "strobe::Problem::parse: word 4 \"window=-2,0\" is not understood; accepted: "
     "window=LEFT,RIGHT, two numbers of keys, -1 for all, as in window=128,0 [case-value]"},
    {"ScaleOfWords", [] { Problem::parse("h8 q4 d8 scale=big"); },
     "strobe::Problem::parse: word 4 \"scale=big\" is not understood; accepted: a finite "
     "decimal number, as in scale=0.125 [case-value]"},
    {"ScaleWithoutEnd", [] { Problem::parse("h8 q4 d8 scale=inf"); },
     "strobe::Problem::parse: word 4 \"scale=inf\" is not understood; accepted: a finite "
     "decimal number, as in scale=0.125 [case-value]"},
    {"ScaleBeyondDoubles", [] { Problem::parse("h8 q4 d8 scale=1e999"); },
     "strobe::Problem::parse: word 4 \"scale=1e999\" is not understood; accepted: a finite "
     "decimal number, as in scale=0.125 [case-value]"},
    {"ScaleWithTail", [] { Problem::parse("h8 q4 d8 scale=0.1x"); },
     "strobe::Problem::parse: word 4 \"scale=0.1x\" is not understood; accepted: a finite "
     "decimal number, as in scale=0.125 [case-value]"},
    {"AlignOfNoKind", [] { Problem::parse("h8 q4 d8 align=middle"); },
     "strobe::Problem::parse: word 4 \"align=middle\" is not understood; accepted: "
     "align=bottom_right and align=top_left [case-value]"},
    {"LayoutOfNoKind", [] { Problem::parse("h8 q4 d8 layout=sbhd"); },
     "strobe::Problem::parse: word 4 \"layout=sbhd\" is not understood; accepted: "
     "layout=bshd and layout=bhsd [case-value]"},
    {"OutputOfNoKind", [] { Problem::parse("h8 q4 d8 o=i8"); },
     "strobe::Problem::parse: word 4 \"o=i8\" is not understood; accepted: o=f32 and the "
     "type of q, k and v [case-value]"},
    {"DeterminismOfNoKind", [] { Problem::parse("h8 q4 d8 determinism=none"); },
     "strobe::Problem::parse: word 4 \"determinism=none\" is not understood; accepted: "
     "determinism=batch_invariant and determinism=run_to_run [case-value]"},
    {"NoHeads", [] { Problem::parse("q4 d8"); },
     "strobe::Problem::parse: the case has no size h; it takes at least heads, queries and "
     "head_dim, as in \"h8 q1024 d64\" [case-missing]"},
    {"NoQueries", [] { Problem::parse("h8 k4 d8"); },
     "strobe::Problem::parse: the case has no size q; it takes at least heads, queries and "
     "head_dim, as in \"h8 q1024 d64\" [case-missing]"},
    {"NoHeadDim", [] { Problem::parse("h8 q4"); },
     "strobe::Problem::parse: the case has no size d; it takes at least heads, queries and "
     "head_dim, as in \"h8 q1024 d64\" [case-missing]"},
    {"NothingAtAll", [] { Problem::parse(" "); },
     "strobe::Problem::parse: the case has no size h; it takes at least heads, queries and "
     "head_dim, as in \"h8 q1024 d64\" [case-missing]"},
    {"SizeAmongOptions", [] { Problem::parse_options("causal h8", {}); },
     "strobe::Problem::parse_options: word 2 \"h8\" is a size or a type, and these come "
     "from the tensors here; leave it out and keep the options [case-size]"},
    {"TypeAmongOptions", [] { Problem::parse_options("bf16", {}); },
     "strobe::Problem::parse_options: word 1 \"bf16\" is a size or a type, and these come "
     "from the tensors here; leave it out and keep the options [case-size]"},
    {"AxesInDisorder", [] { Problem::parse("h8 q4 d8 bias=h,b,q,k"); },
     "strobe::Problem::parse: word 4 \"bias=h,b,q,k\" is not understood; accepted: bias=b,h,q,k, "
     "each letter or a 1 where the axis is broadcast, as in bias=1,h,q,k [case-value]"},
    {"AxesMissing", [] { Problem::parse("h8 q4 d8 allowed=q,k"); },
     "strobe::Problem::parse: word 4 \"allowed=q,k\" is not understood; accepted: "
     "allowed=b,h,q,k, each letter or a 1 where the axis is broadcast, as in allowed=1,h,q,k "
     "[case-value]"},
    {"BiasOfAnotherType", [] { Problem::parse("h8 q4 d8 bias=1,h,q,k:bf16"); },
     "strobe::Problem::parse: word 4 \"bias=1,h,q,k:bf16\" is not understood; accepted: bias=AXES "
     "in the type of q, and bias=AXES:f32, as in bias=1,h,q,k:f32 [case-value]"},
    {"IntervalsOfNoKind", [] { Problem::parse("h8 q4 d8 intervals=half"); },
     "strobe::Problem::parse: word 4 \"intervals=half\" is not understood; accepted: intervals and "
     "intervals=full [case-value]"},
    {"SoftcapWithoutNumber", [] { Problem::parse("h8 q4 d8 softcap=much"); },
     "strobe::Problem::parse: word 4 \"softcap=much\" is not understood; accepted: a finite "
     "decimal "
     "number, as in softcap=30 [case-value]"},
    {"DropoutSeedOfLetters", [] { Problem::parse("h8 q4 d8 dropout=0.1,x"); },
     "strobe::Problem::parse: word 4 \"dropout=0.1,x\" is not understood; accepted: "
     "dropout=PROBABILITY, then a seed of 64 bits and an offset below 2^27, as in dropout=0.1,42,0 "
     "[case-value]"},
    {"TwoStorages", [] { Problem::parse("h8 q4 d8 varlen seqlens"); },
     "strobe::Problem::parse: word 5 \"seqlens\" joins varlen and seqlens in one case, "
     "which the grammar cannot draw tensors for; name one of them [case-storage]"},
    {"CacheOfNoType", [] { Problem::parse("h8 q4 d8 kv=int7"); },
     "strobe::Problem::parse: word 4 \"kv=int7\" is not understood; accepted: kv=e4m3, e5m2, int8 "
     "or "
     "int4, then the scales, tensor, head, token or group, as in kv=int8:token [case-value]"},
    {"CacheOfNoScales", [] { Problem::parse("h8 q4 d8 kv=int8:"); },
     "strobe::Problem::parse: word 4 \"kv=int8:\" is not understood; accepted: kv=e4m3, e5m2, int8 "
     "or "
     "int4, then the scales, tensor, head, token or group, as in kv=int8:token [case-value]"},
    {"CacheOfOtherScales", [] { Problem::parse("h8 q4 d8 kv=e4m3:page"); },
     "strobe::Problem::parse: word 4 \"kv=e4m3:page\" is not understood; accepted: kv=e4m3, e5m2, "
     "int8 or "
     "int4, then the scales, tensor, head, token or group, as in kv=int8:token [case-value]"},
    {"RotaryOfNoNumber", [] { Problem::parse("h8 q4 d8 rotary=interleaved"); },
     "strobe::Problem::parse: word 4 \"rotary=interleaved\" lacks a number where one is needed; "
     "write whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"RotaryOfAnotherPairing", [] { Problem::parse("h8 q4 d8 rotary=8,halves"); },
     "strobe::Problem::parse: word 4 \"rotary=8,halves\" is not understood; accepted: a finite "
     "decimal number, as in rotary=128,interleaved,500000 [case-value]"},
    {"RotaryWithoutItsBase", [] { Problem::parse("h8 q4 d8 rotary=8,interleaved,"); },
     "strobe::Problem::parse: word 4 \"rotary=8,interleaved,\" is not understood; accepted: a "
     "finite decimal number, as in rotary=128,interleaved,500000 [case-value]"},
    {"RotaryOfTwoBases", [] { Problem::parse("h8 q4 d8 rotary=8,1e4,1e5"); },
     "strobe::Problem::parse: word 4 \"rotary=8,1e4,1e5\" is not understood; accepted: "
     "rotary=DIM, then interleaved, then a base, as in rotary=128,interleaved,500000 "
     "[case-value]"},
    {"PageOfNoSize", [] { Problem::parse("h8 q4 d8 page"); },
     "strobe::Problem::parse: word 4 \"page\" is not understood; accepted: page=SIZE "
     "[case-value]"},
    {"AppendOfLess", [] { Problem::parse("h8 q4 d8 append=-1"); },
     "strobe::Problem::parse: word 4 \"append=-1\" lacks a number where one is needed; write "
     "whole numbers from 0 to 9223372036854775807 in digits alone, as in q1024 or chunk=512 "
     "[case-number]"},
    {"OutputNarrowerThanInput", [] { Problem::parse("h8 q4 d8 o=bf16"); },
     "strobe::Problem::parse: o is bf16 and q is f32; o must have q's type or f32 "
     "[dtype-output]"},
    {"HeadsThatDoNotDivide", [] { Problem::parse("h32/6 q4 d8"); },
     "strobe::Problem::parse: q has 32 heads and k has 6; each key head must serve the same "
     "number of query heads, so the first number must be a multiple of the second "
     "[heads-ratio]"},
    {"WindowAmongOptions", [] { Problem::parse_options("window=-2,0", {}); },
     "strobe::Problem::parse_options: word 1 \"window=-2,0\" is not understood; accepted: "
     "window=LEFT,RIGHT, two numbers of keys, -1 for all, as in window=128,0 [case-value]"},
};

INSTANTIATE_TEST_SUITE_P(All, CaseMessage, testing::ValuesIn(kProvocations), name_of_test);

}  // namespace
}  // namespace strobe::test
