// How long a sequence and how large a batch fit in memory: arithmetic, nothing is allocated.
// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string_view>

#include "messages.hpp"
#include "strobe/error.hpp"
#include "strobe/plan.hpp"
#include "strobe/tensor.hpp"

namespace strobe::tool {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMostSize = std::int64_t{1} << 48;  // of a length or batch that is tried

std::int64_t product(std::initializer_list<std::int64_t> factors) {
  std::int64_t result = 1;
  bool overflow = false;
  for (const std::int64_t factor : factors) {
    if (factor == 0) return 0;
    overflow = overflow || __builtin_mul_overflow(result, factor, &result);
  }
  return overflow ? kMost : result;
}

std::int64_t sum(std::initializer_list<std::int64_t> parts) {
  std::int64_t result = 0;
  for (const std::int64_t part : parts) {
    if (__builtin_add_overflow(result, part, &result)) return kMost;
  }
  return result;
}

/// Bytes of a tensor [batch, heads, queries, keys] with values of its own along these axes.
std::int64_t pair_bytes(const Problem& p, const PairAxes& axes, DType dtype) {
  if (!axes.given) return 0;
  return product({axes.batch ? p.batch : 1, axes.heads ? p.num_heads : 1,
                  axes.queries ? p.seqlen_q : 1, axes.keys ? p.seqlen_k : 1, size_of(dtype)});
}

/// What masks and scores take from memory.
std::int64_t pair_bytes(const Problem& p) {
  const auto blocks = [](std::int64_t length, std::int64_t block) {
    return block > 0 ? length / block + 1 : 0;
  };
  const std::int64_t intervals = p.intervals == Intervals::none ? 0 : 2 * size_of(DType::i32);
  return sum({pair_bytes(p, p.bias, p.bias_dtype), pair_bytes(p, p.allowed, DType::boolean),
              product({p.batch, p.num_heads, p.seqlen_q, intervals}),
              product({p.batch, p.num_heads, blocks(p.seqlen_q, p.mask.block_q),
                       blocks(p.seqlen_k, p.mask.block_k)})});
}

double unit_of(std::string_view unit) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr double kKibi = 1024;
  constexpr Unit kUnits[] = {{"", 1},
                             {"B", 1},
                             {"kB", 1e3},
                             {"KB", 1e3},
                             {"MB", 1e6},
                             {"GB", 1e9},
                             {"TB", 1e12},
                             {"KiB", kKibi},
                             {"MiB", kKibi * kKibi},
                             {"GiB", kKibi * kKibi * kKibi},
                             {"TiB", kKibi * kKibi * kKibi * kKibi}};
  for (const Unit& known : kUnits) {
    if (known.name == unit) return known.bytes;
  }
  return 0;
}

/// The largest size in [0, kMostSize] at which problem_of(size) fits; fitting must be monotone.
template <class ProblemOf>
std::int64_t largest_size(const ProblemOf& problem_of, std::int64_t memory,
                          const ExtraBytes& extra) {
  std::int64_t fits = 0;
  std::int64_t too_large = kMostSize + 1;
  while (too_large - fits > 1) {
    const std::int64_t middle = fits + (too_large - fits) / 2;
    const Problem problem = problem_of(middle);
    std::int64_t bytes = tensor_bytes(problem);
    if (bytes <= memory) bytes = sum({bytes, extra(problem)});
    (bytes <= memory ? fits : too_large) = middle;
  }
  return fits;
}

Problem with_length(Problem problem, std::int64_t length) {
  if (problem.seqlen_q == problem.seqlen_k) problem.seqlen_q = length;
  problem.seqlen_k = length;
  return problem;
}

Problem with_batch(Problem problem, std::int64_t batch) {
  problem.batch = batch;
  return problem;
}

}  // namespace

std::int64_t parse_bytes(const std::string& text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const double bytes = number * unit_of(unit);
  constexpr double kTooLarge = 9.2e18;
  if (error != std::errc{} || !(bytes >= 1) || bytes > kTooLarge) {
    fail("memory-size",
         fmt::format("--memory {}: not a size; give bytes or a number with KiB, MiB, GiB, "
                     "TiB, kB, MB, GB or TB, such as 16GiB",
                     text));
  }
  return static_cast<std::int64_t>(bytes);
}

ExtraBytes plan_bytes(const Where& where) {
  const PlanOptions options = where.plan_options();
  return [options](const Problem& problem) -> std::int64_t {
    if (options.backend == "reference") return 0;
    try {
      return static_cast<std::int64_t>(Plan(problem, options).workspace_bytes());
    } catch (const Error& error) {
      if (error.code() == Code::device) throw;
      return kMost;
    }
  };
}

std::int64_t key_bytes(const Problem& p) {
  const std::int64_t keys = product({p.batch, p.seqlen_k, p.num_heads_kv, size_of(p.dtype)});
  return sum({product({keys, p.head_dim}), product({keys, p.head_dim_v})});
}

std::int64_t tensor_bytes(const Problem& p) {
  Problem added = p;
  added.seqlen_k = p.seqlen_new;
  return sum({pair_bytes(p), key_bytes(p), key_bytes(added),
              product({p.batch, p.seqlen_q, p.num_heads, p.head_dim, size_of(p.dtype)}),
              product({p.batch, p.seqlen_q, p.num_heads, p.head_dim_v, size_of(p.o_dtype)}),
              product({p.batch, p.num_heads, p.seqlen_q, size_of(lse_dtype_of(p.dtype))})});
}

Problem longest(const Problem& problem, std::int64_t memory, const ExtraBytes& extra) {
  const auto problem_of = [&](std::int64_t length) { return with_length(problem, length); };
  return problem_of(largest_size(problem_of, memory, extra));
}

Problem largest_batch(const Problem& problem, std::int64_t memory, const ExtraBytes& extra) {
  const auto problem_of = [&](std::int64_t batch) { return with_batch(problem, batch); };
  return problem_of(largest_size(problem_of, memory, extra));
}

}  // namespace strobe::tool
