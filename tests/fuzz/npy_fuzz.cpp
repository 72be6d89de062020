// Any bytes are a .npy file or an Error; a tensor that was read is written and read alike.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "bytes.hpp"
#include "harness/npy.hpp"
#include "scratch_file.hpp"

namespace strobe::fuzz {
namespace {

std::optional<harness::HostTensor> read(const std::filesystem::path& path) {
  try {
    return harness::read_npy(path);
  } catch (const Error& error) {
    require(error.code() == Code::invalid_argument, "a bad file is the caller's mistake",
            error.what());
    return std::nullopt;
  }
}

void run(std::span<const std::uint8_t> bytes) {
  static const Scratch scratch;
  const std::optional<harness::HostTensor> tensor = read(scratch.file("in.npy", bytes));
  if (!tensor) return;
  require(tensor->bytes() <= static_cast<std::int64_t>(bytes.size()),
          "a tensor takes no more memory than its file");
  harness::write_npy(scratch.path("out.npy"), *tensor);
  const std::optional<harness::HostTensor> again = read(scratch.path("out.npy"));
  require(again && again->shape() == tensor->shape() && again->dtype() == tensor->dtype() &&
              std::memcmp(again->data(), tensor->data(),
                          static_cast<std::size_t>(tensor->bytes())) == 0,
          "read(write(tensor)) is the tensor", harness::to_string(tensor->shape()));
}

}  // namespace
}  // namespace strobe::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strobe::fuzz::run({data, size});
  return 0;
}
