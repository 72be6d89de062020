// The safetensors format: eight bytes of header length, a JSON header, the elements.
// SPDX-License-Identifier: Apache-2.0
#include "harness/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/memory.hpp"
#include "api/messages.hpp"
#include "api/overlap.hpp"
#include "harness/file.hpp"
#include "harness/safetensors_header.hpp"
#include "harness/tensor_io.hpp"

namespace strobe::harness {
namespace {

/// The format's own limit.
constexpr std::int64_t kMaxHeader = 100'000'000;
constexpr std::int64_t kPrefix = 8;

[[noreturn]] void fail(api::MessageId id, const InputFile& file, const std::string& what) {
  throw api::error(id, fmt::format("{}: {}", file.name(), what));
}

std::string read_header(const InputFile& file) {
  if (file.size() < kPrefix)
    fail("safetensors-start", file,
         fmt::format("is no safetensors file: it has {} bytes", file.size()));
  std::uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  const auto present = static_cast<std::uint64_t>(file.size() - kPrefix);
  if (length > present)
    fail("safetensors-start", file,
         fmt::format("its header claims {} bytes, and {} follow; it is truncated or "
                     "no safetensors file",
                     length, present));
  if (length > kMaxHeader)
    fail("safetensors-start", file,
         fmt::format("its header takes {} bytes; the format allows {}", length, kMaxHeader));
  std::string text(static_cast<std::size_t>(length), ' ');
  file.read(kPrefix, std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

/// The tensors must fill the `present` bytes of data, in whatever order.
void check_extents(const InputFile& file, std::vector<StoredTensor> tensors, std::int64_t present) {
  for (const StoredTensor& tensor : tensors)
    if (tensor.end > present)
      fail("safetensors-data", file,
           fmt::format("tensor {} ends at byte {} of the data, and the file has {}; "
                       "it is truncated",
                       printable(tensor.name), tensor.end, present));
  const auto gap = [&file](std::int64_t begin, std::int64_t end) {
    fail("safetensors-data", file,
         fmt::format("bytes {} to {} of the data belong to no tensor; the format "
                     "allows no gap",
                     begin, end));
  };
  std::ranges::stable_sort(tensors, {},
                           [](const StoredTensor& t) { return std::pair(t.begin, t.end); });
  std::int64_t end = 0;
  std::string before;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin < end)
      fail("safetensors-data", file,
           fmt::format("tensors {} and {} overlap: one ends at byte {} of the data, "
                       "the other starts at {}; the format gives each its own bytes",
                       before, printable(tensor.name), end, tensor.begin));
    if (tensor.begin > end) gap(end, tensor.begin);
    end = tensor.end;
    before = printable(tensor.name);
  }
  if (end != present) gap(end, present);
}

/// Whether JSON can hold the name.
bool is_utf8(const std::string& name) {
  try {
    (void)nlohmann::json(name).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

/// Why the format cannot hold this tensor; empty where it can.
std::string refusal(const std::string& name, const HostTensor& tensor) {
  if (tensor.rank() == 0) return "it was never made";
  if (name == "__metadata__") return "the format keeps this name for itself";
  return is_utf8(name) ? "" : "its name is not UTF-8";
}

/// Where the tensors go: largest elements first, so that each starts at a multiple of its size,
/// though the format allows no gap.
std::vector<const TensorMap::value_type*> data_order(const TensorMap& tensors) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::ranges::stable_sort(order, std::greater{}, [](const TensorMap::value_type* entry) {
    return size_of(entry->second.dtype());
  });
  return order;
}

/// The header's text, padded so that the data start at a multiple of eight bytes. No json object is
/// built for it: its destructor allocates, and where that fails the program ends.
std::string header_text(const std::string& file, const TensorMap& tensors) {
  std::map<std::string_view, std::int64_t> begins;
  std::int64_t next = 0;
  for (const auto* entry : data_order(tensors)) {
    begins[entry->first] = next;
    next += bytes_of(entry->second.dtype(), entry->second.elements());
  }
  std::string text = "{";
  for (const auto& [name, tensor] : tensors) {
    const std::string why_not = refusal(name, tensor);
    if (!why_not.empty())
      throw api::error("file-tensor", fmt::format("{}: cannot hold tensor {}: {}", file,
                                                  printable(name), why_not));
    const std::int64_t begin = begins.at(name);
    const Shape stored = api::whole_bytes(tensor.const_view()).shape;
    text += fmt::format(R"({}{}:{{"data_offsets":[{},{}],"dtype":"{}","shape":[{}]}})",
                        text.size() == 1 ? "" : ",", nlohmann::json(name).dump(-1, ' ', true),
                        begin, begin + bytes_of(tensor.dtype(), tensor.elements()),
                        stored_name(tensor.dtype()), fmt::join(stored.begin(), stored.end(), ","));
  }
  text += '}';
  text.append((kPrefix - text.size() % kPrefix) % kPrefix, ' ');
  return text;
}

TensorMap read(const std::filesystem::path& path) {
  const InputFile file(path);
  const std::string text = read_header(file);
  const std::vector<StoredTensor> stored = parse_header(text, file.name());
  const std::int64_t begin = kPrefix + static_cast<std::int64_t>(text.size());
  check_extents(file, stored, file.size() - begin);

  TensorMap tensors;
  for (const StoredTensor& entry : stored) {
    HostTensor tensor(entry.dtype, entry.shape);
    read_elements(file, begin + entry.begin, tensor);
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

void write(const std::filesystem::path& path, const TensorMap& tensors) {
  const std::string header = header_text(path.string(), tensors);
  const std::uint64_t length = header.size();
  OutputFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const auto* entry : data_order(tensors)) write_elements(file, entry->second);
  file.commit();
}

constexpr const char* kHeaderText = "the header of this file (up to 20 times its bytes)";

}  // namespace

TensorMap read_safetensors(const std::filesystem::path& path) {
  return api::with_memory_for(kHeaderText, path.c_str(), [&] { return read(path); });
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors) {
  api::with_memory_for(kHeaderText, path.c_str(), [&] { write(path, tensors); });
}

}  // namespace strobe::harness
