// The JSON header of a safetensors file, read strictly, event by event: a hostile header of 100 MB
// costs no tree of values, and keys given twice are seen.
// SPDX-License-Identifier: Apache-2.0
#include "harness/safetensors_header.hpp"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "api/messages.hpp"
#include "harness/file.hpp"
#include "harness/host_tensor.hpp"

namespace strobe::harness {
namespace {

using Json = nlohmann::json;

struct TypeName {
  std::string_view name;
  DType dtype;
};
/// The first name of a type is the one that is written.
constexpr TypeName kTypes[] = {
    {"F32", DType::f32}, {"F64", DType::f64}, {"F16", DType::f16},      {"BF16", DType::bf16},
    {"I32", DType::i32}, {"U64", DType::u64}, {"BOOL", DType::boolean}, {"U8", DType::boolean},
    {"I8", DType::i8},   {"U8", DType::i4},   {"F8_E4M3", DType::e4m3}, {"F8_E5M2", DType::e5m2},
};

/// The format has no type of 4 bits: caches of U8 are pairs of codes, all else of U8 is boolean.
DType type_named(std::string_view text, std::string_view tensor) {
  const bool cache = tensor == "k_cache" || tensor == "v_cache";
  for (const TypeName& type : kTypes)
    if (type.name == text && (type.dtype == DType::i4 || !cache || text != "U8")) return type.dtype;
  return DType::none;
}

/// What the reader has seen last, and so what may come next.
enum class Level {
  file,      ///< nothing: the header's object
  names,     ///< inside it: a tensor's name, "__metadata__", or its end
  tensor,    ///< a tensor's name: its object
  fields,    ///< inside it: a field's name, or its end
  dtype,     ///< "dtype": a string
  array,     ///< "shape" or "data_offsets": an array
  numbers,   ///< inside it: a number, or its end
  metadata,  ///< "__metadata__": its object
  remarks,   ///< inside it: a key, or its end
  remark,    ///< a key of it: a string
};

const char* expected_at(Level level) {
  switch (level) {
    case Level::tensor: return "an object of dtype, shape and data_offsets";
    case Level::array: return "an array";
    case Level::numbers: return "whole numbers from 0 to 9223372036854775807";
    case Level::metadata: return "an object of strings";
    case Level::dtype:
    case Level::remark: return "a string";
    default: return "an object of tensors";
  }
}

class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  std::vector<StoredTensor> take() { return std::move(tensors_); }

  bool start_object(std::size_t) override {
    if (level_ == Level::file) return go(Level::names);
    if (level_ == Level::metadata) return go(Level::remarks);
    if (level_ == Level::tensor) return go(Level::fields);
    unexpected("an object");
  }

  bool key(std::string& key) override {
    std::set<std::string>& seen = level_ == Level::names ? names_ : fields_;
    if (!seen.insert(key).second)
      fail("safetensors-repeated",
           fmt::format("{}{} is there twice, and may be there once", subject(), printable(key)));
    if (level_ == Level::remarks) return go(Level::remark);
    if (level_ == Level::fields) return start_field(key);
    fields_.clear();
    if (key == "__metadata__") return go(Level::metadata);
    tensor_ = {.name = key};
    return go(Level::tensor);
  }

  bool end_object() override {
    if (level_ == Level::fields) finish_tensor();
    tensor_.name.clear();
    return go(Level::names);
  }

  bool start_array(std::size_t) override {
    if (level_ == Level::array) return go(Level::numbers);
    unexpected("an array");
  }

  bool end_array() override {
    (field_ == "shape" ? sizes_ : offsets_) = std::exchange(numbers_, {});
    return go(Level::fields);
  }

  bool string(std::string& text) override {
    if (level_ == Level::remark) return go(Level::remarks);
    if (level_ != Level::dtype) unexpected("a string");
    tensor_.dtype = type_named(text, tensor_.name);
    if (tensor_.dtype == DType::none)
      fail("safetensors-type",
           fmt::format("{}its dtype is {}; F32 F64 F16 BF16 F8_E4M3 F8_E5M2 I32 I8 U64 U8 and "
                       "BOOL are read: convert it before saving",
                       subject(), printable(text)));
    return go(Level::fields);
  }

  bool number_unsigned(std::uint64_t number) override {
    if (level_ != Level::numbers || number > std::numeric_limits<std::int64_t>::max())
      unexpected(fmt::format("{}", number));
    if (field_ == "shape" && numbers_.size() == Shape::kMaxRank)
      fail("safetensors-shape", subject() + "it has more than 4 axes; tensors have 1 to 4");
    if (field_ == "data_offsets" && numbers_.size() == 2)
      fail("safetensors-offsets", subject() + "its data_offsets are more than two numbers");
    numbers_.push_back(static_cast<std::int64_t>(number));
    return true;
  }

