// Batch invariance over random histories: however a prompt comes, its rows are those of one call.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "harness/random_cache.hpp"
#include "tests/support/random_problem.hpp"
#include "tests/support/run.hpp"

namespace strobe {
namespace {

using harness::HostTensor;
using harness::TensorMap;
using testing::Draw;
using testing::Outcome;

constexpr std::int64_t kLongest = 2600;  // keys: three leaves
constexpr std::size_t kMostPrompts = 8;
constexpr int kSteps = 12;

/// Every type over every kind of cache: 24 seeds have them all.
void choose_types(std::uint64_t seed, Problem& p) {
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::f64};
  constexpr std::pair<DType, KvScales> kCaches[] = {
      {DType::none, KvScales::none},  {DType::i8, KvScales::token},   {DType::i4, KvScales::token},
      {DType::e4m3, KvScales::token}, {DType::e5m2, KvScales::group}, {DType::i8, KvScales::head}};
  p.dtype = kTypes[seed % std::size(kTypes)];
  std::tie(p.kv_dtype, p.kv_scales) = kCaches[seed / std::size(kTypes) % std::size(kCaches)];
}

/// A model whose rows see no key behind their own, so that what comes later cannot matter.
Problem draw_model(std::uint64_t seed, Draw& draw) {
  Problem p;
  p.storage = Storage::seqlens;
  choose_types(seed, p);
  p.num_heads_kv = draw.in(1, 3);
  p.num_heads = p.num_heads_kv * draw.in(1, draw.one_in(4) ? 9 : 3);
  p.head_dim = 2 * draw.in(1, draw.one_in(4) ? 66 : 34);
  p.head_dim_v = draw.one_in(2) ? p.head_dim : 2 * draw.in(1, 34);
  p.o_dtype = draw.one_in(3) ? DType::f32 : p.dtype;
  p.page_size = draw.in(1, draw.one_in(2) ? 20 : 300);
  p.mask.causal = true;
  if (draw.one_in(4)) p.mask.left = draw.in(0, 1500);
  if (draw.one_in(6)) p.mask.sink_tokens = draw.in(1, 40);
  if (draw.one_in(6)) p.mask.chunk = draw.in(1, 700);
  if (draw.one_in(4)) p.score.softcap = 3;
  p.alibi = draw.one_in(6);
  p.sink_logits = draw.one_in(6);
  if (draw.one_in(3)) p.rotary = {2 * draw.in(1, p.head_dim / 2), draw.one_in(2)};
  return p;
}

/// Bytes 0xff: NaN as a number and as a scale, so that what is read unwritten shows.
HostTensor unwritten(DType dtype, const Shape& shape) {
  HostTensor tensor(dtype, shape);
  tensor.fill_bytes(std::byte{0xff});
  return tensor;
}

HostTensor made_scales(const Problem& p, const Shape& cache) {
  if (p.kv_scales == KvScales::head) {
    HostTensor scales(DType::f32, {p.num_heads_kv});
    for (std::int64_t h = 0; h < p.num_heads_kv; ++h)
      scales.set({h}, 0.02 + 0.01 * static_cast<double>(h));
    return scales;
  }
  if (p.kv_scales == KvScales::token) return unwritten(DType::f32, {cache[0], cache[1], cache[2]});
  const std::int64_t groups = (cache[3] + kScaleGroup - 1) / kScaleGroup;
  return unwritten(DType::f32, {cache[0], cache[1], cache[2], groups});
}

/// A cache of `outer` entries or pages.
void add_cache(const Problem& p, std::int64_t outer, std::int64_t slots, TensorMap& in) {
  const DType dtype = p.kv_dtype == DType::none ? p.dtype : p.kv_dtype;
  for (const auto& [name, dim] : {std::pair{"k", p.head_dim}, {"v", p.head_dim_v}}) {
    const Shape shape{outer, slots, p.num_heads_kv, dim};
    in.emplace(std::string(name) + "_cache", unwritten(dtype, shape));
    if (p.kv_dtype != DType::none) in.emplace(std::string(name) + "_scale", made_scales(p, shape));
  }
}

/// Rows of entry `b` of a tensor [batch, seqlen, heads, dim].
struct Rows {
  std::int64_t b = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

std::int64_t row_bytes(const HostTensor& tensor) {
  return tensor.shape()[2] * tensor.shape()[3] * size_of(tensor.dtype());
}

template <class Tensor>
auto row_at(Tensor& tensor, const Rows& rows) {
  return tensor.data() + (rows.b * tensor.shape()[1] + rows.first) * row_bytes(tensor);
}

/// rows.count rows of entry 0 from `first` on.
void copy_rows(const HostTensor& from, std::int64_t first, HostTensor& to, const Rows& rows) {
  if (rows.count == 0) return;
  std::memcpy(row_at(to, rows), row_at(from, Rows{0, first, rows.count}),
              static_cast<std::size_t>(rows.count * row_bytes(from)));
}

/// A sequence: all of its rows, what they must give, and how far it has come.
struct Prompt {
  TensorMap rows{};  ///< q, k, v [1, length, ...]
  Outcome whole{};
  std::int64_t length = 0;
  std::int64_t done = 0;  ///< keys in the cache
  std::vector<std::int32_t> table{};
  bool released = false;
};

/// What a call does for a sequence: `added` keys, and its last `rows` rows behind them.
struct Piece {
  std::size_t prompt = 0;
  std::int64_t added = 0;
  std::int64_t rows = 0;
};

class History {
 public:
  History(std::string backend, std::uint64_t seed)
      : backend_(std::move(backend)),
        draw_(seed ^ 0x68697374),
        model_(draw_model(seed, draw_)),
        pool_(pages()) {
    add_cache(model_, pool_.pages(), model_.page_size, memory_);
  }

