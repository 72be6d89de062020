// Reads and writes .safetensors and .npy by what the command line names.
// SPDX-License-Identifier: Apache-2.0
#include "tensor_files.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <string_view>
#include <system_error>

#include "harness/npy.hpp"
#include "harness/safetensors.hpp"
#include "messages.hpp"
#include "options.hpp"

namespace strobe::tool {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";

/// By device and inode: links and other spellings are the same file.
bool same_file(const std::string& one, const std::string& other) {
  std::error_code missing;
  return std::filesystem::equivalent(one, other, missing);
}

void check_folder(const std::string& out) {
  const std::filesystem::path path(out);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return;
  if (path.has_extension() || std::filesystem::exists(path, ignored)) {
    fail("run-output-kind",
         fmt::format("--out {}: is neither a folder nor named .safetensors; results are two "
                     "tensors, so give one of these, a new folder with a dot in its name as "
                     "NAME/",
                     out));
  }
  const std::string folder =
      out.ends_with('/') ? out.substr(0, out.find_last_not_of('/') + 1) : out;
  check_output_file(folder, "--out");
}

}  // namespace

harness::TensorMap read_inputs(const InputFiles& files) {
  if (files.safetensors.empty() && files.npy.empty()) {
    fail("run-input-missing",
         "run: no input: give --in FILE.safetensors, or --q q.npy --k k.npy --v v.npy");
  }
  harness::TensorMap in;
  if (!files.safetensors.empty()) in = harness::read_safetensors(files.safetensors);
  for (const auto& [name, file] : files.npy) {
    if (in.contains(name)) {
      fail("run-tensor-twice",
           fmt::format("run: {} comes twice, from {} and from --{} {}; leave one out", name,
                       files.safetensors, name, file));
    }
    in.emplace(name, harness::read_npy(file));
  }
  harness::check_names(in);
  return in;
}

void check_not_input(const std::string& path, const char* option, const InputFiles& inputs) {
  const auto check = [&](std::string_view input_option, const std::string& input) {
    if (!same_file(path, input)) return;
    fail("output-input",
         fmt::format("{} {}: is the file of --{} {}, which the result would replace; name another",
                     option, path, input_option, input));
  };
  check("in", inputs.safetensors);
  for (const auto& [name, file] : inputs.npy) check(name, file);
}

void check_output(const std::string& out, const InputFiles& inputs) {
  if (out.ends_with(kSafetensors)) {
    check_output_file(out, "--out");
    return check_not_input(out, "--out", inputs);
  }
  check_folder(out);
  for (const char* name : {"o", "lse", "k_cache", "v_cache", "k_scale", "v_scale"})
    check_not_input(fmt::format("{}/{}.npy", out, name), "--out", inputs);
}

std::string write_outputs(const std::string& out, const harness::TensorMap& tensors) {
  if (out.ends_with(kSafetensors)) {
    harness::write_safetensors(out, tensors);
  } else {
    harness::write_npy_folder(out, tensors);
  }
  std::string text;
  for (const auto& [name, tensor] : tensors) {
    const bool last = name == tensors.rbegin()->first;
    text += fmt::format("{}{} {} {}",
                        text.empty() ? ""
                        : last       ? " and "
                                     : ", ",
                        name, harness::to_string(tensor.shape()), name_of(tensor.dtype()));
  }
  return fmt::format("{} written to {}", text, out);
}

void swap_layout(harness::HostTensor& tensor) {
  const int heads = tensor.rank() - 2;
  if (heads >= 1) tensor.swap_axes(heads - 1, heads);
}

}  // namespace strobe::tool
