// Lays rows of k and v into a cache: where each goes, then the copies.
// SPDX-License-Identifier: Apache-2.0
#include "harness/random_cache.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/messages.hpp"
#include "harness/draws.hpp"
#include "harness/quantise_cache.hpp"
#include "harness/random_tensors.hpp"

namespace strobe::harness {
namespace {

constexpr std::int64_t kSparePages = 3;
constexpr std::int64_t kSpareEntries = 2;
constexpr std::int64_t kMostLeftpad = 40;

/// What a page table may hold where no length reaches.
constexpr std::int32_t kNoPage[] = {-1, std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::min()};

/// One sequence: its slots, and which of them are padding, old keys, new keys.
struct Filled {
  std::int64_t length = 0;   ///< new keys included
  std::int64_t added = 0;    ///< the last ones
  std::int64_t leftpad = 0;  ///< the first ones

  std::int64_t before() const { return length - added; }
};

std::vector<Filled> draw_filled(const Problem& p, std::uint64_t seed, const TensorMap& forward) {
  const auto lengths = forward.find("seqlens_k");
  const bool differ = lengths != forward.end();
  const std::uint64_t new_stream = named_stream(seed, "seqlens_new");
  const std::uint64_t leftpad_stream = named_stream(seed, "leftpad_k");
  std::vector<Filled> filled(static_cast<std::size_t>(p.batch));
  std::int64_t b = 0;
  for (Filled& f : filled) {
    f.length = differ ? lengths->second.as<std::int32_t>()[b] : p.seqlen_k;
    f.added = differ && b > 0 ? draw_to(new_stream, b, p.seqlen_new) : p.seqlen_new;
    f.added = std::min(f.added, f.length);
    if (p.leftpad_k) f.leftpad = draw_to(leftpad_stream, b, std::min(kMostLeftpad, f.before()));
    ++b;
  }
  return filled;
}

HostTensor counts(const std::vector<Filled>& filled, std::int64_t (*count)(const Filled&)) {
  HostTensor tensor(DType::i32, {static_cast<std::int64_t>(filled.size())});
  std::transform(filled.begin(), filled.end(), tensor.as<std::int32_t>(),
                 [count](const Filled& f) { return static_cast<std::int32_t>(count(f)); });
  return tensor;
}

/// 0 to n - 1 without order (Fisher, Yates).
std::vector<std::int32_t> permutation(std::int64_t n, std::uint64_t stream) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(draw_to(stream, i, i))]);
  return order;
}

std::int64_t pages_for(std::int64_t slots, std::int64_t page_size) {
  return slots / page_size + (slots % page_size != 0 ? 1 : 0);
}

/// Every sequence has pages of its own, and some are nobody's. Returns how many there are.
std::int64_t add_page_table(const Problem& p, std::uint64_t seed, const std::vector<Filled>& filled,
                            TensorMap& in) {
  std::int64_t pages = kSparePages;
  for (const Filled& f : filled) pages += pages_for(f.length, p.page_size);
  if (pages > std::numeric_limits<std::int32_t>::max())
    throw api::error("random-length",
                     fmt::format("strobe::in_cache: {} pages are more than entries of type i32 can "
                                 "name; take larger pages, fewer or shorter sequences",
                                 pages));
  const std::vector<std::int32_t> order = permutation(pages, named_stream(seed, "page_table"));
  const std::int64_t width = pages_for(p.seqlen_k, p.page_size) + 1;
  HostTensor table(DType::i32, {p.batch, width});
  auto next_page = order.begin();
  for (std::int64_t b = 0; b < p.batch; ++b)
    for (std::int64_t i = 0; i < width; ++i) {
      const bool used = i * p.page_size < filled[static_cast<std::size_t>(b)].length;
      table.as<std::int32_t>()[b * width + i] = used ? *next_page++ : kNoPage[(b + i) % 3];
    }
  in.emplace("page_table", std::move(table));
  return pages;
}

void add_batch_idx(const Problem& p, std::uint64_t seed, TensorMap& in) {
  const std::vector<std::int32_t> order =
      permutation(p.batch + kSpareEntries, named_stream(seed, "cache_batch_idx"));
  HostTensor index(DType::i32, {p.batch});
  std::copy_n(order.begin(), p.batch, index.as<std::int32_t>());
  in.emplace("cache_batch_idx", std::move(index));
}

/// The first two axes of a tensor [.., .., heads, dim].
struct Place {
  std::int64_t outer = 0;
  std::int64_t row = 0;
};

