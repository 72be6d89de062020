// Short functions for the option pages of decoding: caches, pages, rotary embedding; run against
// plain loops. The sequence of examples/plain_loops.hpp: kFirst keys are in the cache, and its
// queries are the tokens after them, so that token kFirst + row has query `row`.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <strobe/strobe.hpp>
#include <vector>

#include "plain_loops.hpp"

namespace {

using strobe::DecodeTensors;
using Numbers = std::vector<std::int32_t>;

constexpr std::int64_t kPages = 20, kPageSize = 5;

/// Memory for keys and values, [1, kKeys, kHeadsKv, kDim] or [kPages, kPageSize, kHeadsKv, kDim].
struct Cache {
  std::vector<float> k = std::vector<float>(kPages * kPageSize * kHeadsKv * kDim);
  std::vector<float> v = std::vector<float>(kPages * kPageSize * kHeadsKv * kDim);

  strobe::KvCache contiguous(const Numbers& lengths) {
    return {.k_cache = {k.data(), {1, kKeys, kHeadsKv, kDim}},
            .v_cache = {v.data(), {1, kKeys, kHeadsKv, kDim}},
            .cache_seqlens = {lengths.data(), {1}}};
  }
  strobe::TensorView k_pages() { return {k.data(), {kPages, kPageSize, kHeadsKv, kDim}}; }
  strobe::TensorView v_pages() { return {v.data(), {kPages, kPageSize, kHeadsKv, kDim}}; }
};

/// `count` tokens from `token` on, with queries, keys, values, o and lse of their own.
DecodeTensors tokens(Sequence& in, std::int64_t token, std::int64_t count) {
  const std::int64_t row = token - kFirst, q = row * kHeads * kDim, k = token * kHeadsKv * kDim;
  return {.q = {in.q.data() + q, {1, count, kHeads, kDim}},
          .k = {in.k.data() + k, {1, count, kHeadsKv, kDim}},
          .v = {in.v.data() + k, {1, count, kHeadsKv, kDim}},
          .o = {in.o.data() + q, {1, count, kHeads, kDim}},
          .lse = {in.lse.data() + row, {1, kHeads, count}, {kHeads * kQueries, kQueries, 1}}};
}

// Token by token: its key and value are appended, and its query sees all keys up to its own.
void contiguous(Sequence& in, Cache& cache, Numbers lengths) {
  for (std::int64_t token = lengths[0]; token < kKeys; ++token) {
    DecodeTensors step = tokens(in, token, 1);
    step.cache = cache.contiguous(lengths);
    strobe::decode(step, {.mask = {.causal = true}});
    ++lengths[0];  // the call does not advance them
  }
}

// The same in pages: the table grows by one whenever the last page is full.
bool paged(Sequence& in, Cache& cache, strobe::PagePool& pool, Numbers& table, Numbers lengths) {
  for (std::int64_t token = lengths[0]; token < kKeys; ++token) {
    if (!pool.grow(table, token + 1, kPageSize)) return false;  // none is free
    DecodeTensors step = tokens(in, token, 1);
    step.cache = {.k_cache = cache.k_pages(),
                  .v_cache = cache.v_pages(),
                  .page_table = {table.data(), {1, static_cast<std::int64_t>(table.size())}},
                  .cache_seqlens = {lengths.data(), {1}}};
    strobe::decode(step, {.mask = {.causal = true}});
    ++lengths[0];
  }
  return true;
}

// Another sequence goes on where this one is: full pages serve both, a page that either will write
// to is copied.
Numbers fork(Cache& cache, strobe::PagePool& pool, const Numbers& table, std::int64_t length) {
  const std::int64_t full = length / kPageSize;
  Numbers other(table.begin(), table.begin() + full);
  pool.fork(other);
  if (length % kPageSize == 0 || !pool.grow(other, length, kPageSize)) return other;
  const strobe::PageCopy last{.from = table[static_cast<std::size_t>(full)], .to = other.back()};
  strobe::copy_pages(cache.k_pages(), cache.v_pages(), {&last, 1});
  return other;
}

// A cache of one byte a number, with a scale for each token of a head: the append writes both.
struct Int8Cache {
  std::vector<std::int8_t> k = std::vector<std::int8_t>(kKeys * kHeadsKv * kDim);
  std::vector<std::int8_t> v = std::vector<std::int8_t>(kKeys * kHeadsKv * kDim);
  std::vector<float> k_scale = std::vector<float>(kKeys * kHeadsKv);
  std::vector<float> v_scale = std::vector<float>(kKeys * kHeadsKv);