  bool number_integer(std::int64_t number) override { unexpected(fmt::format("{}", number)); }
  bool number_float(double, const std::string& digits) override { unexpected(printable(digits)); }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool binary(Json::binary_t&) override { unexpected("binary"); }

  bool parse_error(std::size_t byte, const std::string& last, const Json::exception&) override {
    fail("safetensors-header",
         fmt::format("its header is not JSON: wrong at byte {}, after {}", byte, printable(last)));
  }

 private:
  bool go(Level level) {
    level_ = level;
    return true;
  }

  bool start_field(const std::string& field) {
    field_ = field;
    if (field == "dtype") return go(Level::dtype);
    if (field == "shape" || field == "data_offsets") return go(Level::array);
    fail("safetensors-header",
         fmt::format("{}it has a field {}; dtype, shape and data_offsets belong there", subject(),
                     printable(field)));
  }

  void finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"})
      if (!fields_.contains(field))
        fail("safetensors-header", fmt::format("{}it has no {}", subject(), field));
    if (offsets_.size() != 2 || offsets_[0] > offsets_[1])
      fail("safetensors-offsets",
           subject() + "its data_offsets are not a begin and an end after it");
    const std::int64_t packed = packed_in_one(tensor_.dtype);
    if (packed > 1 && !sizes_.empty() &&
        __builtin_mul_overflow(sizes_.back(), packed, &sizes_.back()))
      fail("safetensors-shape", subject() + "its last size is more than 63 bits can count");
    tensor_.shape = make_shape(sizes_);
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    const std::int64_t bytes = checked_bytes(
        tensor_.dtype, tensor_.shape, fmt::format("{}: tensor {}", file_, printable(tensor_.name)));
    if (bytes != tensor_.end - tensor_.begin)
      fail("safetensors-offsets",
           fmt::format("{}shape {} of {} takes {} bytes, and its data_offsets {} to {} span {}",
                       subject(), to_string(tensor_.shape), name_of(tensor_.dtype), bytes,
                       tensor_.begin, tensor_.end, tensor_.end - tensor_.begin));
    tensors_.push_back(tensor_);
  }

  /// What the message is about: `tensor "q": `, or nothing.
  std::string subject() const {
    if (level_ == Level::file || level_ == Level::names) return "";
    if (level_ == Level::metadata || level_ == Level::remarks || level_ == Level::remark)
      return "__metadata__: ";
    return fmt::format("tensor {}: ", printable(tensor_.name));
  }

  [[noreturn]] void unexpected(const std::string& found) const {
    const bool in_array = level_ == Level::array || level_ == Level::numbers;
    const std::string what =
        in_array || level_ == Level::dtype ? field_ + " holds " + found : found;
    const std::string text =
        fmt::format("{}{} where {} should be", subject(), what, expected_at(level_));
    if (in_array && field_ == "shape") fail("safetensors-shape", text);
    if (in_array) fail("safetensors-offsets", text);
    fail("safetensors-header", text);
  }
  [[noreturn]] void fail(api::MessageId id, const std::string& what) const {
    throw api::error(id, fmt::format("{}: {}", file_, what));
  }

  const std::string& file_;
  Level level_ = Level::file;
  std::set<std::string> names_{};
  std::set<std::string> fields_{};
  std::string field_{};
  StoredTensor tensor_{};
  std::vector<std::int64_t> numbers_{}, sizes_{}, offsets_{};
  std::vector<StoredTensor> tensors_{};
};

}  // namespace

std::vector<StoredTensor> parse_header(std::string_view text, const std::string& file) {
  HeaderReader reader(file);
  if (!text.starts_with('{'))
    throw api::error(
        "safetensors-header",
        fmt::format("{}: its header starts with {} instead of \"{{\"; it is no safetensors file",
                    file, printable(text.substr(0, 1))));
  // The parser takes a zero byte for the end and would not see what follows it.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
    throw api::error("safetensors-header",
                     fmt::format("{}: its header is not JSON: byte {} is zero", file, zero + 1));
  Json::sax_parse(text.begin(), text.end(), &reader);
  return reader.take();
}

std::string_view stored_name(DType dtype) {
  for (const TypeName& type : kTypes)
    if (type.dtype == dtype) return type.name;
  return "none";
}

}  // namespace strobe::harness
