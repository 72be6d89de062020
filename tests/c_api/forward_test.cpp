// The C interface computes what the C++ interface does, bit for bit, however it is called.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "c_call.hpp"
#include "tests/support/run.hpp"

namespace strobe::test {
namespace {

using testing::same_bits;

class CForward : public ::testing::TestWithParam<const char*> {
 protected:
  CaseCall call{GetParam()};
  harness::TensorMap expected = outputs();

  harness::TensorMap outputs() { return harness::output_tensors(call.problem, call.in); }

  void SetUp() override {
    strobe::forward(harness::forward_tensors(call.in, expected), call.options);
  }

  void expect_same(const harness::TensorMap& out) {
    EXPECT_TRUE(same_bits(out.at("o"), expected.at("o")));
    EXPECT_TRUE(same_bits(out.at("lse"), expected.at("lse")));
  }
};

TEST_P(CForward, GivesTheBitsOfCxx) {
  harness::TensorMap out = outputs();
  strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
  const strobe_options options = c_options(call.options);
  args.options = &options;
  ASSERT_EQ(strobe_forward(&args, nullptr), STROBE_OK) << strobe_last_error();
  expect_same(out);
}

TEST_P(CForward, SoDoesAPlanOfItsArgs) {
  harness::TensorMap out = outputs();
  strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
  const strobe_options options = c_options(call.options);
  args.options = &options;
  CPlan made;
  ASSERT_EQ(strobe_plan_create(&args, nullptr, &made.plan), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(strobe_plan_case(made.plan),
            Problem::of(harness::forward_tensors(call.in, out), call.options).to_string());
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  strobe_exec exec;
  strobe_exec_init(&exec, sizeof exec);
  exec.workspace = workspace.data();
  exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  ASSERT_EQ(strobe_plan_run(made.plan, &args, &exec), STROBE_OK) << strobe_last_error();
  expect_same(out);
}

TEST_P(CForward, AndAPlanOfTheCaseOnAPool) {
  harness::TensorMap out = outputs();
  const strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
  strobe_plan_options options;
  strobe_plan_options_init(&options, sizeof options);
  options.threads = 3;
  CPlan made;
  ASSERT_EQ(strobe_plan_create_from_case(GetParam(), &options, &made.plan), STROBE_OK)
      << strobe_last_error();
  CPool of;
  ASSERT_EQ(strobe_pool_create(2, &of.pool), STROBE_OK);
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  strobe_exec exec;
  strobe_exec_init(&exec, sizeof exec);
  exec.pool = of.pool;
  exec.workspace = workspace.data();
  exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  ASSERT_EQ(strobe_plan_run(made.plan, &args, &exec), STROBE_OK) << strobe_last_error();
  expect_same(out);
}

const char* const kCases[] = {
    "b2 h4/2 q70 k130 d16/24 causal window=40,3 sink_tokens=2",
    "h2 q200 d32 bf16 align=top_left chunk=64 prefix=8 o=f32",
    "b3 h2 q90 k60 d40 f16 varlen causal scale=-0.3",
    "b2 h2 q50 d16 seqlens softcap=5 determinism=run_to_run",
    "b2 h2 q40 d16 alibi bias=1,h,q,k:f32 bf16 sink_logits",
    "b2 h2 q64 d16 allowed=b,1,q,k intervals blocks=16/32 dropout=0.2,7,3",
    "b2 h4/2 q70 k130 d16/24 f64 causal window=40,3 alibi sink_logits",
    "b2 h2 q90 k60 d40 f64 o=f32 varlen bias=b,h,q,k dropout=0.2,7,3",
    "h1 q0 d8",
};
INSTANTIATE_TEST_SUITE_P(Cases, CForward, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return testing::test_name(info.param); });

TEST(CForwardNumbers, DropoutStateComesFromMemory) {
  CCall call;
  call.options.dropout_probability = 0.5;
  call.options.dropout_seed = 7;
  ASSERT_EQ(call.forward(), STROBE_OK) << strobe_last_error();
  const std::vector<float> expected(call.memory.begin() + 32, call.memory.begin() + 40);
  const std::uint64_t state[] = {7, 0};
  const std::int64_t two = 2;
  strobe_tensor_init(&call.args.dropout_state, state, STROBE_DTYPE_U64, 1, &two);
  call.options.dropout_seed = 1;
  ASSERT_EQ(call.forward(), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(std::vector<float>(call.memory.begin() + 32, call.memory.begin() + 40), expected);
}

/// The slopes and sink logits of f64 may be f32.
TEST(CForwardNumbers, F64TakesSlopesAndSinkLogitsOfBothTypes) {
  CaseCall call("b2 h4/2 q70 k130 d16 f64 causal alibi sink_logits");
  for (const DType dtype : {DType::f64, DType::f32}) {
    for (const char* const name : {"alibi_slopes", "sink_logits"}) {
      harness::HostTensor& drawn = call.in.at(name);
      harness::HostTensor taken(dtype, drawn.shape());
      for (std::int64_t h = 0; h < 4; ++h) taken.set({h}, drawn.get({h}));
      drawn = std::move(taken);
    }
    harness::TensorMap expected = harness::output_tensors(call.problem, call.in);
    ASSERT_EQ(expected.at("lse").dtype(), DType::f64);
    strobe::forward(harness::forward_tensors(call.in, expected), call.options);
    harness::TensorMap out = harness::output_tensors(call.problem, call.in);
    strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
    ASSERT_EQ(args.sink_logits.dtype, static_cast<strobe_dtype>(dtype));
    ASSERT_EQ(args.lse.dtype, STROBE_DTYPE_F64);
    const strobe_options options = c_options(call.options);
    args.options = &options;
    ASSERT_EQ(strobe_forward(&args, nullptr), STROBE_OK) << strobe_last_error();
    EXPECT_TRUE(same_bits(out.at("o"), expected.at("o"))) << name_of(dtype);
    EXPECT_TRUE(same_bits(out.at("lse"), expected.at("lse"))) << name_of(dtype);
  }
}

TEST(CForwardNumbers, LongestLengthsAreThePlans) {
  CaseCall call("b3 h2 q90 k60 d16 varlen");
  call.options.max_seqlen_q = 100;
  call.options.max_seqlen_k = 64;
  harness::TensorMap out = harness::output_tensors(call.problem, call.in);
  strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
  const strobe_options options = c_options(call.options);
  args.options = &options;
  CPlan made;
  ASSERT_EQ(strobe_plan_create(&args, nullptr, &made.plan), STROBE_OK) << strobe_last_error();
  EXPECT_STREQ(strobe_plan_case(made.plan), "b3 h2 q100 k64 d16 varlen");
}

/// A plain loop is an executor; its context comes back to it.
TEST(CForwardNumbers, RunsOnTheCallersExecutor) {
  CaseCall call("b4 h4 q200 d32 causal");
  harness::TensorMap expected = harness::output_tensors(call.problem, call.in);
  strobe::forward(harness::forward_tensors(call.in, expected), call.options);
  harness::TensorMap out = harness::output_tensors(call.problem, call.in);
  strobe_forward_args args = c_args(harness::forward_tensors(call.in, out));
  const strobe_options options = c_options(call.options);
  args.options = &options;
  int calls = 0;
  strobe_exec exec;
  strobe_exec_init(&exec, sizeof exec);
  exec.context = &calls;
  exec.parallel = [](void* context, std::int32_t workers, strobe_body body, void* argument) {
    *static_cast<int*>(context) += 1;
    for (std::int32_t i = 0; i < workers; ++i) body(argument);
  };
  CPlan made;
  strobe_plan_options two;
  strobe_plan_options_init(&two, sizeof two);
  two.threads = 2;
  ASSERT_EQ(strobe_plan_create(&args, &two, &made.plan), STROBE_OK) << strobe_last_error();
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(strobe_plan_workspace_bytes(made.plan)));
  exec.workspace = workspace.data();
  exec.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  ASSERT_EQ(strobe_plan_run(made.plan, &args, &exec), STROBE_OK) << strobe_last_error();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(same_bits(out.at("o"), expected.at("o")));
}

TEST(CWords, AreThoseOfCxx) {
  char* text = nullptr;
  ASSERT_EQ(strobe_explain("h2 q100 d64 causal", nullptr, &text), STROBE_OK);
  EXPECT_EQ(text, explain(Problem::parse("h2 q100 d64 causal")));
  strobe_string_destroy(text);
  ASSERT_EQ(strobe_list_kernels(&text), STROBE_OK);
  EXPECT_EQ(text, list_kernels());
  strobe_string_destroy(text);
  CPlan made;
  ASSERT_EQ(strobe_plan_create_from_case("h2 q100 d64 causal", nullptr, &made.plan), STROBE_OK);
  EXPECT_EQ(strobe_plan_kernel(made.plan), Plan(Problem::parse("h2 q100 d64")).kernel());
}

TEST(CWords, BackendIsTheOneAskedFor) {
  strobe_plan_options options;
  strobe_plan_options_init(&options, sizeof options);
  options.backend = "cpu:portable";
  CPlan made;
  ASSERT_EQ(strobe_plan_create_from_case("h1 q8 d8", &options, &made.plan), STROBE_OK);
  EXPECT_STREQ(strobe_plan_kernel(made.plan), "cpu:portable forward f32");
}

TEST(CPools, CountTheCaller) {
  CPool of;
  ASSERT_EQ(strobe_pool_create(3, &of.pool), STROBE_OK);
  EXPECT_EQ(strobe_pool_size(of.pool), 3);
  EXPECT_EQ(strobe_available_threads(), available_threads());
}

TEST(CVersion, IsThatOfTheHeader) {
  EXPECT_EQ(strobe_version_number(), STROBE_VERSION_NUMBER);
  EXPECT_EQ(strobe_version(), std::to_string(STROBE_VERSION_MAJOR) + "." +
                                  std::to_string(STROBE_VERSION_MINOR) + "." +
                                  std::to_string(STROBE_VERSION_PATCH));
}

}  // namespace
}  // namespace strobe::test
