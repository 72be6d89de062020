// Forward over the same tensors again and again; decode over one cache after the other.
// SPDX-License-Identifier: Apache-2.0
#include "bench_job.hpp"

#include <algorithm>

#include "api/validate.hpp"
#include "harness/busy.hpp"
#include "harness/peaks.hpp"
#include "harness/random_cache.hpp"
#include "harness/random_tensors.hpp"
#include "harness/tensor_map.hpp"
#include "plan/heuristics.hpp"
#include "plan/registry.hpp"

namespace strobe::tool {
namespace {

class ForwardBench : public BenchJob {
 public:
  ForwardBench(const Problem& problem, const harness::Draw& draw, const Where& where)
      : BenchJob(problem, where),
        problem_(problem),
        in_(harness::drawn_tensors(problem, draw)),
        out_(harness::output_tensors(problem, in_)),
        tensors_(harness::forward_tensors(in_, out_)) {}

  void run() override { own_runner().run(tensors_); }
  Buffers buffers() override {
    return {harness::bytes_of(tensors_.q), harness::bytes_of(tensors_.k),
            harness::bytes_of(tensors_.v), harness::bytes_of(tensors_.o),
            harness::bytes_of(tensors_.lse)};
  }
  ForwardParams params() const override { return api::forward_params(tensors_, problem_); }
  int threads_with_work() const override {
    const int threads = runner().threads();
    for (const plan::KernelRow& row : plan::kernels()) {
      if (row.name() != runner().kernel()) continue;
      const int tiles = plan::choose_tiles(problem_, *row.forward, threads);
      const std::int64_t tasks = plan::count_tasks(problem_, *row.forward, tiles);
      return static_cast<int>(std::clamp<std::int64_t>(tasks, 1, threads));
    }
    return threads;  // the reference: one thread
  }

 private:
  Problem problem_;
  harness::TensorMap in_;
  harness::TensorMap out_;
  ForwardTensors tensors_;
};

struct Cache {
  harness::HostTensor k{};
  harness::HostTensor v{};
};

class DecodeBench : public BenchJob {
 public:
  DecodeBench(const Problem& problem, const harness::Draw& draw, const Where& where, bool hot)
      : BenchJob(problem, where),
        problem_(problem),
        splits_(where.splits),
        in_(harness::drawn_decode_tensors(problem, draw)),
        out_(harness::output_tensors(problem, in_)),
        tensors_(harness::decode_tensors(in_, out_)),
        meter_(runner().team()) {
    own_runner().run_on(meter_.parallel());
    const std::int64_t count = hot ? 1 : cold_caches(cache_bytes());
    for (std::int64_t i = 1; i < count; ++i)
      copies_.push_back({in_.at("k_cache").clone(), in_.at("v_cache").clone()});
  }

  void run() override {
    const DecodeTensors tensors = next_call();
    meter_.run([&] { own_runner().run(tensors); });
  }
  Buffers buffers() override;
  ForwardParams params() const override { return api::decode_params(tensors_, problem_).attention; }
  double more_bytes() const override {
    const DecodeParams p = api::decode_params(tensors_, problem_);
    double keys = 0;
    for (std::int64_t b = 0; b < problem_.batch; ++b) keys += static_cast<double>(p.new_keys(b));
    return keys * static_cast<double>(problem_.num_heads_kv * size_of(problem_.dtype)) *
           static_cast<double>(problem_.head_dim + problem_.head_dim_v);
  }
  int threads_with_work() const override;
  std::vector<double> busy() const override { return meter_.shares(); }
  std::int64_t caches() const override { return static_cast<std::int64_t>(copies_.size()) + 1; }

 private:
  std::int64_t cache_bytes() const { return in_.at("k_cache").bytes() + in_.at("v_cache").bytes(); }
  /// The call over the next cache in rotation.
  DecodeTensors next_call() {
    DecodeTensors tensors = tensors_;
    const std::size_t i = next_++ % (copies_.size() + 1);
    if (i > 0) {
      tensors.cache.k_cache = copies_[i - 1].k.view();
      tensors.cache.v_cache = copies_[i - 1].v.view();
    }
    return tensors;
  }

  Problem problem_;
  int splits_;
  harness::TensorMap in_;
  harness::TensorMap out_;
  DecodeTensors tensors_;
  harness::BusyMeter meter_;
  std::vector<Cache> copies_{};
  std::size_t next_ = 0;
};

/// Part `part` of `parts`, cut where lines of the machine's caches begin.
std::span<const std::byte> part_of(std::span<const std::byte> buffer, std::size_t part,
                                   std::size_t parts) {
  const auto border = [&](std::size_t i) {
    return i == parts ? buffer.size() : buffer.size() / parts * i / 64 * 64;
  };
  return buffer.subspan(border(part), border(part + 1) - border(part));
}

/// A pass too short to be timed says nothing, so caches are read until it is long enough; each
/// thread reads its own part of every one, as it is the same cache again where there is but one.
Buffers DecodeBench::buffers() {
  constexpr std::int64_t kPass = std::int64_t{64} << 20;
  const std::int64_t bytes = std::max<std::int64_t>(1, cache_bytes());
  const std::int64_t passes = std::clamp<std::int64_t>(kPass / bytes, 1, 4096);
  std::vector<DecodeTensors> calls;
  for (std::int64_t i = 0; i < passes; ++i) calls.push_back(next_call());
  const auto threads = static_cast<std::size_t>(runner().threads());
  Buffers buffers;
  for (std::size_t thread = 0; thread < threads; ++thread)
    for (const DecodeTensors& call : calls)
      for (const TensorView& tensor : {call.cache.k_cache, call.cache.v_cache})
        buffers.push_back(part_of(harness::bytes_of(tensor), thread, threads));
  return buffers;
}

/// Without a split the heads of the cache are the tasks.
int DecodeBench::threads_with_work() const {
  const int threads = runner().threads();
  if (splits_ != 1) return threads;
  return static_cast<int>(
      std::clamp<std::int64_t>(problem_.batch * problem_.num_heads_kv, 1, threads));
}

}  // namespace

std::int64_t cold_caches(std::int64_t cache_bytes) {
  constexpr std::int64_t kMost = 65536;
  if (cache_bytes > 4 * kColdBytes) return 1;
  return std::clamp<std::int64_t>(kColdBytes / std::max<std::int64_t>(1, cache_bytes) + 1, 2,
                                  kMost);
}

std::unique_ptr<BenchJob> make_bench_job(const Problem& problem, const harness::Draw& draw,
                                         const Where& where, bool hot) {
  if (where.op() == Op::decode) return std::make_unique<DecodeBench>(problem, draw, where, hot);
  return std::make_unique<ForwardBench>(problem, draw, where);
}

}  // namespace strobe::tool
