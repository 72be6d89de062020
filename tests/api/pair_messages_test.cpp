// Every message about what masks and scores take from memory.
// SPDX-License-Identifier: Apache-2.0
#include "call.hpp"
#include "provocation.hpp"

namespace strobe::test {
namespace {

class PairMessage : public testing::TestWithParam<Provocation> {};

TEST_P(PairMessage, SaysWhatIsWrong) { expect_message(GetParam()); }

/// b2 h4/2 q6 k5 d8/3 with everything that may lie in memory, each axis of its own.
struct PairCall : Call {
  std::vector<std::int32_t> rows = std::vector<std::int32_t>(2 * 4 * 6);
  std::vector<std::uint64_t> state{1, 2};
  std::uint8_t truths[2 * 4 * 6 * 5] = {};

  PairCall() {
    tensors.key_begin = {rows.data(), {2, 4, 6}};
    tensors.key_end = {rows.data(), {1, 1, 6}};
    tensors.allowed = {truths, DType::boolean, {2, 4, 6, 5}};
    tensors.blocks = {truths, DType::boolean, {1, 4, 2, 3}};
    options.mask.block_q = 4;
    options.mask.block_k = 2;
    tensors.bias = {slice(5), {1, 4, 6, 5}};
    tensors.alibi_slopes = {slice(6), {2, 4}};
    tensors.sink_logits = {slice(7), {4}};
    tensors.dropout_state = {state.data(), {2}};
  }
};

TEST(PairTensors, AreFoundInTheProblem) {
  const PairCall call;
  EXPECT_EQ(call.check().to_string(),
            "b2 h4/2 q6 k5 d8/3 alibi bias=1,h,q,k allowed=b,h,q,k intervals blocks=4/2 "
            "sink_logits");
}

TEST(PairTensors, MayBeBroadcastByStride) {
  PairCall call;
  call.tensors.bias.strides = {0, 0, 0, 0};
  call.tensors.allowed.strides = {0, 5, 0, 1};
  EXPECT_NO_THROW(call.check());
}

/// Packed sequences: of the longest, or more.
TEST(PairTensors, OfPackedSequencesMayBeLonger) {
  PairCall call;
  call.pack();
  call.tensors.key_begin = {call.rows.data(), {3, 4, 4}};
  call.tensors.allowed = {call.truths, DType::boolean, {1, 1, 5, 4}};
  call.tensors.blocks = {call.truths, DType::boolean, {3, 1, 1, 2}};
  call.tensors.bias = {call.slice(5), {3, 1, 1, 3}};
  call.tensors.alibi_slopes = {call.slice(6), {3, 4}};
  EXPECT_NO_THROW(call.check());
}

void spoil(void (*change)(PairCall&)) {
  PairCall call;
  change(call);
  call.check();
}
#define SPOIL(statement) [] { spoil([](PairCall& c) { statement; }); }

const Provocation kProvocations[] = {
    {"RowsOfRankTwo", SPOIL(c.tensors.key_begin.shape = (Shape{4, 6})),
     "strobe::forward: key_begin has shape [4, 6]; it takes 3 axes: batch or 1, num_heads or 1, "
     "seqlen_q (of the longest sequence) [tensor-rank]"},
    {"BiasOfNegativeSize", SPOIL(c.tensors.bias.shape[3] = -5),
     "strobe::forward: bias has shape [1, 4, 6, -5]; sizes are at least 0 [shape-negative]"},
    {"RowsOfFloats", SPOIL(c.tensors.key_end.dtype = DType::f32),
     "strobe::forward: key_end is f32; it must be i32 [dtype-mismatch]"},
    {"BiasOfAnotherType", SPOIL(c.tensors.bias.dtype = DType::bf16),
     "strobe::forward: bias is bf16; it must be f32 [dtype-mismatch]"},
    {"AllowedOfNumbers", SPOIL(c.tensors.allowed.dtype = DType::i32),
     "strobe::forward: allowed is i32; it must be bool [dtype-mismatch]"},
    {"BatchOfBias", SPOIL(c.tensors.bias.shape[0] = 3),
     "strobe::forward: bias has shape [3, 4, 6, 5] and batch is 2; axis 0 must be 2, or 1 to serve "
     "all [pair-shape]"},
    {"HeadsOfKeyHeads", SPOIL(c.tensors.allowed.shape[1] = 2),
     "strobe::forward: allowed has shape [2, 2, 6, 5] and num_heads is 4; axis 1 must be 4, or 1 "
     "to serve all [pair-shape]"},
    {"RowsTooFew", SPOIL(c.tensors.key_begin.shape[2] = 1),
     "strobe::forward: key_begin has shape [2, 4, 1] and seqlen_q is 6; axis 2 must be 6 "
     "[pair-shape]"},
    {"PackedRowsTooFew",
     SPOIL(c.pack(); c.tensors.bias = (ConstTensorView{c.slice(5), {1, 1, 3, 1}});
           c.tensors.key_begin = {}; c.tensors.key_end = {}; c.tensors.allowed = {};
           c.tensors.blocks = {}; c.tensors.alibi_slopes = {}; c.options.mask = {}),
     "strobe::forward: bias has shape [1, 1, 3, 1] and seqlen_q is 4; axis 2 must be at least 4, "
     "or 1 to serve all [pair-shape]"},
    {"BlocksTooMany", SPOIL(c.tensors.blocks.shape[3] = 5),
     "strobe::forward: blocks has shape [1, 4, 2, 5] and ceil(seqlen_k / block_k) is 3; axis 3 "
     "must be 3 [pair-shape]"},
    {"SlopesOfKeyHeads", SPOIL(c.tensors.alibi_slopes = (ConstTensorView{c.slice(6), {2}})),
     "strobe::forward: alibi_slopes has shape [2] and num_heads is 4; axis 0 must be 4 "
     "[pair-shape]"},
    {"StateOfOne", SPOIL(c.tensors.dropout_state.shape[0] = 1),
     "strobe::forward: dropout_state has shape [1] and its size is 2; axis 0 must be 2 "
     "[pair-shape]"},
    {"StateTooFar", SPOIL(c.state[1] = std::uint64_t{1} << 27),
     "strobe::forward: dropout_state[1], the offset, is 134217728; it counts the uses of a seed "
     "below 2^27; go on with another seed [dropout-offset]"},
    {"MapWithoutSizes", SPOIL(c.options.mask = {}),
     "strobe::forward: blocks is given without mask.block_q and mask.block_k; a block map needs "
     "both the tensor and the sizes of its blocks [blocks-pair]"},
    {"SizesWithoutMap", SPOIL(c.tensors.blocks = {}),
     "strobe::forward: mask.block_q and mask.block_k are given without blocks; a block map needs "
     "both the tensor and the sizes of its blocks [blocks-pair]"},
    {"BiasThatSkips", SPOIL(c.tensors.bias.strides[3] = 2),
     "strobe::forward: bias has strides [120, 30, 5, 2] for shape [1, 4, 6, 5]; its last axis must "
     "be contiguous (stride 1, or 0 to repeat it), the others are free [stride-last]"},
    {"BiasUnderOutput", SPOIL(c.tensors.bias.data = c.tensors.o.data),
     "strobe::forward: o shares memory with bias; no element of an output may be an input's or "
     "another output's, so write o elsewhere [overlap]"},
    {"PlanWithoutBias",
     [] {
       Call call;
       call.tensors.bias = {call.slice(5), {1, 1, 6, 5}};
       call.check_against(Problem::parse("b2 h4/2 q6 k5 d8/3"));
     },
     "strobe::Plan::run: bias is given and the plan was made without it; make a plan for this "
     "problem [plan-option]"},
    {"PlanWithSinks",
     [] { Call().check_against(Problem::parse("b2 h4/2 q6 k5 d8/3 sink_logits")); },
     "strobe::Plan::run: sink_logits is not given and the plan was made with it; make a plan for "
     "this problem [plan-option]"},
    {"PlanOfAnotherBias",
     [] {
       Call call;
       call.tensors.bias = {call.slice(5), {1, 1, 6, 5}};
       Problem planned = Problem::parse("b2 h4/2 q6 k5 d8/3 bias");
       planned.bias_dtype = DType::bf16;
       call.check_against(planned);
     },
     "strobe::Plan::run: bias is f32 and the plan was made for bf16; make a plan for this problem "
     "[plan-option]"},
};
INSTANTIATE_TEST_SUITE_P(All, PairMessage, testing::ValuesIn(kProvocations), name_of_test);

}  // namespace
}  // namespace strobe::test
