// The problem of a decode call over a quantised cache: as a string, from tensors, as kernels see
// it. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "decode_call.hpp"
#include "plan/cost.hpp"
#include "strobe/error.hpp"

namespace strobe::test {
namespace {

TEST(QuantisedProblem, ReadsTheTypeOfAQuantisedCache) {
  struct Row {
    const char* word;
    DType dtype;
    KvScales scales;
  };
  for (const Row& row : {Row{"kv=e4m3", DType::e4m3, KvScales::tensor},
                         {"kv=e5m2", DType::e5m2, KvScales::tensor},
                         {"kv=int8", DType::i8, KvScales::token},
                         {"kv=int4", DType::i4, KvScales::group},
                         {"kv=int8:head", DType::i8, KvScales::head},
                         {"kv=e4m3:group", DType::e4m3, KvScales::group},
                         {"kv=int4:tensor", DType::i4, KvScales::tensor}}) {
    const Problem p = Problem::parse(std::string("h1 q1 d8 ") + row.word);
    EXPECT_EQ(p.kv_dtype, row.dtype) << row.word;
    EXPECT_EQ(p.kv_scales, row.scales) << row.word;
    EXPECT_TRUE(p.uses_cache()) << row.word;
    EXPECT_EQ(p.options_to_string(), row.word);
  }
  EXPECT_EQ(Problem::parse("h1 q1 d8 kv=int8:token").to_string(), "h1 q1 d8 kv=int8");
}

/// The shape of the scales tells their granularity; one head's scale is the tensor's.
TEST(QuantisedProblem, ReadsTheScalesOfAQuantisedCache) {
  for (const auto& [dtype, kind, word] : {std::tuple{DType::e4m3, KvScales::tensor, "kv=e4m3"},
                                          {DType::e5m2, KvScales::head, "kv=e5m2:head"},
                                          {DType::i8, KvScales::token, "kv=int8"},
                                          {DType::i8, KvScales::group, "kv=int8:group"}}) {
    DecodeCall call;
    call.append();
    call.quantise(dtype, kind);
    EXPECT_EQ(call.check().to_string(),
              std::string("b2 h4/2 q3 k7 d8/3 append=2 ") + word + " seqlens");
    EXPECT_NO_THROW(call.check_against(call.check()));
  }
}

/// Kernels see the scale of every key where it lies; append writes those of tokens and groups.
TEST(DecodeParams, HasTheScalesOfEveryKey) {
  for (const KvScales kind : {KvScales::tensor, KvScales::head, KvScales::token, KvScales::group}) {
    DecodeCall call;
    call.append();
    call.quantise(DType::i8, kind);
    const bool written = kind == KvScales::token || kind == KvScales::group;
    const DecodeParams p = api::decode_params(call.tensors, call.check());
    EXPECT_EQ(p.k_scale, written ? call.slice(10) : nullptr);
    EXPECT_EQ(p.v_scale, written ? call.slice(11) : nullptr);
    EXPECT_EQ(p.attention.kv_dtype, DType::i8);
    EXPECT_EQ(p.attention.kv_scales, kind);
    const Scales& scales = p.attention.v_scales;
    EXPECT_EQ(scales.data, call.slice(11));
    EXPECT_EQ(scales.strides.batch, written ? 16 : 0);
    EXPECT_EQ(scales.strides.row, written ? 2 : 0);
    EXPECT_EQ(scales.strides.head, kind == KvScales::tensor ? 0 : 1);
    EXPECT_EQ(scales.group, 0) << "there is one group";
    call.tensors.k = call.tensors.v = {};
    EXPECT_EQ(api::decode_params(call.tensors, call.check()).k_scale, nullptr);
  }
}

/// Codes and scales of new keys are written, and the queries see them.
TEST(Decode, OfAQuantisedCacheRunsOnTheKernelsOfQ) {
  DecodeCall call;
  call.append();
  call.quantise(DType::i8, KvScales::token);
  const std::vector<float> before = call.memory;
  decode(call.tensors, call.options);
  EXPECT_NE(call.memory, before);
  const std::string why = explain(call.check(), {.op = Op::decode});
  EXPECT_NE(why.find("decode f32"), std::string::npos) << why;
}

/// Codes, and the scales that lie beside each token; those of tensor and head are nothing beside.
TEST(QuantisedProblem, CostsTheBytesOfItsCodes) {
  const auto bytes = [](const std::string& words) {
    const double rows = 2 * (192 * 2 + 4);  // q, o and lse
    return plan::forward_cost(Problem::parse("h2 q1 k1000 d128/64 bf16 " + words)).bytes - rows;
  };
  EXPECT_EQ(bytes(""), 2 * 1000 * 192 * 2);
  EXPECT_EQ(bytes("kv=e4m3"), 2 * 1000 * 192);
  EXPECT_EQ(bytes("kv=int8"), 2 * 1000 * (192 + 8));
  EXPECT_EQ(bytes("kv=int4"), 2 * 1000 * (96 + 6 * 4));
}

/// Who asks nothing reads nothing: sequences without a query in a ragged batch.
TEST(QuantisedProblem, CostsNoKeysWithoutAQuery) {
  EXPECT_EQ(plan::forward_cost(Problem::parse("h2 q0 k1000 d128/64 bf16")).bytes, 0);
}

/// A view of i4 counts codes and spans half as many bytes.
TEST(QuantisedProblem, OverlapsOfPackedCodesAreThoseOfTheirBytes) {
  std::vector<std::uint8_t> memory(64);
  DecodeCall call;
  call.append();
  call.tensors.o.shape[3] = call.tensors.v.shape[3] = 4;
  call.tensors.o.strides = Shape{48, 16, 4, 1};
  call.tensors.v.strides = Shape{16, 8, 4, 1};
  call.quantise(DType::i4, KvScales::head);
  call.tensors.cache.v_cache = {call.slice(4), DType::i4, {2, 8, 2, 4}};
  EXPECT_NO_THROW(call.check());
  // 256 codes of k_cache are 128 bytes, 32 floats: v_cache may begin there, and not before.
  for (int dims = 14; dims <= 18; ++dims) {
    call.tensors.cache.k_cache = {call.slice(3), DType::i4, {2, 8, 2, 8}};
    call.tensors.cache.v_cache.data = call.slice(3) + 2 * dims;
    bool refused = false;
    try {
      call.check();
    } catch (const Error&) {
      refused = true;
    }
    EXPECT_EQ(refused, dims < 16) << dims;
  }
}

}  // namespace
}  // namespace strobe::test
