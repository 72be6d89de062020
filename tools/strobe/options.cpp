// Options that several commands share, and how they are read.
// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <fmt/core.h>
#include <unistd.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <system_error>

#include "messages.hpp"
#include "strobe/plan.hpp"

namespace strobe::tool {
namespace {

constexpr int kMostThreads = 4096;

/// Not CLI11's reading of numbers, whose message quotes a range of 309 digits.
std::uint64_t parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, seed);
  if (error == std::errc{} && end == last) return seed;
  fail("seed-number", fmt::format("--seed {}: not a seed; give a whole number from 0 to {}", text,
                                  std::numeric_limits<std::uint64_t>::max()));
}

}  // namespace

int Where::thread_count() const { return threads == 0 ? available_threads() : threads; }

Op Where::op() const {
  constexpr std::array later{"backward", "jvp", "double_backward"};
  if (op_name == "forward") return Op::forward;
  if (op_name == "decode") return Op::decode;
  if (std::find(later.begin(), later.end(), op_name) != later.end()) {
    fail("op-later", fmt::format("--op {}: this version computes forward and decode; take one of "
                                 "these",
                                 op_name));
  }
  fail("op-unknown",
       fmt::format("--op {}: no such operation; accepted are forward and decode (this version has "
                   "no backward, jvp, double_backward)",
                   op_name));
}

PlanOptions Where::plan_options() const {
  return {.threads = thread_count(), .backend = backend, .op = op(), .splits = splits};
}

void add_op(CLI::App& command, Where& where) {
  command.add_option("--op", where.op_name, "forward (the default), decode");
  command.add_option(
      "--splits", where.splits,
      "decode: parts that the keys of each sequence are cut into; 0: as many as pay");
}

void add_backend(CLI::App& command, Where& where) {
  command.add_option(
      "--backend", where.backend,
      "reference, cpu, cpu:portable, cpu:avx2, cpu:avx512, cpu:avx512bf16: the best kernels that "
      "take the case with no more instructions than that (avx512bf16 runs f32 with avx512); the "
      "best of this machine if left out");
}

void add_threads(CLI::App& command, Where& where) {
  command.add_option("--threads", where.threads, "workers; every core of this process if left out");
}

void add_seed(CLI::App& command, std::uint64_t& seed) {
  command
      .add_option_function<std::string>(
          "--seed", [&seed](const std::string& text) { seed = parse_seed(text); },
          "fixes the random tensors (0)")
      ->type_name("UINT");
}

void add_values(CLI::App& command, std::string& name) {
  command.add_option("--values", name,
                     "what q, k and v hold: " + harness::values_names() + " (normal)");
}

harness::Values read_values(const std::string& name) {
  if (const auto values = harness::find_values(name)) return *values;
  fail("values-unknown", fmt::format("--values {}: no such kind of values; accepted: {}", name,
                                     harness::values_names()));
}

void check_threads(const Where& where) {
  if (where.threads >= 0 && where.threads <= kMostThreads) return;
  fail("threads-range", fmt::format("--threads {}: accepted are 1 to {}, and 0 for every core",
                                    where.threads, kMostThreads));
}

void check_output_file(const std::string& path, const char* option) {
  const std::filesystem::path target(path);
  const std::filesystem::path parent = target.has_parent_path() ? target.parent_path() : ".";
  std::error_code ignored;
  const char* trouble = nullptr;
  if (!target.has_filename() || std::filesystem::is_directory(target, ignored)) {
    trouble = "is a folder; name a file";
  } else if (!std::filesystem::is_directory(parent, ignored)) {
    trouble = "lies in a folder that does not exist; make it first";
  } else if (access(parent.c_str(), W_OK) != 0) {
    trouble = "lies in a folder that cannot be written to; choose another";
  }
  if (trouble != nullptr) {
    fail("output-place", fmt::format("{} {}: {}", option, path, trouble));
  }
}

std::string bytes_text(double bytes) {
  constexpr std::array units{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return fmt::format("{:.{}f} {}", bytes,
                     unit == 0 || bytes >= 100 ? 0
                     : bytes >= 10             ? 1
                                               : 2,
                     units[unit]);
}

std::string seconds_text(double seconds) {
  constexpr std::array units{"s", "ms", "us", "ns"};
  std::size_t unit = 0;
  for (; seconds < 1 && seconds > 0 && unit + 1 < units.size(); ++unit) seconds *= 1000;
  return fmt::format("{:.{}f} {}", seconds,
                     seconds >= 100  ? 0
                     : seconds >= 10 ? 1
                                     : 2,
                     units[unit]);
}

std::vector<Problem> parse_cases(const std::vector<std::string>& cases) {
  std::vector<Problem> problems;
  problems.reserve(cases.size());
  for (const std::string& text : cases) problems.push_back(Problem::parse(text));
  return problems;
}

}  // namespace strobe::tool
