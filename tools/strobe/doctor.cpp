// strobe doctor: what this machine can do, beside what its kind is known to do, and what to change.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "command.hpp"
#include "harness/host_tensor.hpp"
#include "harness/machine.hpp"
#include "harness/peaks.hpp"
#include "harness/timing.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "strobe/plan.hpp"

namespace strobe::tool {
namespace {

constexpr double kGiga = 1e9;
constexpr double kShort = 0.97;  // below this share of what is known, something is wrong

/// What we measured on machines with this core, quiet ones.
struct KnownCore {
  const char* core;
  double clock_ghz;
  double read_one;        ///< GB/s of one thread
  double read_two_least;  ///< of two threads, with neighbours on the host
  double read_two_most;
};
constexpr KnownCore kKnownCores[] = {
    {"AMD Zen 4", 3.66, 30, 32, 60},
    {"AMD Zen 5", 4.4, 42, 45, 57},
};

const KnownCore* known_core(const std::string& core) {
  const auto* const found =
      std::find_if(std::begin(kKnownCores), std::end(kKnownCores),
                   [&](const KnownCore& known) { return known.core == core; });
  return found == std::end(kKnownCores) ? nullptr : found;
}

/// Findings as two columns, and what to do about them.
class Findings {
 public:
  void row(const char* name, const std::string& value) { fmt::print("{:<31}{}\n", name, value); }
  void advise(const std::string& text) { advice_.push_back(text); }
  void print_advice() const {
    if (advice_.empty()) fmt::print("\nNothing to change.\n");
    if (!advice_.empty()) fmt::print("\nWorth changing:\n");
    for (const std::string& text : advice_) fmt::print("- {}\n", text);
  }

