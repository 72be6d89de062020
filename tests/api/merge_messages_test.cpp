// Every message of merge.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <vector>

#include "merge_parts.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class MergeMessage : public testing::TestWithParam<Provocation> {};

TEST_P(MergeMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

/// A call that passes: two parts of b2 q3 h4 dv5, o, lse and sink logits.
struct MergeCall {
  std::vector<float> memory = std::vector<float>(4096);
  std::vector<Partial> parts{{{slice(0), PartSizes{}.o()}, {slice(1), PartSizes{}.lse()}},
                             {{slice(2), PartSizes{}.o()}, {slice(3), PartSizes{}.lse()}}};
  MergeTensors tensors{.o = {slice(4), PartSizes{}.o()},
                       .lse = {slice(5), PartSizes{}.lse()},
                       .sink_logits = {slice(6), {4}}};

  MergeCall() = default;
  MergeCall(const MergeCall&) = delete;
  MergeCall& operator=(const MergeCall&) = delete;

  float* slice(int index) { return memory.data() + 512 * index; }
  void run() {
    tensors.parts = parts;
    merge(tensors);
  }
};

/// The call with one thing spoilt.
template <class Spoil>
void merge_with(Spoil spoil) {
  MergeCall call;
  spoil(call);
  call.run();
}

TEST(Merge, PassesUnspoilt) { EXPECT_NO_THROW(MergeCall().run()); }

const Provocation kProvocations[] = {
    {"NoParts", [] { merge_with([](MergeCall& c) { c.parts.clear(); }); },
     "strobe::merge: parts is empty; give at least one, whose shapes all others have "
     "[merge-parts]"},
    {"PartWithoutO", [] { merge_with([](MergeCall& c) { c.parts[1].o = {}; }); },
     "strobe::merge: parts[1].o is not given; o and lse of each part and o are needed "
     "[tensor-missing]"},
    {"PartWithoutLse", [] { merge_with([](MergeCall& c) { c.parts[0].lse = {}; }); },
     "strobe::merge: parts[0].lse is not given; o and lse of each part and o are needed "
     "[tensor-missing]"},
    {"NoOutput", [] { merge_with([](MergeCall& c) { c.tensors.o = {}; }); },
     "strobe::merge: o is not given; o and lse of each part and o are needed [tensor-missing]"},
    {"PackedPart", [] { merge_with([](MergeCall& c) {
                          c.parts[0].o = {c.slice(0), {6, 4, 5}};
                        }); },
     "strobe::merge: parts[0].o has shape [6, 4, 5]; it takes 4 axes: batch, seqlen_q, num_heads, "
     "head_dim_v [tensor-rank]"},
    {"FlatLse", [] { merge_with([](MergeCall& c) {
                       c.parts[1].lse = {c.slice(3), {24}};
                     }); },
     "strobe::merge: parts[1].lse has shape [24]; it takes 3 axes: batch, num_heads, seqlen_q "
     "[tensor-rank]"},
    {"FlatOutput", [] { merge_with([](MergeCall& c) {
                          c.tensors.o = {c.slice(4), {120}};
                        }); },
     "strobe::merge: o has shape [120]; it takes 4 axes: batch, seqlen_q, num_heads, head_dim_v "
     "[tensor-rank]"},
    {"FlatLseOutput", [] { merge_with([](MergeCall& c) {
                             c.tensors.lse = {c.slice(5), {24}};
                           }); },
     "strobe::merge: lse has shape [24]; it takes 3 axes: batch, num_heads, seqlen_q "
     "[tensor-rank]"},
    {"SinksOfEachRow",
     [] { merge_with([](MergeCall& c) {
            c.tensors.sink_logits = {c.slice(6), {2, 4}};
          }); },
     "strobe::merge: sink_logits has shape [2, 4]; it takes 1 axis: num_heads [tensor-rank]"},
    {"NarrowParts",
     [] {
       merge_with([](MergeCall& c) {
         for (Partial& part : c.parts) part.o.dtype = DType::bf16;
       });
     },
     "strobe::merge: parts[0].o is bf16; parts are f32, which forward and decode write for any "
     "type when asked, or f64 [merge-type]"},
    {"PartsOfTwoTypes", [] { merge_with([](MergeCall& c) { c.parts[1].o.dtype = DType::f64; }); },
     "strobe::merge: parts[1].o is f64; it must be f32 [dtype-mismatch]"},
    {"LseOfAnotherType",
     [] { merge_with([](MergeCall& c) { c.parts[0].lse.dtype = DType::f64; }); },
     "strobe::merge: parts[0].lse is f64; it must be f32 [dtype-mismatch]"},
    {"WideOutput", [] { merge_with([](MergeCall& c) { c.tensors.o.dtype = DType::f64; }); },
     "strobe::merge: o is f64 and parts are f32; o must be f32, f16 or bf16 [merge-type]"},
    {"NarrowOutputOfWideParts",
     [] {
       std::vector<double> memory(120);
       const Partial part{{memory.data(), {2, 3, 4, 5}}, {memory.data(), {2, 4, 3}}};
       std::vector<float> o(120);
       merge({.parts = {&part, 1}, .o = {o.data(), {2, 3, 4, 5}}});
     },
     "strobe::merge: o is f32 and parts are f64; o must be f64 [merge-type]"},
    {"NarrowLseOutput", [] { merge_with([](MergeCall& c) { c.tensors.lse.dtype = DType::f16; }); },
     "strobe::merge: lse is f16; it must be f32 [dtype-mismatch]"},
    {"IntegerSinks",
     [] { merge_with([](MergeCall& c) { c.tensors.sink_logits.dtype = DType::i32; }); },
     "strobe::merge: sink_logits is i32; it must be f32 [dtype-mismatch]"},
    {"PartOfOtherRows",
     [] { merge_with([](MergeCall& c) {
            c.parts[1].o = {c.slice(2), {2, 4, 4, 5}};
          }); },
     "strobe::merge: parts[1].o has shape [2, 4, 4, 5]; beside parts[0].o of shape [2, 3, 4, 5] it "
     "must be [2, 3, 4, 5] [shape-mismatch]"},
    {"LseAsOHasIt",
     [] { merge_with([](MergeCall& c) {
            c.parts[1].lse = {c.slice(3), {2, 3, 4}};
          }); },
     "strobe::merge: parts[1].lse has shape [2, 3, 4]; beside parts[0].o of shape [2, 3, 4, 5] it "
     "must be [2, 4, 3] [shape-mismatch]"},
    {"OutputOfOtherDims",
     [] { merge_with([](MergeCall& c) {
            c.tensors.o = {c.slice(4), {2, 3, 4, 6}};
          }); },
     "strobe::merge: o has shape [2, 3, 4, 6]; beside parts[0].o of shape [2, 3, 4, 5] it must be "
     "[2, 3, 4, 5] [shape-mismatch]"},
    {"LseOutputOfOtherHeads",
     [] { merge_with([](MergeCall& c) {
            c.tensors.lse = {c.slice(5), {2, 1, 3}};
          }); },
     "strobe::merge: lse has shape [2, 1, 3]; beside parts[0].o of shape [2, 3, 4, 5] it must be "
     "[2, 4, 3] [shape-mismatch]"},
    {"SinksOfOtherHeads",
     [] { merge_with([](MergeCall& c) {
            c.tensors.sink_logits = {c.slice(6), {3}};
          }); },
     "strobe::merge: sink_logits has shape [3]; beside parts[0].o of shape [2, 3, 4, 5] it must be "
     "[4] [shape-mismatch]"},
    {"PartInNoMemory", [] { merge_with([](MergeCall& c) { c.parts[1].lse.data = nullptr; }); },
     "strobe::merge: parts[1].lse has shape [2, 4, 3] and a null pointer; only a tensor without "
     "elements may have one [data-null]"},
    {"DimsApart", [] { merge_with([](MergeCall& c) {
                         c.parts[0].o.strides = {1, 2, 6, 24};
                       }); },
     "strobe::merge: parts[0].o has strides [1, 2, 6, 24] for shape [2, 3, 4, 5]; its last axis "
     "must be contiguous (stride 1), the others are free [stride-last]"},
    {"OutputOnItself",
     [] { merge_with([](MergeCall& c) {
            c.tensors.o.strides = {0, 20, 5, 1};
          }); },
     "strobe::merge: elements of o share memory: shape [2, 3, 4, 5], strides [0, 20, 5, 1]; each "
     "element of an output needs a place of its own [overlap-self]"},
    {"InPlace", [] { merge_with([](MergeCall& c) { c.tensors.o.data = c.slice(2); }); },
     "strobe::merge: o shares memory with parts[1].o; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
    {"LseInPlace", [] { merge_with([](MergeCall& c) { c.tensors.lse.data = c.slice(1); }); },
     "strobe::merge: lse shares memory with parts[0].lse; no element of an output may be an "
     "input's or another output's, so write lse elsewhere [overlap]"},
    {"LseInO", [] { merge_with([](MergeCall& c) { c.tensors.lse.data = c.slice(4) + 9; }); },
     "strobe::merge: o shares memory with lse; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
    {"OutputOnSinks", [] { merge_with([](MergeCall& c) { c.tensors.o.data = c.slice(6) - 9; }); },
     "strobe::merge: o shares memory with sink_logits; no element of an output may be an input's "
     "or another output's, so write o elsewhere [overlap]"},
};
INSTANTIATE_TEST_SUITE_P(All, MergeMessage, testing::ValuesIn(kProvocations), name_of_test);

TEST(Merge, ChecksBeforeItWrites) {
  MergeCall call;
  std::fill_n(call.slice(4), 512, 7.0f);
  call.parts[1].lse.data = nullptr;
  EXPECT_THROW(call.run(), Error);
  EXPECT_EQ(std::vector<float>(call.slice(4), call.slice(5)), std::vector<float>(512, 7.0f));
}

}  // namespace
}  // namespace strobe::test
