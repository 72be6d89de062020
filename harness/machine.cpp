// What the system tells about the machine; whatever it does not tell stays empty.
// SPDX-License-Identifier: Apache-2.0
#include "harness/machine.hpp"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "strobe/plan.hpp"

namespace strobe::harness {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::int64_t> number_in(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return std::nullopt;
  std::int64_t value = 0;
  const char* const last = text.data() + text.size();
  if (std::from_chars(text.data() + begin, last, value).ec != std::errc{}) return std::nullopt;
  return value;
}

/// The text after "key:" (or "key ") in the first line that begins with it; empty if none does.
std::string field(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(" \t:", key.size());
    if (begin == key.size()) continue;  // a longer key that begins the same
    return begin == std::string::npos ? std::string{} : line.substr(begin);
  }
  return {};
}

std::int64_t kibibytes(const fs::path& path, std::string_view key) {
  return number_in(field(path, key)).value_or(0) * 1024;
}

/// "32K", "1024K", "32M"
std::int64_t cache_bytes(const std::string& text) {
  const std::int64_t value = number_in(text).value_or(0);
  if (text.ends_with('K')) return value << 10;
  if (text.ends_with('M')) return value << 20;
  return value;
}

/// Processors in a list such as "0-3,8".
int processors_in(const std::string& list) {
  int count = 0;
  std::stringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::int64_t first = number_in(part).value_or(0);
    const std::size_t dash = part.find('-');
    const std::int64_t last =
        dash == std::string::npos ? first : number_in(part.substr(dash + 1)).value_or(first);
    count += static_cast<int>(last - first + 1);
  }
  return count;
}

std::vector<Cache> read_caches() {
  std::vector<Cache> caches;
  const fs::path folder = "/sys/devices/system/cpu/cpu0/cache";
  for (int index = 0; index < 16; ++index) {
    const fs::path entry = folder / ("index" + std::to_string(index));
    std::error_code ignored;
    if (!fs::exists(entry, ignored)) break;
    caches.push_back({.level = static_cast<int>(number_in(first_line(entry / "level")).value_or(0)),
                      .type = first_line(entry / "type"),
                      .bytes = cache_bytes(first_line(entry / "size")),
                      .shared_by = processors_in(first_line(entry / "shared_cpu_list"))});
  }
  return caches;
}

/// The word in brackets of "always [madvise] never".
std::string chosen_word(const std::string& text) {
  const std::size_t begin = text.find('[');
  const std::size_t end = text.find(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
  return text.substr(begin + 1, end - begin - 1);
}

/// What the control groups above this process leave of their limits: the least of all levels.
std::int64_t control_group_memory() {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  const std::string path = field("/proc/self/cgroup", "0:");  // version 2: "0::/a/b"
  const fs::path root = "/sys/fs/cgroup";
  fs::path level = path.empty() ? fs::path("/") : fs::path(path);
  while (true) {
    const fs::path folder = root / level.relative_path();
    const std::optional<std::int64_t> limit = number_in(first_line(folder / "memory.max"));
    if (limit) {
      const std::int64_t used = number_in(first_line(folder / "memory.current")).value_or(0);
      const std::int64_t reclaimable =
          number_in(field(folder / "memory.stat", "inactive_file")).value_or(0);
      least = std::min(least, std::max<std::int64_t>(0, *limit - used + reclaimable));
    }
    if (!level.has_relative_path()) return least;
    level = level.parent_path();
  }
}

#if defined(__x86_64__)

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names{"sse2"};
  const auto add = [&](const char* name, bool has) {
    if (has) names.emplace_back(name);
  };
  add("avx2", __builtin_cpu_supports("avx2"));
  add("fma", __builtin_cpu_supports("fma"));
  add("avx512f", __builtin_cpu_supports("avx512f"));
  add("avx512bw", __builtin_cpu_supports("avx512bw"));
  add("avx512dq", __builtin_cpu_supports("avx512dq"));
  add("avx512vl", __builtin_cpu_supports("avx512vl"));
  add("avx512vnni", __builtin_cpu_supports("avx512vnni"));
  add("avx512bf16", __builtin_cpu_supports("avx512bf16"));
  return names;
}