 private:
  std::vector<std::string> advice_{};
};

std::string first_word(const char* path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

void look_at_system(const harness::Machine& machine, Findings& findings) {
  findings.row("cpu", fmt::format("{} ({} family {} model {}){}", machine.core, machine.vendor,
                                  machine.family, machine.model,
                                  machine.virtual_machine ? ", in a virtual machine" : ""));
  findings.row("threads", fmt::format("{} for this process", machine.threads));
  findings.row("instruction sets", fmt::format("{}", fmt::join(machine.instruction_sets, " ")));
  for (const harness::Cache& cache : machine.caches) {
    if (cache.type == "Instruction") continue;
    findings.row(cache.level == 1 ? "caches" : "",
                 fmt::format("L{} {}", cache.level, bytes_text(static_cast<double>(cache.bytes))));
  }
  findings.row("memory",
               fmt::format("{}, {} free", bytes_text(static_cast<double>(machine.memory_bytes)),
                           bytes_text(static_cast<double>(harness::available_memory_bytes()))));
  const std::string& huge = machine.transparent_huge_pages;
  findings.row("pages", fmt::format("{}, transparent huge pages: {}",
                                    bytes_text(static_cast<double>(machine.page_bytes)),
                                    huge.empty() ? "unknown" : huge));
  if (huge == "never") {
    findings.advise(
        "huge pages are off, which costs 10 to 15 % of memory reads: echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled");
  }
  const std::string governor = first_word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (!governor.empty()) findings.row("frequency governor", governor);
  if (governor == "powersave" || governor == "conservative") {
    findings.advise("the governor holds the clock down: cpupower frequency-set -g performance");
  }
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  findings.advise("this is a debug or sanitizer build: cmake --preset release for speed");
#endif
}

void look_at_load(const harness::Machine& machine, Findings& findings) {
  const double load = harness::load_average();
  if (load < 0) return findings.row("load", "unknown");
  findings.row("load", fmt::format("{:.2f} over the last minute", load));
  if (load > 0.3 * machine.threads) {
    findings.advise(
        fmt::format("{:.1f} processes wanted a core in the last minute: stop them "
                    "before you measure",
                    load));
  }
}

/// GB/s of reading a buffer that no cache holds; the best of a few passes.
double read_gbytes(const harness::HostTensor& buffer, const harness::Team& team) {
  constexpr int kPasses = 5;
  const std::array buffers{harness::bytes_of(buffer.const_view())};
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    best = std::max(best, harness::read_bandwidth(buffers, team));
  }
  return best / kGiga;
}

/// Every product loop on one thread and on all; the known figure beside it.
void look_at_peaks(const harness::Machine& machine, const harness::Team& team, Progress& progress,
                   Findings& findings) {
  for (const harness::Peak peak : harness::available_peaks()) {
    progress.begin(harness::name_of(peak));
    const double one = harness::measure_peak(peak, {});
    harness::PeakMeter meter(peak, team);
    progress.step();
    progress.clear();
    std::string value = fmt::format("{:7.1f} GFLOP/s on one thread", one / kGiga);
    if (team.threads > 1) {
      value += fmt::format(", {:7.1f} on {}", meter.flops() / kGiga, team.threads);
    }
    const std::optional<double> cycle = harness::known_flops_per_cycle(machine, peak);
    if (cycle) {
      value += fmt::format("; known for {} a cycle: {:.2f} of it", *cycle,
                           one / (*cycle * meter.clock_hz()));
    }
    findings.row(harness::name_of(peak), value);
    if (!meter.remark().empty()) findings.advise(meter.remark());
    if (team.threads > 1 && meter.flops() < kShort * one * team.threads) {
      findings.advise(fmt::format(
          "{}: {} threads reach {:.2f} x one; threads that share a core, a CPU quota or other "
          "processes do that",
          harness::name_of(peak), team.threads, meter.flops() / one));
    }
  }
}

void look_at_memory(const KnownCore* known, const harness::Team& team, Findings& findings) {
  constexpr std::int64_t kFloats = std::int64_t{64} << 20;  // 256 MiB: beyond every cache
  if (harness::available_memory_bytes() < 4 * kFloats * size_of(DType::f32)) {
    return findings.row("memory reads", "not measured: less than 1 GiB is free");
  }
  harness::HostTensor buffer(DType::f32, {kFloats});
  buffer.fill_bytes(std::byte{1});  // pages that were never written would all be one
  const double one = read_gbytes(buffer, {});
  const double all = team.threads > 1 ? read_gbytes(buffer, team) : one;
  std::string value = fmt::format("{:.1f} GB/s on one thread", one);
  if (team.threads > 1) value += fmt::format(", {:.1f} on {}", all, team.threads);
  if (known != nullptr) {
    value += fmt::format("; known: {:.0f} on one, {:.0f} to {:.0f} on two", known->read_one,
                         known->read_two_least, known->read_two_most);
    if (one < 0.9 * known->read_one) {
      findings.advise(
          "memory reads are slower than on other machines with this core: look for neighbours on "
          "the host and for transparent huge pages");
    }
  }
  findings.row("memory reads", value);
}

/// The clock, rested and after a second of work on all threads.
void look_at_clock(const KnownCore* known, const harness::Team& team, Findings& findings) {
  const double rested = harness::core_clock_hz();
  const harness::Peak widest = harness::peak_for("", DType::f32);
  const double start = harness::wall_seconds();
  while (harness::wall_seconds() - start < 1.0) harness::measure_peak(widest, team);
  const double warm = harness::core_clock_hz();
  std::string value =
      fmt::format("{:.2f} GHz, {:.2f} after a second of work", rested / kGiga, warm / kGiga);
  if (known != nullptr) value += fmt::format("; known: {:.2f}", known->clock_ghz);
  findings.row("clock", value);
  if (warm < kShort * rested) {
    findings.advise(
        "the clock falls under load (throttling): improve cooling, or raise the power "
        "limit; figures hold for the lower clock");
  }
  if (known != nullptr && warm < 0.95 * known->clock_ghz * kGiga) {
    findings.advise(
        fmt::format("the clock is {:.0f} % of what this core ran at elsewhere: shares "
                    "of peak compare, times do not",
                    100 * warm / (known->clock_ghz * kGiga)));
  }
}

int doctor() {
  Findings findings;
  const harness::Machine machine = harness::read_machine();
  const KnownCore* const known = known_core(machine.core);
  Progress progress(static_cast<int>(harness::available_peaks().size()) + 2);
  look_at_system(machine, findings);
  look_at_load(machine, findings);

  ThreadPool pool;
  const harness::Team team = harness::team_of(pool);
  progress.begin("clock");
  look_at_clock(known, team, findings);
  progress.step();
  look_at_peaks(machine, team, progress, findings);
  progress.begin("memory reads");
  look_at_memory(known, team, findings);
  progress.step();
  progress.clear();
  if (known == nullptr) {
    findings.row("known figures", "none for this core; compare with docs/performance.md");
  }
  fmt::print("\n{}", list_kernels());
  findings.print_advice();
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("doctor", "what this machine can do, and what to change");
  command->footer(
      "Measures for a few seconds: run it on a quiet machine.\n\n"
      "Examples:\n"
      "  strobe doctor\n"
      "  taskset -c 0 strobe doctor");
  command->callback([&chosen] { chosen = doctor; });
}

}  // namespace strobe::tool
