// Any bytes are a .safetensors file or an Error; tensors that were read are written and read alike.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "bytes.hpp"
#include "harness/safetensors.hpp"
#include "scratch_file.hpp"

namespace strobe::fuzz {
namespace {

std::optional<harness::TensorMap> read(const std::filesystem::path& path) {
  try {
    return harness::read_safetensors(path);
  } catch (const Error& error) {
    require(error.code() == Code::invalid_argument, "a bad file is the caller's mistake",
            error.what());
    return std::nullopt;
  }
}

bool same(const harness::TensorMap& a, const harness::TensorMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second.shape() != tensor.shape() ||
        other->second.dtype() != tensor.dtype() ||
        std::memcmp(other->second.data(), tensor.data(),
                    static_cast<std::size_t>(tensor.bytes())) != 0)
      return false;
  }
  return true;
}

void run(std::span<const std::uint8_t> bytes) {
  static const Scratch scratch;
  const std::optional<harness::TensorMap> tensors = read(scratch.file("in.safetensors", bytes));
  if (!tensors) return;
  std::int64_t total = 0;
  for (const auto& entry : *tensors) total += entry.second.bytes();
  require(total <= static_cast<std::int64_t>(bytes.size()),
          "tensors take no more memory than their file");
  harness::write_safetensors(scratch.path("out.safetensors"), *tensors);
  const std::optional<harness::TensorMap> again = read(scratch.path("out.safetensors"));
  require(again && same(*again, *tensors), "read(write(tensors)) are the tensors");
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strobe::fuzz::run({data, size});
  return 0;
}
