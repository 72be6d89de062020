// Tests of harness/npy.hpp: round trips, files as NumPy writes them, hostile files.
// SPDX-License-Identifier: Apache-2.0
#include "harness/npy.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

#include "scratch.hpp"

namespace strobe::harness {
namespace {

using NpyTest = ScratchTest;

constexpr const char* kDict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

std::string npy(const std::string& dict, const std::string& payload, int version = 1) {
  return std::string("\x93NUMPY") + static_cast<char>(version) + '\0' +
         little_endian(dict.size(), version == 1 ? 2 : 4) + dict + payload;
}

std::string dict_of(const std::string& descr, const std::string& shape,
                    const std::string& fortran_order = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + fortran_order + ", 'shape': " + shape + "}";
}

template <class T, std::size_t count>
std::string memory(const std::array<T, count>& values) {
  return {reinterpret_cast<const char*>(values.data()), sizeof values};
}

/// What read_npy says of a file of these bytes.
class NpyMessages : public NpyTest {
 protected:
  std::string complaint(const std::string& bytes) const {
    const std::filesystem::path name = file("x.npy", bytes);
    return without_folder(message_of([&] { (void)read_npy(name); }));
  }
};

class NpyRoundTrip : public NpyTest, public testing::WithParamInterface<DType> {};

TEST_P(NpyRoundTrip, KeepsTypeShapeAndBytes) {
  HostTensor tensor(GetParam(), {2, 3, 1, 4});
  for (std::int64_t i = 0; i < 24; ++i) tensor.set({i / 12, i / 4 % 3, 0, i % 4}, i % 5 - 2.0);
  write_npy(path("x.npy"), tensor);
  const HostTensor back = read_npy(path("x.npy"));
  EXPECT_EQ(back.dtype(), GetParam());
  EXPECT_EQ(back.shape(), tensor.shape());
  ASSERT_EQ(back.bytes(), tensor.bytes());
  EXPECT_EQ(std::memcmp(back.data(), tensor.data(), static_cast<std::size_t>(tensor.bytes())), 0);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, NpyRoundTrip, testing::ValuesIn(kEveryType), type_name);

class NpyShapes : public NpyTest, public testing::WithParamInterface<Shape> {};

TEST_P(NpyShapes, SurviveTheFile) {
  write_npy(path("x.npy"), HostTensor(DType::i32, GetParam()));
  EXPECT_EQ(read_npy(path("x.npy")).shape(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(AnyRank, NpyShapes,
                         testing::Values(Shape{1}, Shape{7}, Shape{0}, Shape{3, 0}, Shape{2, 5},
                                         Shape{2, 3, 4}, Shape{2, 0, 1, 3}));

TEST_F(NpyTest, WritesWhatNumPyWrites) {
  HostTensor tensor(DType::f32, {2, 3});
  tensor.set({0, 1}, 1.5);
  write_npy(path("x.npy"), tensor);
  const std::string padding(128 - 10 - std::strlen(kDict) - 1, ' ');
  EXPECT_EQ(bytes_of(path("x.npy")),
            npy(kDict + padding + "\n", memory(std::array<float, 6>{0, 1.5f, 0, 0, 0, 0})));
}

TEST_F(NpyTest, WritesOneAxisAsATupleAndBf16AsV2) {
  write_npy(path("x.npy"), HostTensor(DType::bf16, {5}));
  EXPECT_NE(
      bytes_of(path("x.npy")).find("{'descr': '|V2', 'fortran_order': False, 'shape': (5,), }"),
      std::string::npos);
}

TEST_F(NpyTest, WritesStridedTensorsInLogicalOrder) {
  HostTensor tensor(DType::i32, {2, 2}, {1, 3});
  tensor.set({0, 1}, 5.0);
  write_npy(path("x.npy"), tensor);
  EXPECT_EQ(read_npy(path("x.npy")).get({0, 1}), 5.0);
  EXPECT_EQ(read_npy(path("x.npy")).get({1, 0}), 0.0);
}

class NpyVersions : public NpyTest, public testing::WithParamInterface<int> {};

TEST_P(NpyVersions, AreRead) {
  const std::array<float, 6> values{1, 2, 3, 4, 5, 6};
  const HostTensor tensor = read_npy(file("x.npy", npy(kDict, memory(values), GetParam())));
  EXPECT_EQ(tensor.shape(), (Shape{2, 3}));
  EXPECT_EQ(tensor.get({1, 0}), 4.0);
}

INSTANTIATE_TEST_SUITE_P(OneToThree, NpyVersions, testing::Values(1, 2, 3),
                         testing::PrintToStringParamName());

TEST_F(NpyTest, ReadsFortranOrderAsRowMajor) {
  const std::array<std::int32_t, 6> columns{11, 21, 12, 22, 13, 23};
  const HostTensor tensor =
      read_npy(file("x.npy", npy(dict_of("'<i4'", "(2, 3)", "True"), memory(columns))));
  EXPECT_TRUE(tensor.is_contiguous());
  EXPECT_EQ(tensor.get({0, 2}), 13.0);
  EXPECT_EQ(tensor.get({1, 0}), 21.0);
}

TEST_F(NpyTest, ReadsAnyByteButZeroAsTrue) {
  const HostTensor tensor =
      read_npy(file("x.npy", npy(dict_of("'|u1'", "(3,)"), std::string("\0\x01\xfe", 3))));
  EXPECT_EQ(tensor.dtype(), DType::boolean);
  EXPECT_EQ(std::to_integer<int>(tensor.data()[0]), 0);
  EXPECT_EQ(std::to_integer<int>(tensor.data()[1]), 1);
  EXPECT_EQ(std::to_integer<int>(tensor.data()[2]), 1);
}

TEST_F(NpyTest, ReadsKeysInAnyOrderAndEitherQuote) {
  const std::string dict = "  {\"shape\" : (1 , ) ,'fortran_order':False,\"descr\":\"<V2\"}  \n";
  const HostTensor tensor = read_npy(file("x.npy", npy(dict, "\x80\x3f")));
  EXPECT_EQ(tensor.dtype(), DType::bf16);
  EXPECT_EQ(tensor.get({0}), 1.0);
}

TEST_F(NpyMessages, FilesThatAreSomethingElse) {
  EXPECT_EQ(complaint(""), "x.npy: is no .npy file: it has 0 bytes [npy-start]");
  EXPECT_EQ(complaint("\x93NUMPY\x01"), "x.npy: is no .npy file: it has 7 bytes [npy-start]");
  EXPECT_EQ(complaint("PK\x03\x04 a zip archive of arrays"),
            "x.npy: is no .npy file: it starts with \"PK\\x03\\x04 a\" instead of \"\\x93NUMPY\" "
            "[npy-start]");
  EXPECT_EQ(complaint(npy(kDict, "", 9)),
            "x.npy: has .npy version 9.0; 1.0, 2.0 and 3.0 are read [npy-start]");
}

TEST_F(NpyMessages, HeadersThatDoNotFitTheFile) {
  const std::string magic("\x93NUMPY\x01\0", 8);
  EXPECT_EQ(complaint(magic + "\xff\xff" + kDict),
            "x.npy: its header claims 65535 bytes, and 59 follow; it is truncated or no .npy file "
            "[npy-start]");
  EXPECT_EQ(complaint(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12) + kDict),
            "x.npy: its header claims 4294967295 bytes, and 59 follow; it is truncated or no .npy "
            "file [npy-start]");
  EXPECT_EQ(complaint(npy(std::string((1 << 20) + 1, ' '), "", 2)),
            "x.npy: its header takes 1048577 bytes; at most 1048576 are read [npy-start]");
}

TEST_F(NpyMessages, HeadersThatAreNoDict) {
  EXPECT_EQ(complaint(npy("hello world", "")),
            "x.npy: its header cannot be read: expected '{' at byte 0, found \"hello world\" "
            "[npy-header]");
  EXPECT_EQ(
      complaint(npy("{'descr': '<f4'", "")),
      "x.npy: its header cannot be read: expected '}' at byte 15, found the end [npy-header]");
  EXPECT_EQ(complaint(npy("{'descr': '<f4", "")),
            "x.npy: its header cannot be read: expected a quoted word that ends at byte 10, found "
            "\"'<f4\" [npy-header]");
  EXPECT_EQ(
      complaint(npy("{'descr' '<f4'}", "")),
      "x.npy: its header cannot be read: expected ':' at byte 9, found \"'<f4'}\" [npy-header]");
  EXPECT_EQ(complaint(npy("{descr: '<f4'}", "")),
            "x.npy: its header cannot be read: expected a quoted word at byte 1, found \"descr: "
            "'<f4'\" [npy-header]");
  EXPECT_EQ(complaint(npy(std::string(kDict) + "\x01", "")),
            "x.npy: its header cannot be read: expected the end at byte 59, found \"\\x01\" "
            "[npy-header]");
  EXPECT_EQ(complaint(npy(std::string(2, '\0'), "  ")),
            "x.npy: its header cannot be read: expected '{' at byte 0, found \"\\x00\\x00\" "
            "[npy-header]");
}

TEST_F(NpyMessages, KeysMissingTwiceOrUnknown) {
  EXPECT_EQ(complaint(npy("{}", "  ")), "x.npy: its header has no 'descr' [npy-header]");
  EXPECT_EQ(complaint(npy("{'descr': '<f4', 'shape': (1,)}", "1234")),
            "x.npy: its header has no 'fortran_order' [npy-header]");
  EXPECT_EQ(complaint(npy("{'descr': '<f4', 'fortran_order': False}", "1234")),
            "x.npy: its header has no 'shape' [npy-header]");
  EXPECT_EQ(complaint(npy("{'shape': (1,), 'shape': (1,)}", "1234")),
            "x.npy: its header gives 'shape' twice [npy-header]");
  EXPECT_EQ(complaint(npy("{'colour': 'red'}", "1234")),
            "x.npy: its header holds \"colour\"; only descr, fortran_order and shape belong there "
            "[npy-header]");
}

TEST_F(NpyMessages, TypesThatAreNotRead) {
  const std::string rest =
      "; <f4 <f8 <f2 <i4 <u8 |b1 |u1 are read, and |V2 as bf16: convert with astype before saving "
      "[npy-type]";
  EXPECT_EQ(
      complaint(npy(dict_of("'<i8'", "(1,)"), "12345678")),
      "x.npy: its elements are \"<i8\"; <f4 <f8 <f2 <i4 <u8 |b1 |u1 are read, and |V2 as bf16: "
      "convert with astype before saving [npy-type]");
  EXPECT_EQ(complaint(npy(dict_of("'>f4'", "(1,)"), "1234")),
            "x.npy: its elements are \">f4\"" + rest);
  EXPECT_EQ(complaint(npy(dict_of("'|O'", "(1,)"), "1234")),
            "x.npy: its elements are \"|O\"" + rest);
  EXPECT_EQ(complaint(npy(dict_of("[('a', '<f4')]", "(1,)"), "1234")),
            "x.npy: it holds a structured type; save one array of plain numbers a file [npy-type]");
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(1,)", "1"), "1234")),
            "x.npy: its header cannot be read: expected True or False at byte 34, found \"1, "
            "'shape': \" [npy-header]");
}

TEST_F(NpyMessages, ShapesThatAreNone) {
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "()"), "1234")),
            "x.npy: it holds a single number without axes; tensors have 1 to 4 [npy-shape]");
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(1, 1, 1, 1, 1)"), "1234")),
            "x.npy: it has more than 4 axes; tensors have 1 to 4 [npy-shape]");
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(2, -1)"), "1234")),
            "x.npy: a size in its shape is \"-1\"; sizes lie from 0 to 2^63 - 1 [npy-shape]");
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(99999999999999999999,)"), "1234")),
            "x.npy: a size in its shape is \"99999999999999999999\"; sizes lie from 0 to 2^63 - 1 "
            "[npy-shape]");
  EXPECT_EQ(
      complaint(npy(dict_of("'<f4'", "(1.5,)"), "1234")),
      "x.npy: its header cannot be read: expected ')' at byte 52, found \".5,)}\" [npy-header]");
  EXPECT_EQ(
      complaint(npy(dict_of("'<f4'", "(,)"), "1234")),
      "x.npy: its header cannot be read: expected a size at byte 51, found \",)}\" [npy-header]");
}

