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
  // One sequence meets itself where a page comes twice in the rows of its table that it appends to.
  const bool pages_meet = p.page_size > 0 && (p.batch > 1 || p.seqlen_new > p.page_size);
  const bool entries_meet = p.cache_batch_idx && p.batch > 1;
  return pages_meet || entries_meet ? p.batch * p.seqlen_new : 0;
}

cpu::DecodeCut choose_cut(const Problem& problem, const cpu::DecodeKernel& kernel, int threads,
                          int splits) {
  constexpr std::size_t kRoom = std::size_t{1} << 19;  // rows of a task stay in L2
  const cpu::DecodeSizes sizes = decode_sizes(problem);
  const std::int64_t leaves = cpu::count_leaves(sizes.seqlen_k);
  cpu::DecodeCut cut{1, sizes.num_heads_kv};
  if (splits > 0) cut.leaves = std::max<std::int64_t>(1, (leaves + splits - 1) / splits);
  const auto bytes = [&] { return kernel.scratch_bytes(sizes.shape(cut)); };
  const std::int64_t enough = threads > 1 ? 4 * std::int64_t{threads} : 1;
  while (cut.kv_heads > 1 && (cpu::count_tasks(sizes, cut) < enough || bytes() > kRoom))
    cut.kv_heads = (cut.kv_heads + 1) / 2;
  // Sequences whose tables say so share a pass over their pages; their rows stay in L2 too.
  if (problem.page_size > 0)
    cut.sequences = std::clamp<std::int64_t>(problem.batch, 1, cpu::kMostMembers);
  while (cut.sequences > 1 && bytes() > 2 * kRoom) cut.sequences /= 2;
  return cut;
}

}  // namespace strobe::plan
