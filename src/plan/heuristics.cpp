// The choice of tile counts, with the measurements behind it.
// SPDX-License-Identifier: Apache-2.0
#include "plan/heuristics.hpp"

#include <algorithm>

namespace strobe::plan {

std::int64_t count_tasks(const Problem& problem, const cpu::ForwardKernel& kernel, int tiles) {
  const std::int64_t rows = std::int64_t{tiles} * kernel.tile_q;
  return problem.batch * problem.num_heads * ((problem.seqlen_q + rows - 1) / rows);
}

namespace {

constexpr std::size_t kTaskRoom = std::size_t{1} << 19;  // rows of a decode task stay in L2

/// The more tiles, the more rarely a key block is copied or read from afar; but o and q of all
/// tiles should stay in L2 (1 MB) where they can. Measured on Zen 4, bench/notes.md: at d=64 16
/// tiles of 64 rows beat 8 by .5 to 1 %, from 160 to 256 dims 8 beat 4 by 2 %; on Zen 3 with AVX2 4
/// tiles of 24 rows lose 10 % against 16, and 32 are as good.
int largest_tiles(const Problem& problem, const cpu::ForwardKernel& kernel) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const auto bytes = [&](int tiles) {
    return kernel.scratch_bytes(problem.head_dim, problem.head_dim_v, tiles);
  };
  int tiles = cpu::kMaxTiles;
  while (tiles > 16 && tiles * kernel.tile_q > cpu::kMaxTaskRows) tiles /= 2;
  while (tiles >= 16 && bytes(tiles) > 5 * kMiB / 4) tiles /= 2;
  return tiles == 8 && bytes(tiles) > 5 * kMiB / 2 ? 4 : tiles;
}

}  // namespace

int choose_tiles(const Problem& problem, const cpu::ForwardKernel& kernel, int threads) {
  int tiles = largest_tiles(problem, kernel);
  while (tiles > 1 && std::int64_t{tiles / 2} * kernel.tile_q >= problem.seqlen_q) tiles /= 2;
  if (threads == 1) return tiles;
  // Four tasks a thread keep the end even. A last tile alone costs more than an uneven end.
  while (tiles > 2 && count_tasks(problem, kernel, tiles) < 4 * std::int64_t{threads}) tiles /= 2;
  if (tiles == 2 && count_tasks(problem, kernel, tiles) < std::int64_t{threads}) tiles = 1;
  return tiles;
}

cpu::DecodeSizes decode_sizes(const Problem& p) {
  cpu::DecodeSizes sizes;
  sizes.batch = p.batch;
  sizes.num_heads_kv = p.num_heads_kv;
  sizes.rows = p.seqlen_q * (p.num_heads / p.num_heads_kv);
  sizes.seqlen_k = p.seqlen_k;
  sizes.head_dim = p.head_dim;
  sizes.head_dim_v = p.head_dim_v;
  sizes.coded = p.kv_dtype != DType::none;
  return sizes;
}

std::int64_t append_slots(const Problem& p) {
  // One sequence meets itself where a page comes twice in its row of the table.
  const bool may_meet = p.page_size > 0 || (p.cache_batch_idx && p.batch > 1);
  return may_meet ? p.batch * p.seqlen_new : 0;
}

std::int64_t count_shared_tasks(const Problem& problem, const cpu::DecodeCut& cut) {
  cpu::DecodeSizes sizes = decode_sizes(problem);
  sizes.batch = cpu::ceil_div(sizes.batch, cut.sequences);
  return cpu::count_tasks(sizes, cut);
}

namespace {

/// Sequences whose tables say so share a pass over their pages. Their rows stay in L2 too, and
/// tasks that all share are still enough for every thread: with fewer heads, as each page is then
/// read once all the same, and only then with fewer sequences.
void choose_sequences(const Problem& problem, const cpu::DecodeKernel& kernel, int threads,
                      cpu::DecodeCut& cut) {
  if (problem.page_size == 0) return;
  cut.sequences = std::clamp<std::int64_t>(problem.batch, 1, cpu::kMostMembers);
  const cpu::DecodeSizes sizes = decode_sizes(problem);
  while (cut.sequences > 1 && kernel.scratch_bytes(sizes.shape(cut)) > 2 * kTaskRoom)
    cut.sequences /= 2;
  const auto idle = [&] { return count_shared_tasks(problem, cut) < threads; };
  while (cut.sequences > 1 && cut.kv_heads > 1 && idle()) cut.kv_heads = (cut.kv_heads + 1) / 2;
  if (cut.sequences == 1 || !idle()) return;
  while (cut.sequences > 1 && idle()) --cut.sequences;
  // Even ones: 4 and 4 of 8 sequences end before 7 and 1.
  cut.sequences = cpu::ceil_div(problem.batch, cpu::ceil_div(problem.batch, cut.sequences));
}

}  // namespace

cpu::DecodeCut choose_cut(const Problem& problem, const cpu::DecodeKernel& kernel, int threads,
                          int splits) {
  const cpu::DecodeSizes sizes = decode_sizes(problem);
  const std::int64_t leaves = cpu::count_leaves(sizes.seqlen_k);
  cpu::DecodeCut cut{1, sizes.num_heads_kv};
  if (splits > 0) cut.leaves = std::max<std::int64_t>(1, cpu::ceil_div(leaves, splits));
  const auto bytes = [&] { return kernel.scratch_bytes(sizes.shape(cut)); };
  const std::int64_t enough = threads > 1 ? 4 * std::int64_t{threads} : 1;
  while (cut.kv_heads > 1 && (cpu::count_tasks(sizes, cut) < enough || bytes() > kTaskRoom))
    cut.kv_heads = (cut.kv_heads + 1) / 2;
  choose_sequences(problem, kernel, threads, cut);
  return cut;
}

}  // namespace strobe::plan