TEST_F(NpyMessages, ShapesThatOverflow) {
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(4294967296, 4294967296)"), "1234")),
            "x.npy: shape [4294967296, 4294967296] of f32 takes more bytes than 63 bits can count "
            "[size-overflow]");
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(0, 4611686018427387904, 8)"), "")),
            "x.npy: shape [0, 4611686018427387904, 8] of f32 takes more bytes than 63 bits can "
            "count [size-overflow]");
}

TEST_F(NpyMessages, DataThatDoNotFitTheShape) {
  EXPECT_EQ(complaint(npy(kDict, std::string(23, 'x'))),
            "x.npy: shape [2, 3] of f32 takes 24 bytes, and 23 follow the header; it is truncated "
            "[npy-data]");
  EXPECT_EQ(
      complaint(npy(kDict, std::string(25, 'x'))),
      "x.npy: shape [2, 3] of f32 takes 24 bytes, and 25 follow the header; it holds more than one "
      "array or is damaged [npy-data]");
  EXPECT_EQ(complaint(npy(dict_of("'<f4'", "(1000000000000,)"), "1234")),
            "x.npy: shape [1000000000000] of f32 takes 4000000000000 bytes, and 4 follow the "
            "header; it is "
            "truncated [npy-data]");
}

TEST_F(NpyTest, EveryTruncationOfAGoodFileIsRefused) {
  const std::string whole = npy(kDict, std::string(24, 'x'));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto name = file("x.npy", whole.substr(0, size));
    EXPECT_THROW((void)read_npy(name), Error) << size;
  }
}