/// Where slot `slot` of sequence `b` lies in k_cache and v_cache.
Place place_of(const Problem& p, const TensorMap& in, std::int64_t b, std::int64_t slot) {
  if (p.page_size > 0) {
    const HostTensor& table = in.at("page_table");
    return {table.as<std::int32_t>()[b * table.shape()[1] + slot / p.page_size],
            slot % p.page_size};
  }
  if (p.cache_batch_idx) return {in.at("cache_batch_idx").as<std::int32_t>()[b], slot};
  return {b, slot};
}

void copy_row(const HostTensor& from, const Place& at, HostTensor& to, const Place& place) {
  const std::int64_t size = size_of(from.dtype());
  const auto bytes = static_cast<std::size_t>(from.shape()[3] * size);
  const auto first = [](const HostTensor& tensor, const Place& where) {
    return where.outer * tensor.strides()[0] + where.row * tensor.strides()[1];
  };
  for (std::int64_t head = 0; head < from.shape()[2]; ++head)
    std::memcpy(to.data() + (first(to, place) + head * to.strides()[2]) * size,
                from.data() + (first(from, at) + head * from.strides()[2]) * size, bytes);
}

/// [outer, rows, heads, dim] like `like`, of NaN.
HostTensor nan_tensor(const HostTensor& like, std::int64_t outer, std::int64_t rows,
                      Layout layout) {
  const Shape shape{outer, rows, like.shape()[2], like.shape()[3]};
  HostTensor tensor(like.dtype(), shape, layout_strides(shape, layout));
  tensor.fill_bytes(std::byte{0xff});
  return tensor;
}

/// How much there is beside the slots of a sequence.
struct CacheSize {
  std::int64_t outer = 0;  ///< pages or entries
  std::int64_t rows = 0;   ///< slots of each
};

/// Moves `name`, k or v: old keys into the cache, new ones into a tensor of that name.
void distribute(const Problem& p, const std::vector<Filled>& filled, const CacheSize& size,
                const char* name, TensorMap& in) {
  const HostTensor from = std::move(in.extract(name).mapped());
  HostTensor cache = nan_tensor(from, size.outer, size.rows, p.layout);
  HostTensor added = nan_tensor(from, p.batch, p.seqlen_new, p.layout);
  for (std::int64_t b = 0; b < p.batch; ++b) {
    const Filled& f = filled[static_cast<std::size_t>(b)];
    for (std::int64_t slot = f.leftpad; slot < f.before(); ++slot)
      copy_row(from, {b, slot}, cache, place_of(p, in, b, slot));
    for (std::int64_t i = 0; i < f.added; ++i) copy_row(from, {b, f.before() + i}, added, {b, i});
  }
  in.emplace(std::string(name) + "_cache", std::move(cache));
  if (p.seqlen_new > 0) in.emplace(name, std::move(added));
}

}  // namespace

Problem without_cache(Problem problem) {
  problem.page_size = problem.seqlen_new = 0;
  problem.rotary = {};
  problem.cache_batch_idx = problem.leftpad_k = false;
  problem.kv_dtype = DType::none;
  problem.kv_scales = KvScales::none;
  return problem;
}

TensorMap in_cache(const Problem& problem, std::uint64_t seed, TensorMap forward) {
  TensorMap in = std::move(forward);
  const bool differ = in.contains("seqlens_k");
  const std::vector<Filled> filled = draw_filled(problem, seed, in);
  in.erase("seqlens_k");
  CacheSize size{problem.batch, problem.seqlen_k};
  if (problem.page_size > 0) {
    size = {add_page_table(problem, seed, filled, in), problem.page_size};
  } else if (problem.cache_batch_idx) {
    size.outer += kSpareEntries;
    add_batch_idx(problem, seed, in);
  }
  distribute(problem, filled, size, "k", in);
  distribute(problem, filled, size, "v", in);
  if (problem.kv_dtype != DType::none)
    for (const char* name : {"k", "v"}) quantise_cache(problem, name, in);
  in.emplace("cache_seqlens", counts(filled, [](const Filled& f) { return f.before(); }));
  if (differ && problem.seqlen_new > 0)
    in.emplace("seqlens_new", counts(filled, [](const Filled& f) { return f.added; }));
  if (problem.leftpad_k)
    in.emplace("leftpad_k", counts(filled, [](const Filled& f) { return f.leftpad; }));
  return in;
}

TensorMap drawn_decode_tensors(const Problem& problem, const Draw& draw) {
  return in_cache(problem, draw.seed, drawn_tensors(without_cache(problem), draw));
}

}  // namespace strobe::harness
