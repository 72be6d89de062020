// The machine that figures were measured on: core, caches, pages, load, memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strobe::harness {

struct Cache {
  int level = 0;
  std::string type{};  ///< "Data", "Instruction", "Unified"
  std::int64_t bytes = 0;
  int shared_by = 0;  ///< logical processors that share one; 0 where the system does not say
};

struct Machine {
  std::string architecture{};  ///< "x86_64", "aarch64"
  std::string vendor{};        ///< "AuthenticAMD"; empty where unknown
  std::string model_name{};    ///< as the system prints it
  int family = 0;              ///< x86: with the extended family; 0 elsewhere
  int model = 0;
  std::string core{};  ///< "AMD Zen 4", "AMD Zen 5"; "unknown core" where the table has none
  std::vector<std::string> instruction_sets{};  ///< of those that kernels use: "avx2", "avx512bf16"
  int threads = 0;                              ///< logical processors that this process may use
  int threads_per_core = 1;
  std::vector<Cache> caches{};  ///< of the first processor
  std::int64_t page_bytes = 0;
  std::string transparent_huge_pages{};  ///< "always", "madvise", "never"; empty where unknown
  std::int64_t memory_bytes = 0;
  bool virtual_machine = false;
};

/// Reads all that does not change while the process runs.
Machine read_machine();

/// The core's name from CPUID's vendor, family and model: "AMD Zen 4" for family 25 model 17.
std::string core_name(const std::string& vendor, int family, int model);

/// One line: "AMD Zen 4 (AuthenticAMD family 25 model 17), 2 threads, avx512bf16".
std::string to_string(const Machine& machine);

/// Processes that wanted a core, averaged over the last minute; negative where unknown.
double load_average();

/// Bytes that could be allocated now without swapping: what the system says is available, less
/// where a control group or the limit on addresses (ulimit -v) allows less. The largest int64 where
/// unknown.
std::int64_t available_memory_bytes();

/// Bytes of physical memory that the process holds now, and held at its largest since it began or
/// since reset_peak_rss(). 0 where unknown.
std::int64_t rss_bytes();
std::int64_t peak_rss_bytes();

/// Lets peak_rss_bytes() begin again at what is held now. False where the system refuses.
bool reset_peak_rss();

}  // namespace strobe::harness
