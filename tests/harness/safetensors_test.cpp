// Tests of harness/safetensors.hpp: round trips, files of other programs, hostile files.
// SPDX-License-Identifier: Apache-2.0
#include "harness/safetensors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "scratch.hpp"

namespace strobe::harness {
namespace {

using SafetensorsTest = ScratchTest;

/// A file of this header and so many bytes of data.
std::string safetensors(const std::string& header, std::size_t data_bytes) {
  return little_endian(header.size(), 8) + header + std::string(data_bytes, 'x');
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

/// What read_safetensors says of a file of these bytes.
class SafetensorsMessages : public SafetensorsTest {
 protected:
  std::string complaint(const std::string& bytes) const {
    const std::filesystem::path name = file("x.safetensors", bytes);
    return without_folder(message_of([&] { (void)read_safetensors(name); }));
  }
  /// Of one tensor named q.
  std::string complaint_about(const std::string& q, std::size_t data_bytes = 16) const {
    return complaint(safetensors(R"({"q":)" + q + "}", data_bytes));
  }
};

class SafetensorsRoundTrip : public SafetensorsTest, public testing::WithParamInterface<DType> {};

TEST_P(SafetensorsRoundTrip, KeepsTypeShapeAndBytes) {
  TensorMap tensors;
  HostTensor& tensor = tensors.emplace("q", HostTensor(GetParam(), {2, 3, 1, 4})).first->second;
  for (std::int64_t i = 0; i < 24; ++i) tensor.set({i / 12, i / 4 % 3, 0, i % 4}, i % 5 - 2.0);
  write_safetensors(path("x.safetensors"), tensors);
  const TensorMap all = read_safetensors(path("x.safetensors"));
  ASSERT_EQ(all.size(), 1u);
  const HostTensor& back = all.at("q");
  EXPECT_EQ(back.dtype(), GetParam());
  EXPECT_EQ(back.shape(), tensor.shape());
  ASSERT_EQ(back.bytes(), tensor.bytes());
  EXPECT_EQ(std::memcmp(back.data(), tensor.data(), static_cast<std::size_t>(tensor.bytes())), 0);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, SafetensorsRoundTrip, testing::ValuesIn(kEveryType), type_name);

TEST_F(SafetensorsTest, KeepsInfiniteValuesAndNaN) {
  TensorMap tensors;
  HostTensor& lse = tensors.emplace("lse", HostTensor(DType::f32, {2})).first->second;
  lse.set({0}, -std::numeric_limits<double>::infinity());
  lse.set({1}, std::nan(""));
  write_safetensors(path("x"), tensors);
  const TensorMap back = read_safetensors(path("x"));
  EXPECT_EQ(back.at("lse").get({0}), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(back.at("lse").get({1})));
}

TEST_F(SafetensorsTest, WritesNamesSortedAndDataAligned) {
  TensorMap tensors;
  tensors.emplace("a", HostTensor(DType::bf16, {3}));
  tensors.emplace("b", HostTensor(DType::f32, {1}));
  tensors.emplace("c", HostTensor(DType::boolean, {1}));
  write_safetensors(path("x"), tensors);
  const std::string bytes = bytes_of(path("x"));
  const std::string header = R"({"a":{"data_offsets":[4,10],"dtype":"BF16","shape":[3]},)"
                             R"("b":{"data_offsets":[0,4],"dtype":"F32","shape":[1]},)"
                             R"("c":{"data_offsets":[10,11],"dtype":"BOOL","shape":[1]}})";
  EXPECT_EQ(bytes.substr(8, header.size()), header);
  EXPECT_EQ((bytes.size() - 11) % 8, 0u);
}

TEST_F(SafetensorsTest, WritesStridedTensorsInLogicalOrder) {
  TensorMap tensors;
  HostTensor& q = tensors.emplace("q", HostTensor(DType::f32, {2, 2}, {1, 3})).first->second;
  q.set({0, 1}, 5.0);
  write_safetensors(path("x"), tensors);
  EXPECT_EQ(read_safetensors(path("x")).at("q").as<float>()[1], 5.0f);
}

TEST_F(SafetensorsTest, HoldsEmptyTensorsAndNone) {
  TensorMap tensors;
  write_safetensors(path("none"), tensors);
  EXPECT_TRUE(read_safetensors(path("none")).empty());
  tensors.emplace("k", HostTensor(DType::f32, {2, 0, 4}));
  tensors.emplace("q", HostTensor(DType::f32, {1}));
  tensors.emplace("v", HostTensor(DType::f32, {0}));
  write_safetensors(path("some"), tensors);
  EXPECT_EQ(read_safetensors(path("some")).at("k").shape(), (Shape{2, 0, 4}));
}

TEST_F(SafetensorsTest, ReadsRealFiles) {
  const TensorMap tensors = read_safetensors("data/minilm/layer3.safetensors");
  ASSERT_EQ(tensors.size(), 5u);
  EXPECT_EQ(tensors.at("q").shape(), (Shape{1, 512, 12, 32}));
  EXPECT_EQ(tensors.at("v").dtype(), DType::f32);
  EXPECT_EQ(tensors.at("lse").shape(), (Shape{1, 12, 512}));
  // What the file's maker says: lse is the logarithm of a sum over 512 keys.
  double sum = 0;
  for (std::int64_t key = 0; key < 512; ++key) {
    double s = 0;
    for (std::int64_t d = 0; d < 32; ++d)
      s += tensors.at("q").get({0, 5, 3, d}) * tensors.at("k").get({0, key, 3, d});
    sum += std::exp(s / std::sqrt(32.0));
  }
  EXPECT_NEAR(std::log(sum), tensors.at("lse").get({0, 3, 5}), 1e-5);
}

TEST_F(SafetensorsTest, SkipsMetadataAndTakesAnyOrder) {
  const std::string header = R"({"v":{"data_offsets":[4,6],"shape":[2],"dtype":"U8"},)"
                             R"("__metadata__":{"format":"pt","dtype":"x"},)"
                             R"("q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )";
  const TensorMap tensors = read_safetensors(
      file("x", little_endian(header.size(), 8) + header + std::string("\0\0\x80\x3f\0\x07", 6)));
  EXPECT_EQ(tensors.at("q").get({0}), 1.0);
  EXPECT_EQ(tensors.at("v").dtype(), DType::boolean);
  EXPECT_EQ(std::to_integer<int>(tensors.at("v").data()[0]), 0);
  EXPECT_EQ(std::to_integer<int>(tensors.at("v").data()[1]), 1);
}

TEST_F(SafetensorsMessages, LengthsThatDoNotFitTheFile) {
  EXPECT_EQ(complaint(""),
            "x.safetensors: is no safetensors file: it has 0 bytes [safetensors-start]");
  EXPECT_EQ(complaint("1234567"),
            "x.safetensors: is no safetensors file: it has 7 bytes [safetensors-start]");
  EXPECT_EQ(complaint(little_endian(100, 8) + "{}"),
            "x.safetensors: its header claims 100 bytes, and 2 follow; it is truncated or no "
            "safetensors file [safetensors-start]");
  EXPECT_EQ(complaint(std::string(8, '\xff') + "{}"),
            "x.safetensors: its header claims 18446744073709551615 bytes, and 2 follow; it is "
            "truncated or no "
            "safetensors file [safetensors-start]");
}

TEST_F(SafetensorsMessages, HeadersLongerThanTheFormatAllows) {
  const std::filesystem::path name = file("x", little_endian(100'000'001, 8));
  std::filesystem::resize_file(name, 100'000'009);  // a hole: nothing is written
  EXPECT_EQ(without_folder(message_of([&] { (void)read_safetensors(name); })),
            "x: its header takes 100000001 bytes; the format allows 100000000 [safetensors-start]");
}

TEST_F(SafetensorsMessages, HeadersThatAreNoJson) {
  EXPECT_EQ(complaint(safetensors("", 0)),
            "x.safetensors: its header starts with \"\" instead of \"{\"; it is no safetensors "
            "file [safetensors-header]");
  EXPECT_EQ(complaint(safetensors(" {}", 0)),
            "x.safetensors: its header starts with \" \" instead of \"{\"; it is no safetensors "
            "file [safetensors-header]");
  EXPECT_EQ(
      complaint(safetensors("{q: 1}", 0)),
      "x.safetensors: its header is not JSON: wrong at byte 2, after \"{q\" [safetensors-header]");
  EXPECT_EQ(complaint(safetensors("{} {}", 0)),
            "x.safetensors: its header is not JSON: wrong at byte 4, after \"{} {\" "
            "[safetensors-header]");
  EXPECT_EQ(
      complaint(safetensors("{", 0)),
      "x.safetensors: its header is not JSON: wrong at byte 2, after \"{\" [safetensors-header]");
  EXPECT_EQ(complaint(safetensors("{\"\xff\":1}", 0)),
            "x.safetensors: its header is not JSON: wrong at byte 3, after \"\\x22\\xff\" "
            "[safetensors-header]");
  EXPECT_EQ(complaint(safetensors(std::string("{}\0 anything", 12), 0)),
            "x.safetensors: its header is not JSON: byte 3 is zero [safetensors-header]");
}

TEST_F(SafetensorsMessages, HeadersOfAnotherForm) {
  EXPECT_EQ(complaint_about("3"),
            "x.safetensors: tensor \"q\": 3 where an object of dtype, shape and data_offsets "
            "should be [safetensors-header]");
  EXPECT_EQ(complaint_about("null"),
            "x.safetensors: tensor \"q\": null where an object of dtype, shape and data_offsets "
            "should be [safetensors-header]");
  EXPECT_EQ(complaint_about("[]"),
            "x.safetensors: tensor \"q\": an array where an object of dtype, shape and "
            "data_offsets should be [safetensors-header]");
  EXPECT_EQ(
      complaint_about(R"({"dtype":4})"),
      "x.safetensors: tensor \"q\": dtype holds 4 where a string should be [safetensors-header]");
  EXPECT_EQ(complaint_about(R"({"dtype":{}})"),
            "x.safetensors: tensor \"q\": dtype holds an object where a string should be "
            "[safetensors-header]");
  EXPECT_EQ(complaint_about(R"({"shape":true})"),
            "x.safetensors: tensor \"q\": shape holds a boolean where an array should be "
            "[safetensors-shape]");
  EXPECT_EQ(complaint_about(R"({"strides":[1]})"),
            "x.safetensors: tensor \"q\": it has a field \"strides\"; dtype, shape and "
            "data_offsets belong there [safetensors-header]");
  EXPECT_EQ(complaint(safetensors(R"({"__metadata__":{"a":1}})", 0)),
            "x.safetensors: __metadata__: 1 where a string should be [safetensors-header]");
  EXPECT_EQ(complaint(safetensors(R"({"__metadata__":[]})", 0)),
            "x.safetensors: __metadata__: an array where an object of strings should be "
            "[safetensors-header]");
}

TEST_F(SafetensorsMessages, FieldsThatAreMissing) {
  EXPECT_EQ(complaint_about("{}"),
            "x.safetensors: tensor \"q\": it has no dtype [safetensors-header]");
  EXPECT_EQ(complaint_about(R"({"dtype":"F32","shape":[1]})"),
            "x.safetensors: tensor \"q\": it has no data_offsets [safetensors-header]");
  EXPECT_EQ(complaint_about(R"({"dtype":"F32","data_offsets":[0,4]})"),
            "x.safetensors: tensor \"q\": it has no shape [safetensors-header]");
}

TEST_F(SafetensorsMessages, NamesGivenTwice) {
  const std::string q = "\"q\":" + entry("F32", "[1]", "[0,4]");
  EXPECT_EQ(complaint(safetensors("{" + q + "," + q + "}", 4)),
            "x.safetensors: \"q\" is there twice, and may be there once [safetensors-repeated]");
  EXPECT_EQ(complaint(safetensors(R"({"__metadata__":{},"__metadata__":{}})", 0)),
            "x.safetensors: \"__metadata__\" is there twice, and may be there once "
            "[safetensors-repeated]");
  EXPECT_EQ(complaint_about(R"({"dtype":"F32","dtype":"F32"})"),
            "x.safetensors: tensor \"q\": \"dtype\" is there twice, and may be there once "
            "[safetensors-repeated]");
  EXPECT_EQ(complaint(safetensors(R"({"__metadata__":{"a":"","a":""}})", 0)),
            "x.safetensors: __metadata__: \"a\" is there twice, and may be there once "
            "[safetensors-repeated]");
}

TEST_F(SafetensorsMessages, TypesThatAreNotRead) {
  const std::string rest =
      "; F32 F64 F16 BF16 F8_E4M3 F8_E5M2 I32 I8 U64 U8 and BOOL are read: convert it before "
      "saving [safetensors-type]";
  EXPECT_EQ(complaint_about(entry("I64", "[2]", "[0,16]")),
            "x.safetensors: tensor \"q\": its dtype is \"I64\"; F32 F64 F16 BF16 F8_E4M3 F8_E5M2 "
            "I32 I8 U64 U8 and BOOL are read: convert it before saving [safetensors-type]");
  EXPECT_EQ(complaint_about(entry("f32", "[4]", "[0,16]")),
            "x.safetensors: tensor \"q\": its dtype is \"f32\"" + rest);
  EXPECT_EQ(complaint_about(entry("", "[4]", "[0,16]")),
            "x.safetensors: tensor \"q\": its dtype is \"\"" + rest);
}

TEST_F(SafetensorsMessages, ShapesThatAreNone) {
  const std::string rest =
      " where whole numbers from 0 to 9223372036854775807 should be "
      "[safetensors-shape]";
  EXPECT_EQ(complaint_about(entry("F32", "[-1,4]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape holds -1 where whole numbers from 0 to "
            "9223372036854775807 should be [safetensors-shape]");
  EXPECT_EQ(complaint_about(entry("F32", "[4.0]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape holds \"4.0\"" + rest);
  EXPECT_EQ(complaint_about(entry("F32", "[\"4\"]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape holds a string" + rest);
  EXPECT_EQ(complaint_about(entry("F32", "[[4]]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape holds an array" + rest);
  EXPECT_EQ(complaint_about(entry("F32", "[9223372036854775808]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape holds 9223372036854775808" + rest);
  EXPECT_EQ(complaint_about(entry("F32", "[99999999999999999999]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape holds \"99999999999999999999\"" + rest);
  EXPECT_EQ(complaint_about(entry("F32", "[1,1,1,1,4]", "[0,16]")),
            "x.safetensors: tensor \"q\": it has more than 4 axes; tensors have 1 to 4 "
            "[safetensors-shape]");
  EXPECT_EQ(complaint_about(entry("F32", "[]", "[0,4]")),
            "x.safetensors: tensor \"q\": shape [] has 0 axes; tensors have 1 to 4 [tensor-rank]");
}

TEST_F(SafetensorsMessages, ShapesThatOverflow) {
  EXPECT_EQ(complaint_about(entry("F32", "[4294967296,4294967296]", "[0,16]")),
            "x.safetensors: tensor \"q\": shape [4294967296, 4294967296] of f32 takes more bytes "
            "than 63 bits can "
            "count [size-overflow]");
  EXPECT_EQ(complaint_about(entry("F32", "[0,4611686018427387904,8]", "[0,0]"), 0),
            "x.safetensors: tensor \"q\": shape [0, 4611686018427387904, 8] of f32 takes more "
            "bytes than 63 bits can "
            "count [size-overflow]");
}

TEST_F(SafetensorsMessages, OffsetsThatDoNotFit) {
  const std::string no_pair =
      "x.safetensors: tensor \"q\": its data_offsets are not a begin and an end after it "
      "[safetensors-offsets]";
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[16,0]")), no_pair);
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[16]")), no_pair);
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[]")), no_pair);
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[0,16,32]")),
            "x.safetensors: tensor \"q\": its data_offsets are more than two numbers "
            "[safetensors-offsets]");
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[0,12]")),
            "x.safetensors: tensor \"q\": shape [4] of f32 takes 16 bytes, and its data_offsets 0 "
            "to 12 span 12 [safetensors-offsets]");
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[0,18446744073709551615]")),
            "x.safetensors: tensor \"q\": data_offsets holds 18446744073709551615 where whole "
            "numbers from 0 to "
            "9223372036854775807 should be [safetensors-offsets]");
}

TEST_F(SafetensorsMessages, DataThatDoNotFitTheTensors) {
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[0,16]"), 15),
            "x.safetensors: tensor \"q\" ends at byte 16 of the data, and the file has 15; it is "
            "truncated [safetensors-data]");
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[1000000000000,1000000000016]"), 16),
            "x.safetensors: tensor \"q\" ends at byte 1000000000016 of the data, and the file has "
            "16; it is truncated [safetensors-data]");
  EXPECT_EQ(complaint_about(entry("F32", "[4]", "[0,16]"), 18),
            "x.safetensors: bytes 16 to 18 of the data belong to no tensor; the format allows no "
            "gap [safetensors-data]");
  EXPECT_EQ(complaint_about(entry("F32", "[2]", "[8,16]"), 16),
            "x.safetensors: bytes 0 to 8 of the data belong to no tensor; the format allows no gap "
            "[safetensors-data]");
  EXPECT_EQ(complaint(safetensors("{}", 3)),
            "x.safetensors: bytes 0 to 3 of the data belong to no tensor; the format allows no gap "
            "[safetensors-data]");
}

TEST_F(SafetensorsMessages, TensorsThatOverlap) {
  const auto two = [&](const std::string& k, const std::string& q) {
    return complaint(safetensors("{\"k\":" + k + ",\"q\":" + q + "}", 16));
  };
  EXPECT_EQ(two(entry("F32", "[3]", "[0,12]"), entry("F32", "[2]", "[8,16]")),
            "x.safetensors: tensors \"k\" and \"q\" overlap: one ends at byte 12 of the data, the "
            "other starts at 8; the format gives each its own bytes [safetensors-data]");
  EXPECT_EQ(two(entry("F32", "[4]", "[0,16]"), entry("F32", "[4]", "[0,16]")),
            "x.safetensors: tensors \"k\" and \"q\" overlap: one ends at byte 16 of the data, the "
            "other starts at 0; the format gives each its own bytes [safetensors-data]");
  EXPECT_EQ(two(entry("F32", "[4]", "[0,16]"), entry("F32", "[0]", "[8,8]")),
            "x.safetensors: tensors \"k\" and \"q\" overlap: one ends at byte 16 of the data, the "
            "other starts at 8; the format gives each its own bytes [safetensors-data]");
}

TEST_F(SafetensorsMessages, NamesCannotPlayTricksOnTheTerminal) {
  EXPECT_EQ(complaint(safetensors(R"({"\u001b[2J":3})", 0)),
            "x.safetensors: tensor \"\\x1b[2J\": 3 where an object of dtype, shape and "
            "data_offsets should be [safetensors-header]");
}

TEST_F(SafetensorsMessages, DeepNestingIsRefusedAtOnce) {
  EXPECT_EQ(complaint(safetensors("{\"q\":" + std::string(1 << 20, '['), 0)),
            "x.safetensors: tensor \"q\": an array where an object of dtype, shape and "
            "data_offsets should be [safetensors-header]");
}

TEST_F(SafetensorsTest, EveryTruncationOfAGoodFileIsRefused) {
  const std::string whole = safetensors("{\"q\":" + entry("F32", "[4]", "[0,16]") + "}", 16);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto name = file("x", whole.substr(0, size));
    EXPECT_THROW((void)read_safetensors(name), Error) << size;
  }
}

TEST_F(SafetensorsTest, AnyByteChangedIsReadOrRefusedButNeverWorse) {
  const std::string whole = safetensors("{\"q\":" + entry("F32", "[4]", "[0,16]") + "}", 16);
  for (std::size_t at = 0; at < whole.size() - 16; ++at)
    for (const char c : {'\0', '0', '9', '"', '{', ']', ',', '\\', '\xff'}) {
      std::string changed = whole;
      changed[at] = c;
      const auto name = file("x", changed);
      try {
        const TensorMap tensors = read_safetensors(name);
        EXPECT_EQ(tensors.begin()->second.bytes(), 16);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::invalid_argument);
      }
    }
}

TEST_F(SafetensorsTest, RefusesToWriteWhatTheFormatCannotHold) {
  TensorMap tensors;
  const auto write = [&] { write_safetensors(path("x"), tensors); };
  tensors.emplace("q", HostTensor());
  EXPECT_EQ(without_folder(message_of(write)),
            "x: cannot hold tensor \"q\": it was never made [file-tensor]");
  tensors.clear();
  tensors.emplace("__metadata__", HostTensor(DType::f32, {1}));
  EXPECT_EQ(without_folder(message_of(write)),
            "x: cannot hold tensor \"__metadata__\": the format keeps this name for itself "
            "[file-tensor]");
  tensors.clear();
  tensors.emplace("\xff", HostTensor(DType::f32, {1}));
  EXPECT_EQ(without_folder(message_of(write)),
            "x: cannot hold tensor \"\\xff\": its name is not UTF-8 [file-tensor]");
  EXPECT_EQ(entries(), 0);
}

}  // namespace
}  // namespace strobe::harness