  const Problem& model() const { return model_; }

  /// Calls, forks and releases, each drawn. Fails fatally at the first row that differs.
  void run() {
    const bool tree = draw_.one_in(2);  // a long beginning that most have in common
    start(tree ? draw_.in(2100, kLongest) : random_length());
    for (int step = 0; step < kSteps && !::testing::Test::HasFatalFailure(); ++step) {
      if (prompts_.size() < kMostPrompts && draw_.one_in(tree ? 8 : 3)) start(random_length());
      if (prompts_.size() < kMostPrompts && draw_.one_in(tree ? 1 : 3)) fork();
      const bool beginning = tree && step == 0;
      call(beginning ? std::vector<Piece>{{0, draw_.in(1030, 2090), 1}} : random_pieces());
      release_some();
    }
  }

 private:
  std::int32_t pages() const {
    const auto prompts = static_cast<std::int64_t>(kMostPrompts);
    return static_cast<std::int32_t>(prompts * (kLongest / model_.page_size + 2));
  }

  std::int64_t random_length() { return draw_.in(1, draw_.one_in(3) ? 1500 : 400); }

  /// The rows of a prompt, the first `same` keys those of another.
  void start(std::int64_t length, const Prompt* other = nullptr, std::int64_t same = 0) {
    using harness::Values;
    Problem all = sized(1, length);
    all.storage = Storage::dense;
    const auto values =
        static_cast<Values>(draw_.one_in(2) ? 0
                                            : draw_.in(static_cast<int>(Values::peaked),
                                                       static_cast<int>(Values::outliers)));
    const auto seed = static_cast<std::uint64_t>(draw_.in(0, 1 << 20));
    Prompt prompt{.length = length, .done = same};
    TensorMap drawn = harness::drawn_tensors(harness::without_cache(all), {seed, values});
    for (const char* name : {"q", "k", "v"}) {
      if (other != nullptr && same > 0)
        copy_rows(other->rows.at(name), 0, drawn.at(name), {0, 0, same});
      prompt.rows.emplace(name, std::move(drawn.at(name)));
    }
    for (const char* name : {"alibi_slopes", "sink_logits"})
      if (drawn.contains(name)) memory_.try_emplace(name, std::move(drawn.at(name)));
    prompt.whole = in_one_call(all, prompt);
    prompts_.push_back(std::move(prompt));
  }

  Problem sized(std::int64_t batch, std::int64_t length) const {
    Problem p = model_;
    p.batch = batch;
    p.seqlen_q = p.seqlen_k = p.seqlen_new = length;
    return p;
  }

  /// All of a prompt appended to an empty cache of its own, which has no pages.
  Outcome in_one_call(Problem p, const Prompt& prompt) {
    p.page_size = 0;
    TensorMap in;
    add_cache(p, 1, p.seqlen_k, in);
    for (const auto& [name, rows] : prompt.rows) in.emplace(name, rows.clone());
    for (const char* name : {"alibi_slopes", "sink_logits"})
      if (memory_.contains(name)) in.emplace(name, memory_.at(name).clone());
    in.emplace("cache_seqlens", HostTensor(DType::i32, {1}));
    return testing::decode(p, in, {.threads = 2, .backend = backend_, .op = Op::decode});
  }