  strobe::KvCache quantised(const Numbers& lengths) {
    return {.k_cache = {k.data(), {1, kKeys, kHeadsKv, kDim}},
            .v_cache = {v.data(), {1, kKeys, kHeadsKv, kDim}},
            .cache_seqlens = {lengths.data(), {1}},
            .k_scale = {k_scale.data(), {1, kKeys, kHeadsKv}},
            .v_scale = {v_scale.data(), {1, kKeys, kHeadsKv}}};
  }
};

// The first 8 dimensions of q and of new keys are turned at their positions; keys in the cache were
// when they came.
void rotary(Sequence& in, Cache& cache, const Numbers& lengths) {
  DecodeTensors step = tokens(in, lengths[0], kKeys - lengths[0]);
  step.cache = cache.contiguous(lengths);
  strobe::decode(step, {.mask = {.causal = true}, .rotary = {.dim = 8, .base = 500000.0}});
}

// A model that stretches positions brings tables: here Llama 3.1's, made once for all calls.
void stretched(Sequence& in, Cache& cache, const Numbers& lengths) {
  const strobe::Rotary rotary{.dim = 8, .base = 500000.0};
  std::vector<float> cos(kKeys * 4), sin(kKeys * 4);  // [positions, dim / 2]
  strobe::fill_rotary_tables(
      {.rotary = rotary, .scaling = strobe::RotaryScaling::llama3, .factor = 8}, kKeys, cos, sin);
  DecodeTensors step = tokens(in, lengths[0], kKeys - lengths[0]);
  step.cache = cache.contiguous(lengths);
  step.rotary_cos = {cos.data(), {kKeys, 4}};
  step.rotary_sin = {sin.data(), {kKeys, 4}};
  strobe::decode(step, {.mask = {.causal = true}, .rotary = rotary});
}

// --- what each of them must give -----------------------------------------------------------------

bool past(const Pair& at) { return at.key <= at.row + kFirst; }

/// Puts the first kFirst keys and values where a contiguous cache has them.
void fill(Cache& cache, const Sequence& in) {
  std::copy_n(in.k.begin(), kFirst * kHeadsKv * kDim, cache.k.begin());
  std::copy_n(in.v.begin(), kFirst * kHeadsKv * kDim, cache.v.begin());
}

/// Page i of the table holds what is at slots [i * kPageSize, ...) of a contiguous cache.
void fill_pages(Cache& cache, const Numbers& table, const Sequence& in) {
  constexpr std::int64_t kRow = kHeadsKv * kDim;
  for (std::int64_t slot = 0; slot < kFirst; ++slot) {
    const std::int64_t page = table[static_cast<std::size_t>(slot / kPageSize)];
    const std::int64_t to = (page * kPageSize + slot % kPageSize) * kRow;
    std::copy_n(in.k.begin() + slot * kRow, kRow, cache.k.begin() + to);
    std::copy_n(in.v.begin() + slot * kRow, kRow, cache.v.begin() + to);
  }
}

bool run_contiguous() {
  Sequence in;
  Cache cache;
  fill(cache, in);
  contiguous(in, cache, {kFirst});
  return right_mask("contiguous cache", in, past);
}

/// Two sequences with one beginning, the second of which has other tokens after it.
bool run_pages() {
  Sequence one, two;
  two.k = waves(kKeys * kHeadsKv * kDim, 7);
  std::copy_n(one.k.begin(), kFirst * kHeadsKv * kDim, two.k.begin());
  Cache cache;
  strobe::PagePool pool(kPages);
  Numbers table;
  pool.grow(table, kFirst, kPageSize);
  fill_pages(cache, table, one);
  Numbers other = fork(cache, pool, table, kFirst);
  const bool shares = other[0] == table[0] && other.back() != table.back();
  if (!paged(one, cache, pool, table, {kFirst}) || paged(two, cache, pool, other, {kFirst}))
    return false;  // 13 pages and 10 of its own are more than there are
  bool good = right_mask("pages", one, past) && shares;
  pool.release(table);
  good &= paged(two, cache, pool, other, {kFirst});
  return good & right_mask("forked pages", two, past);
}

/// Turns what rotary() turns: rows of q at position kFirst + row, new keys at their own.
Sequence turned(Sequence in, double (*step)(std::int64_t pair)) {
  const auto turn = [&](float* row, std::int64_t position) {
    for (std::int64_t pair = 0; pair < 4; ++pair) {
      const double angle = static_cast<double>(position) * step(pair);
      const double a = row[pair], b = row[pair + 4];
      row[pair] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
      row[pair + 4] = static_cast<float>(b * std::cos(angle) + a * std::sin(angle));
    }
  };
  for (std::int64_t i = 0; i < kQueries * kHeads; ++i)
    turn(in.q.data() + i * kDim, kFirst + i / kHeads);
  for (std::int64_t i = kFirst * kHeadsKv; i < kKeys * kHeadsKv; ++i)
    turn(in.k.data() + i * kDim, i / kHeadsKv);
  return in;
}

double plain_step(std::int64_t pair) {
  return std::pow(500000.0, -static_cast<double>(pair) / 4.0);
}

/// Wavelengths of pairs 0 to 3, in positions: 6, 167, 4443, 118143. Llama 3.1 keeps the first two,
/// divides the last by 8, and blends pair 2: of 8192 / 4443 turns, less 1, a third is plain.
double stretched_step(std::int64_t pair) {
  const double step = plain_step(pair);
  if (pair < 2) return step;
  if (pair == 3) return step / 8;
  const double plain = (8192 * step / (2 * std::acos(-1.0)) - 1) / 3;
  return plain * step + (1 - plain) * step / 8;
}

bool run_rotary() {
  bool good = true;
  for (const bool stretch : {false, true}) {
    Sequence in;
    Cache cache;
    fill(cache, in);
    (stretch ? stretched : rotary)(in, cache, {kFirst});
    Sequence want = turned(in, stretch ? stretched_step : plain_step);
    good &= right_mask(stretch ? "stretched rotary" : "rotary", want, past);
  }
  return good;
}

/// No kernel reads codes yet, so all that runs is the check.
bool run_quantised() {
  Sequence in;
  Int8Cache cache;
  const Numbers lengths{kFirst};
  DecodeTensors step = tokens(in, kFirst, 1);
  step.cache = cache.quantised(lengths);
  const strobe::Problem problem = strobe::Problem::of(step, {.mask = {.causal = true}});
  return problem.kv_dtype == strobe::DType::i8 && problem.kv_scales == strobe::KvScales::token;
}

}  // namespace

int main() {
  const bool contiguous_good = run_contiguous(), pages = run_pages(), rotary_good = run_rotary();
  return contiguous_good && pages && rotary_good && run_quantised() ? 0 : 1;
}
