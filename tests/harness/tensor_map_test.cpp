// Tests of harness/tensor_map.hpp: which names there are and where they go.
// SPDX-License-Identifier: Apache-2.0
#include "harness/tensor_map.hpp"

#include <gtest/gtest.h>

#include <string>

#include "scratch.hpp"

namespace strobe::harness {
namespace {

TensorMap map_of(std::initializer_list<const char*> names) {
  TensorMap tensors;
  for (const char* name : names) tensors.emplace(name, HostTensor(DType::f32, {1, 2, 3, 4}));
  return tensors;
}

TEST(TensorNames, AreThoseOfTheDesign) {
  for (const char* name : {"q", "k", "v", "o", "lse", "cu_seqlens_q", "seqlens_k", "bias", "dq",
                           "page_table", "rotary_sin", "o_tangent", "dalibi_slopes"})
    EXPECT_TRUE(is_tensor_name(name)) << name;
  for (const char* name : {"", "Q", "query", "qq", "cu_seqlens"})
    EXPECT_FALSE(is_tensor_name(name)) << name;
}

TEST(TensorNames, UnknownOnesAreNamedInTheError) {
  EXPECT_NO_THROW(check_names(map_of({"q", "k", "v", "dout"})));
  const std::string message = message_of([] { check_names(map_of({"q", "query"})); });
  EXPECT_TRUE(message.starts_with(
      "a tensor named \"query\" means nothing here; the names are: q k v bias "))
      << message;
  EXPECT_TRUE(message.ends_with(" [tensor-name]")) << message;
}

TEST(ForwardTensors, PointIntoTheMaps) {
  TensorMap in = map_of({"q", "k", "v", "cu_seqlens_q", "cu_seqlens_k", "seqlens_q", "seqlens_k"});
  TensorMap out = map_of({"o", "lse"});
  const ForwardTensors tensors = forward_tensors(in, out);
  EXPECT_EQ(tensors.q.data, in.at("q").data());
  EXPECT_EQ(tensors.k.data, in.at("k").data());
  EXPECT_EQ(tensors.v.data, in.at("v").data());
  EXPECT_EQ(tensors.cu_seqlens_q.data, in.at("cu_seqlens_q").data());
  EXPECT_EQ(tensors.cu_seqlens_k.data, in.at("cu_seqlens_k").data());
  EXPECT_EQ(tensors.seqlens_q.data, in.at("seqlens_q").data());
  EXPECT_EQ(tensors.seqlens_k.data, in.at("seqlens_k").data());
  EXPECT_EQ(tensors.o.data, out.at("o").data());
  EXPECT_EQ(tensors.lse.data, out.at("lse").data());
}

TEST(ForwardTensors, WhatIsMissingIsNotGiven) {
  TensorMap in = map_of({"q", "k", "v"});
  TensorMap out = map_of({"o"});
  const ForwardTensors tensors = forward_tensors(in, out);
  EXPECT_FALSE(tensors.lse.given());
  EXPECT_FALSE(tensors.cu_seqlens_q.given());
  EXPECT_FALSE(tensors.seqlens_k.given());
}

TEST(ForwardTensors, IgnoreWhatForwardDoesNotRead) {
  TensorMap in = map_of({"q", "k", "v", "dout", "o", "lse", "page_table"});
  TensorMap out = map_of({"o"});
  EXPECT_EQ(forward_tensors(in, out).o.data, out.at("o").data());
}

TEST(ForwardTensors, NeedTheInputs) {
  TensorMap in = map_of({"q", "v"});
  TensorMap none;
  EXPECT_EQ(message_of([&] { (void)forward_tensors(in, none); }),
            "there is no tensor k; forward needs q, k and v, and the input holds \"q\" \"v\" "
            "[tensor-missing]");
  EXPECT_EQ(message_of([&] { (void)forward_tensors(none, none); }),
            "there is no tensor q; forward needs q, k and v, and the input holds nothing "
            "[tensor-missing]");
}

TEST(ForwardTensors, RefuseLeftPadding) {
  TensorMap in = map_of({"q", "k", "v", "leftpad_k"});
  TensorMap out;
  EXPECT_EQ(message_of([&] { (void)forward_tensors(in, out); }, Code::unsupported),
            "the input holds leftpad_k, which would change the result and which forward does not "
            "take; leave it out, or lay the keys into a cache for decode [input-later]");
}

TEST(DecodeTensors, PointIntoTheMaps) {
  TensorMap in = map_of({"q",
                         "k",
                         "v",
                         "k_cache",
                         "v_cache",
                         "page_table",
                         "cache_seqlens",
                         "cache_batch_idx",
                         "leftpad_k",
                         "seqlens_q",
                         "seqlens_new",
                         "rotary_cos",
                         "rotary_sin",
                         "bias",
                         "allowed",
                         "blocks",
                         "key_begin",
                         "key_end",
                         "alibi_slopes",
                         "sink_logits"});
  TensorMap out = map_of({"o", "lse"});
  const DecodeTensors t = decode_tensors(in, out);
  const auto is = [&in](const ConstTensorView& view, const char* name) {
    EXPECT_EQ(view.data, in.at(name).data()) << name;
  };
  is(t.q, "q");
  is(t.k, "k");
  is(t.v, "v");
  is(t.cache.k_cache, "k_cache");
  is(t.cache.v_cache, "v_cache");
  is(t.cache.page_table, "page_table");
  is(t.cache.cache_seqlens, "cache_seqlens");
  is(t.cache.cache_batch_idx, "cache_batch_idx");
  is(t.cache.leftpad_k, "leftpad_k");
  is(t.seqlens_q, "seqlens_q");
  is(t.seqlens_new, "seqlens_new");
  is(t.rotary_cos, "rotary_cos");
  is(t.rotary_sin, "rotary_sin");
  is(t.bias, "bias");
  is(t.allowed, "allowed");
  is(t.blocks, "blocks");
  is(t.key_begin, "key_begin");
  is(t.key_end, "key_end");
  is(t.alibi_slopes, "alibi_slopes");
  is(t.sink_logits, "sink_logits");
  EXPECT_EQ(t.o.data, out.at("o").data());
  EXPECT_EQ(t.lse.data, out.at("lse").data());
}

TEST(DecodeTensors, NeedTheCache) {
  TensorMap in = map_of({"q", "k", "v"});
  TensorMap none;
  EXPECT_EQ(message_of([&] { (void)decode_tensors(in, none); }),
            "there is no tensor k_cache; decode needs q, k_cache, v_cache and cache_seqlens, and "
            "the input holds \"k\" \"q\" \"v\" [tensor-missing]");
}

}  // namespace
}  // namespace strobe::harness