  /// A new sequence that begins as one that has keys: full pages are shared, and the page that both
  /// would write to is copied.
  void fork() {
    const auto at =
        static_cast<std::size_t>(draw_.in(0, static_cast<std::int64_t>(prompts_.size()) - 1));
    const Prompt& from = prompts_[at];
    if (from.released || from.done == 0) return;
    const std::int64_t same = draw_.one_in(2) ? from.done : draw_.in(1, from.done);
    const std::int64_t full = same / model_.page_size;
    std::vector<std::int32_t> table(from.table.begin(), from.table.begin() + full);
    pool_.fork(table);
    ASSERT_TRUE(pool_.grow(table, same, model_.page_size));
    if (same % model_.page_size != 0)
      copy_page({from.table[static_cast<std::size_t>(full)], table.back()});
    const std::int64_t length = std::min(kLongest, same + draw_.in(1, 300));
    start(length, &prompts_[at], same);
    prompts_.back().table = std::move(table);
  }

  void copy_page(const PageCopy& copy) {
    copy_pages(memory_.at("k_cache").view(), memory_.at("v_cache").view(), {&copy, 1});
    if (model_.kv_scales != KvScales::token && model_.kv_scales != KvScales::group) return;
    const auto pages_of = [this](const char* name) {
      HostTensor& scales = memory_.at(name);
      const Shape& n = scales.shape();
      return TensorView(scales.as<float>(), {n[0], n[1], n[2], n.rank() == 4 ? n[3] : 1});
    };
    copy_pages(pages_of("k_scale"), pages_of("v_scale"), {&copy, 1});
  }

  /// Some sequences, in any order, and what comes of each.
  std::vector<Piece> random_pieces() {
    constexpr std::int64_t kMost[] = {2, 16, 600};
    const std::int64_t most = kMost[draw_.in(0, 2)];
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < prompts_.size(); ++i) {
      const Prompt& prompt = prompts_[i];
      if (prompt.released || draw_.one_in(3)) continue;
      const std::int64_t left = std::min(most, prompt.length - prompt.done);
      Piece piece{i, left == 0 || draw_.one_in(8) ? 0 : draw_.in(1, left), 0};
      piece.rows = piece.added;
      // Rows whose keys were there before, or not all rows of the new keys.
      if (piece.added == 0 || draw_.one_in(8))
        piece.rows = draw_.in(0, std::min(most, prompt.done + piece.added));
      pieces.insert(pieces.begin() + draw_.in(0, static_cast<std::int64_t>(pieces.size())), piece);
    }
    return pieces;
  }

  void release_some() {
    for (Prompt& prompt : prompts_) {
      if (prompt.released || prompt.done < prompt.length || draw_.one_in(2)) continue;
      pool_.release(prompt.table);
      prompt.released = true;
    }
  }

  /// The sizes of a call. Plans are made for as much, or for more.
  Problem call_problem(const std::vector<Piece>& pieces) const {
    Problem p = sized(static_cast<std::int64_t>(pieces.size()), 0);
    for (const Piece& piece : pieces) {
      p.seqlen_q = std::max(p.seqlen_q, piece.rows);
      p.seqlen_new = std::max(p.seqlen_new, piece.added);
      p.seqlen_k = std::max(p.seqlen_k, prompts_[piece.prompt].done + piece.added);
    }
    return p;
  }

  /// q, k, v and lengths of the call, into memory_. Rows that no sequence has are NaN.
  void lay_out(const std::vector<Piece>& pieces, const Problem& p) {
    for (const char* name : {"q", "k", "v"}) {
      const bool query = *name == 'q';
      const Shape& n = prompts_[0].rows.at(name).shape();
      memory_.erase(name);
      if (!query && p.seqlen_new == 0) continue;
      HostTensor rows =
          unwritten(p.dtype, {p.batch, query ? p.seqlen_q : p.seqlen_new, n[2], n[3]});
      for (std::int64_t b = 0; b < p.batch; ++b) {
        const Piece& piece = pieces[static_cast<std::size_t>(b)];
        const Prompt& prompt = prompts_[piece.prompt];
        const std::int64_t count = query ? piece.rows : piece.added;
        copy_rows(prompt.rows.at(name), prompt.done + piece.added - count, rows, {b, 0, count});
      }
      memory_.emplace(name, std::move(rows));
    }
    set_lengths("cache_seqlens", pieces, [&](const Piece& i) { return prompts_[i.prompt].done; });
    set_lengths("seqlens_q", pieces, [](const Piece& i) { return i.rows; });
    set_lengths("seqlens_new", pieces, [](const Piece& i) { return i.added; });
    if (p.seqlen_new == 0) memory_.erase("seqlens_new");
  }