/// /proc/cpuinfo speaks of this architecture; under an emulator it may be the host's.
void read_processor(Machine& machine) {
  machine.vendor = field("/proc/cpuinfo", "vendor_id");
  machine.model_name = field("/proc/cpuinfo", "model name");
  machine.family = static_cast<int>(number_in(field("/proc/cpuinfo", "cpu family")).value_or(0));
  machine.model = static_cast<int>(number_in(field("/proc/cpuinfo", "model\t")).value_or(0));
  const std::string flags = field("/proc/cpuinfo", "flags");
  machine.virtual_machine = flags.find(" hypervisor") != std::string::npos;
}

#else

std::vector<std::string> instruction_sets() { return {}; }
void read_processor(Machine&) {}

#endif

struct CoreRange {
  int family;
  int first_model;
  int last_model;
  const char* name;
};

/// AMD's families and models as the Linux kernel tells them apart (arch/x86/kernel/cpu/amd.c).
constexpr CoreRange kAmdCores[] = {
    {23, 0x00, 0x2f, "AMD Zen 1"}, {23, 0x50, 0x5f, "AMD Zen 1"}, {23, 0x30, 0x4f, "AMD Zen 2"},
    {23, 0x60, 0x7f, "AMD Zen 2"}, {23, 0x90, 0x91, "AMD Zen 2"}, {23, 0xa0, 0xaf, "AMD Zen 2"},
    {25, 0x00, 0x0f, "AMD Zen 3"}, {25, 0x20, 0x5f, "AMD Zen 3"}, {25, 0x10, 0x1f, "AMD Zen 4"},
    {25, 0x60, 0xaf, "AMD Zen 4"}, {26, 0x00, 0x2f, "AMD Zen 5"}, {26, 0x40, 0x4f, "AMD Zen 5"},
    {26, 0x60, 0x7f, "AMD Zen 5"},
};

/// What the limit on addresses leaves; the largest int64 where there is none.
std::int64_t addresses_left() {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur >= static_cast<rlim_t>(kMost))
    return kMost;
  const std::int64_t taken = kibibytes("/proc/self/status", "VmSize");
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(limit.rlim_cur) - taken);
}

}  // namespace

std::string core_name(const std::string& vendor, int family, int model) {
  if (vendor == "AuthenticAMD") {
    for (const CoreRange& range : kAmdCores) {
      if (family == range.family && model >= range.first_model && model <= range.last_model)
        return range.name;
    }
  }
  return "unknown core";
}

Machine read_machine() {
  Machine machine;
  utsname system{};
  if (uname(&system) == 0) machine.architecture = system.machine;
  read_processor(machine);
  machine.core = core_name(machine.vendor, machine.family, machine.model);
  machine.instruction_sets = instruction_sets();
  machine.threads = available_threads();
  machine.threads_per_core = std::max(
      1, processors_in(first_line("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")));
  machine.caches = read_caches();
  machine.page_bytes = sysconf(_SC_PAGESIZE);
  machine.transparent_huge_pages =
      chosen_word(first_line("/sys/kernel/mm/transparent_hugepage/enabled"));
  machine.memory_bytes = kibibytes("/proc/meminfo", "MemTotal");
  return machine;
}

std::string to_string(const Machine& machine) {
  std::string text = machine.core;
  if (!machine.vendor.empty()) {
    text += " (" + machine.vendor + " family " + std::to_string(machine.family) + " model " +
            std::to_string(machine.model) + ")";
  }
  if (machine.vendor.empty()) text += " (" + machine.architecture + ")";
  text += ", " + std::to_string(machine.threads) + (machine.threads == 1 ? " thread" : " threads");
  if (!machine.instruction_sets.empty()) text += ", " + machine.instruction_sets.back();
  return text;
}

double load_average() {
  std::ifstream file("/proc/loadavg");
  double load = -1.0;
  return file >> load ? load : -1.0;
}

std::int64_t available_memory_bytes() {
  const std::int64_t available = kibibytes("/proc/meminfo", "MemAvailable");
  const std::int64_t group = control_group_memory();
  return std::min({available > 0 ? available : group, group, addresses_left()});
}

std::int64_t rss_bytes() { return kibibytes("/proc/self/status", "VmRSS"); }
std::int64_t peak_rss_bytes() { return kibibytes("/proc/self/status", "VmHWM"); }

bool reset_peak_rss() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5\n";
  return static_cast<bool>(file.flush());
}

}  // namespace strobe::harness