TEST_F(NpyTest, RefusesToWriteATensorThatWasNeverMade) {
  EXPECT_EQ(without_folder(message_of([&] { write_npy(path("x.npy"), HostTensor()); })),
            "x.npy: cannot be written: the tensor was never made [file-tensor]");
  EXPECT_EQ(entries(), 0);
}

TEST_F(NpyTest, WritesAFolderOfTensors) {
  TensorMap tensors;
  tensors.emplace("o", HostTensor(DType::f32, {2, 2}));
  tensors.emplace("lse", HostTensor(DType::f32, {2}));
  write_npy_folder(path("new/out"), tensors);
  EXPECT_EQ(read_npy(path("new/out/o.npy")).shape(), (Shape{2, 2}));
  EXPECT_EQ(read_npy(path("new/out/lse.npy")).shape(), (Shape{2}));
}

TEST_F(NpyTest, AFolderThatCannotBeWrittenWholeStaysAsItWas) {
  std::filesystem::create_directories(path("out/o.npy"));
  file("out/lse.npy", "before");
  TensorMap tensors;
  tensors.emplace("lse", HostTensor(DType::f32, {2}));
  tensors.emplace("o", HostTensor(DType::f32, {2, 2}));
  EXPECT_EQ(without_folder(message_of([&] { write_npy_folder(path("out"), tensors); })),
            "out/o.npy: exists and is not a regular file; name a file to write or to replace "
            "[file-output]");
  EXPECT_EQ(bytes_of(path("out/lse.npy")), "before");
}

TEST_F(NpyTest, RefusesFoldersAndNamesThatCannotBe) {
  TensorMap tensors;
  tensors.emplace("../o", HostTensor(DType::f32, {2}));
  EXPECT_EQ(without_folder(message_of([&] { write_npy_folder(path("out"), tensors); })),
            "out: a tensor named \"../o\" cannot be a file [file-tensor]");
  file("plain", "");
  EXPECT_EQ(without_folder(message_of([&] { write_npy_folder(path("plain/out"), tensors); })),
            "plain/out: cannot be made a folder: Not a directory [file-output]");
}

}  // namespace
}  // namespace strobe::harness