  template <class Of>
  void set_lengths(const char* name, const std::vector<Piece>& pieces, Of&& of) {
    HostTensor lengths(DType::i32, {static_cast<std::int64_t>(pieces.size())});
    for (std::size_t b = 0; b < pieces.size(); ++b)
      lengths.as<std::int32_t>()[b] = static_cast<std::int32_t>(of(pieces[b]));
    memory_.insert_or_assign(name, std::move(lengths));
  }

  /// Grows the tables; entries that no length reaches are no pages.
  void lay_out_pages(const std::vector<Piece>& pieces, const Problem& p) {
    const std::int64_t columns = p.seqlen_k / p.page_size + 2;
    HostTensor tables(DType::i32, {p.batch, columns});
    std::fill_n(tables.as<std::int32_t>(), p.batch * columns,
                draw_.one_in(2) ? -1 : std::numeric_limits<std::int32_t>::max());
    for (std::int64_t b = 0; b < p.batch; ++b) {
      const Piece& piece = pieces[static_cast<std::size_t>(b)];
      Prompt& prompt = prompts_[piece.prompt];
      ASSERT_TRUE(pool_.grow(prompt.table, prompt.done + piece.added, p.page_size));
      std::ranges::copy(prompt.table, tables.as<std::int32_t>() + b * columns);
    }
    memory_.insert_or_assign("page_table", std::move(tables));
  }

  void call(const std::vector<Piece>& pieces) {
    const Problem problem = call_problem(pieces);
    if (problem.seqlen_q == 0 || problem.batch == 0) return;
    lay_out(pieces, problem);
    lay_out_pages(pieces, problem);
    Outcome got{harness::output_tensors(problem, memory_)};
    Problem planned = problem;
    if (draw_.one_in(3)) planned.seqlen_q += draw_.in(0, 30);
    if (draw_.one_in(3)) planned.seqlen_k += draw_.in(0, 3000);
    const PlanOptions options{.threads = static_cast<int>(draw_.in(1, draw_.one_in(4) ? 9 : 3)),
                              .backend = backend_,
                              .op = Op::decode,
                              .splits = draw_.one_in(2) ? 0 : static_cast<int>(draw_.in(1, 6))};
    harness::run_decode(planned, harness::decode_tensors(memory_, got.out), options);
    for (std::size_t b = 0; b < pieces.size(); ++b) {
      prompts_[pieces[b].prompt].done += pieces[b].added;
      expect_rows_of_whole(pieces[b], got, static_cast<std::int64_t>(b));
    }
  }

  void expect_rows_of_whole(const Piece& piece, const Outcome& got, std::int64_t b) const {
    const Prompt& prompt = prompts_[piece.prompt];
    const std::int64_t first = prompt.done - piece.rows;
    for (std::int64_t row = 0; row < piece.rows; ++row) {
      ASSERT_EQ(
          std::memcmp(row_at(got.o(), {b, row, 1}), row_at(prompt.whole.o(), {0, first + row, 1}),
                      static_cast<std::size_t>(row_bytes(got.o()))),
          0)
          << "o of row " << first + row << " of sequence " << piece.prompt;
      for (std::int64_t h = 0; h < model_.num_heads; ++h)
        ASSERT_TRUE(
            testing::same_value(got.lse_at(b, h, row), prompt.whole.lse_at(0, h, first + row)))
            << "lse of row " << first + row << ", head " << h << " of sequence " << piece.prompt;
    }
  }

  std::string backend_;
  Draw draw_;
  Problem model_;
  PagePool pool_;
  TensorMap memory_{};  ///< of the calls: the cache, and what the latest took
  std::vector<Prompt> prompts_{};
};

class RandomHistories : public testing::OnBackend {};

TEST_P(RandomHistories, GiveTheRowsOfOneCall) {
  testing::Seeds seeds(24);
  while (const auto seed = seeds.next()) {
    History history(backend(), *seed);
    SCOPED_TRACE(history.model().to_string() + "\nreproduce: STROBE_SOAK_SECONDS=1 " +
                 "STROBE_SOAK_SEED=" + std::to_string(*seed) + " strobe_properties_tests " +
                 "--gtest_filter=*RandomHistories*" + testing::test_name(backend()));
    history.run();
    if (HasFatalFailure()) return;
  }
}

STROBE_ON_BACKENDS(RandomHistories);

}  // namespace
}  // namespace strobe
