// NumPy's .npy files: preamble, a Python dict as text, elements.
// SPDX-License-Identifier: Apache-2.0
#include "harness/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "api/memory.hpp"
#include "api/messages.hpp"
#include "harness/file.hpp"
#include "harness/tensor_io.hpp"

namespace strobe::harness {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "\x93NUMPY"sv;
// Ours take 128 bytes; NumPy itself refuses more than 10000 by default.
constexpr std::int64_t kMaxHeader = std::int64_t{1} << 20;

struct TypeName {
  std::string_view descr;
  DType dtype;
};
/// The first name of a type is the one that is written.
constexpr TypeName kTypes[] = {
    {"<f4", DType::f32},  {"<f8", DType::f64},     {"<f2", DType::f16},     {"<i4", DType::i32},
    {"<u8", DType::u64},  {"|b1", DType::boolean}, {"|u1", DType::boolean}, {"|V2", DType::bf16},
    {"<V2", DType::bf16}, {"|i1", DType::i8},
};

struct Header {
  DType dtype = DType::none;
  bool fortran_order = false;
  Shape shape{};
};

/// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }": these three keys, once
/// each, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Header parse() {
    expect('{');
    while (!accept('}')) {
      parse_entry();
      if (accept(',')) continue;
      expect('}');
      break;
    }
    skip_space();
    if (at_ != text_.size()) fail_expecting("the end");
    for (const auto& [key, given] :
         {std::pair{"descr", descr_}, {"fortran_order", order_}, {"shape", shape_}})
      if (!given) fail("npy-header", fmt::format("its header has no '{}'", key));
    return header_;
  }

 private:
  void parse_entry() {
    const std::string_view key = quoted_text();
    expect(':');
    if (key == "descr") {
      once(descr_, key);
      parse_descr();
    } else if (key == "fortran_order") {
      once(order_, key);
      header_.fortran_order = parse_bool();
    } else if (key == "shape") {
      once(shape_, key);
      header_.shape = parse_shape();
    } else {
      fail("npy-header",
           fmt::format("its header holds {}; only descr, fortran_order and shape belong there",
                       printable(key)));
    }
  }

  void parse_descr() {
    skip_space();
    if (peek() == '[')
      fail("npy-type", "it holds a structured type; save one array of plain numbers a file");
    const std::string_view descr = quoted_text();
    for (const TypeName& type : kTypes)
      if (type.descr == descr) header_.dtype = type.dtype;
    if (header_.dtype == DType::none)
      fail(
          "npy-type",
          fmt::format("its elements are {}; <f4 <f8 <f2 <i4 <u8 |b1 |u1 are read, and |V2 as bf16: "
                      "convert with astype before saving",
                      printable(descr)));
  }

  bool parse_bool() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    fail_expecting("True or False");
  }

  Shape parse_shape() {
    std::vector<std::int64_t> sizes;
    expect('(');
    while (!accept(')')) {
      sizes.push_back(parse_size());
      if (sizes.size() > Shape::kMaxRank)
        fail("npy-shape", "it has more than 4 axes; tensors have 1 to 4");
      if (accept(',')) continue;
      expect(')');
      break;
    }
    if (sizes.empty())
      fail("npy-shape", "it holds a single number without axes; tensors have 1 to 4");
    return make_shape(sizes);
  }

  std::int64_t parse_size() {
    skip_space();
    std::int64_t size = 0;
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(text_.data() + at_, end, size);
    const std::string_view digits =
        text_.substr(at_, static_cast<std::size_t>(stop - (text_.data() + at_)));
    if (error == std::errc::invalid_argument) fail_expecting("a size");
    if (error == std::errc::result_out_of_range || size < 0)
      fail("npy-shape", fmt::format("a size in its shape is {}; sizes lie from 0 to 2^63 - 1",
                                    printable(digits)));
    at_ += digits.size();
    return size;
  }

  /// Python's quoted string, without escapes: no key or type needs one.
  std::string_view quoted_text() {
    skip_space();
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail_expecting("a quoted word");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail_expecting("a quoted word that ends");
    const std::string_view word = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return word;
  }

  void once(bool& given, std::string_view key) {
    if (given) fail("npy-header", fmt::format("its header gives '{}' twice", key));
    given = true;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (at_ < text_.size() && " \t\r\n"sv.find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail_expecting(fmt::format("'{}'", c));
  }

  [[noreturn]] void fail_expecting(const std::string& expected) const {
    fail("npy-header",
         fmt::format("its header cannot be read: expected {} at byte {}, found {}", expected, at_,
                     at_ < text_.size() ? printable(text_.substr(at_, 12)) : "the end"));
  }
  [[noreturn]] void fail(api::MessageId id, const std::string& what) const {
    throw api::error(id, fmt::format("{}: {}", file_, what));
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
  Header header_{};
  bool descr_ = false, order_ = false, shape_ = false;
};

[[noreturn]] void fail(api::MessageId id, const InputFile& file, const std::string& what) {
  throw api::error(id, fmt::format("{}: {}", file.name(), what));
}

std::string read_text(const InputFile& file, std::int64_t offset, std::int64_t length) {
  std::string text(static_cast<std::size_t>(length), ' ');
  file.read(offset, std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

/// Little-endian, as this machine (tensor_io.cpp).
std::int64_t number_of(std::string_view bytes) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), bytes.size());
  return number;
}

/// Where the header's text lies.
struct Extent {
  std::int64_t begin = 0;
  std::int64_t length = 0;
};

Extent header_extent(const InputFile& file) {
  if (file.size() < 12)
    fail("npy-start", file, fmt::format("is no .npy file: it has {} bytes", file.size()));
  const std::string start = read_text(file, 0, 12);
  if (!start.starts_with(kMagic))
    fail("npy-start", file,
         fmt::format("is no .npy file: it starts with {} instead of {}",
                     printable(start.substr(0, 6)), printable(kMagic)));
  const int major = static_cast<unsigned char>(start[6]);
  const int minor = static_cast<unsigned char>(start[7]);
  if (major < 1 || major > 3 || minor != 0)
    fail("npy-start", file,
         fmt::format("has .npy version {}.{}; 1.0, 2.0 and 3.0 are read", major, minor));
  const std::int64_t digits = major == 1 ? 2 : 4;
  const Extent extent{
      8 + digits, number_of(std::string_view(start).substr(8, static_cast<std::size_t>(digits)))};
  if (extent.length > file.size() - extent.begin)
    fail("npy-start", file,
         fmt::format("its header claims {} bytes, and {} follow; it is truncated or "
                     "no .npy file",
                     extent.length, file.size() - extent.begin));
  if (extent.length > kMaxHeader)
    fail("npy-start", file,
         fmt::format("its header takes {} bytes; at most {} are read", extent.length, kMaxHeader));
  return extent;
}

/// Strides that make the first axis the contiguous one.
Shape fortran_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/// "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", padded so that elements start at
/// a multiple of 64 bytes, and ended by a newline, as the format asks.
std::string header_text(const HostTensor& tensor) {
  std::string_view descr;
  for (const TypeName& type : kTypes)
    if (descr.empty() && type.dtype == tensor.dtype()) descr = type.descr;
  std::string shape = fmt::format("{},", tensor.shape()[0]);
  for (int axis = 1; axis < tensor.rank(); ++axis)
    shape += fmt::format("{}{}", axis == 1 ? " " : ", ", tensor.shape()[axis]);
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  constexpr std::size_t kPreamble = 10;
  text.append(63 - (kPreamble + text.size()) % 64, ' ');
  return text + '\n';
}

/// The whole file, short of being put in place.
OutputFile written(const std::filesystem::path& path, const HostTensor& tensor) {
  if (tensor.rank() == 0)
    throw api::error("file-tensor", fmt::format("{}: cannot be written: the tensor was never made",
                                                path.string()));
  if (std::ranges::find(kTypes, tensor.dtype(), &TypeName::dtype) == std::end(kTypes))
    throw api::error(
        "file-tensor",
        fmt::format("{}: cannot be written: .npy has no type for {}; write .safetensors",
                    path.string(), name_of(tensor.dtype())));
  const std::string header = header_text(tensor);
  OutputFile file(path);
  file.write(kMagic);
  file.write("\x01\0"sv);
  file.write(
      std::string{static_cast<char>(header.size() % 256), static_cast<char>(header.size() / 256)});
  file.write(header);
  write_elements(file, tensor);
  file.finish();
  return file;
}

HostTensor read(const std::filesystem::path& path) {
  const InputFile file(path);
  const Extent extent = header_extent(file);
  const std::string text = read_text(file, extent.begin, extent.length);
  const Header header = HeaderParser(text, file.name()).parse();

  const std::int64_t expected = checked_bytes(header.dtype, header.shape, file.name());
  const std::int64_t begin = extent.begin + extent.length;
  const std::int64_t present = file.size() - begin;
  if (present != expected)
    fail("npy-data", file,
         fmt::format("shape {} of {} takes {} bytes, and {} follow the header; {}",
                     to_string(header.shape), name_of(header.dtype), expected, present,
                     present < expected ? "it is truncated"
                                        : "it holds more than one array or is damaged"));
  const Shape strides =
      header.fortran_order ? fortran_strides(header.shape) : header.shape.contiguous_strides();
  HostTensor tensor(header.dtype, header.shape, strides);
  read_elements(file, begin, tensor);
  return tensor.is_contiguous() ? std::move(tensor) : tensor.contiguous();
}

void write_folder(const std::filesystem::path& folder, const TensorMap& tensors) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error == std::errc::not_enough_memory) throw std::bad_alloc();
  if (error)
    throw api::error("file-output", fmt::format("{}: cannot be made a folder: {}", folder.string(),
                                                error.message()));
  std::vector<OutputFile> files;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || name.find('/') != std::string::npos)
      throw api::error("file-tensor", fmt::format("{}: a tensor named {} cannot be a file",
                                                  folder.string(), printable(name)));
    files.push_back(written(folder / (name + ".npy"), tensor));
  }
  for (OutputFile& file : files) file.commit();
}

constexpr const char* kHeader = "the header of this file (at most 1 MiB)";

}  // namespace

HostTensor read_npy(const std::filesystem::path& path) {
  return api::with_memory_for(kHeader, path.c_str(), [&] { return read(path); });
}

void write_npy(const std::filesystem::path& path, const HostTensor& tensor) {
  api::with_memory_for(kHeader, path.c_str(), [&] { written(path, tensor).commit(); });
}

void write_npy_folder(const std::filesystem::path& folder, const TensorMap& tensors) {
  api::with_memory_for(kHeader, folder.c_str(), [&] { write_folder(folder, tensors); });
}

}  // namespace strobe::harness
