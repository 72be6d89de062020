// No byte outside the tensors and the workspace is touched, and inputs are only read: every tensor
// lies against a page that nobody may touch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#if defined(__unix__)
#  include <array>
#  include <cstring>
#  include <limits>
#  include <map>
#  include <memory>
#  include <random>
#  include <string>
#  include <vector>

#  include "tests/support/run.hpp"
#  include "walled.hpp"

namespace strobe::test {
namespace {

/// A call whose tensors and workspace all lie between walls. The inputs' pages are read-only.
class WalledCall {
 public:
  WalledCall(const Problem& problem, Against against)
      : against_(against),
        in_(harness::random_tensors(problem, 5)),
        out_(harness::output_tensors(problem, in_)),
        tensors_(harness::forward_tensors(in_, out_)) {
    for (ConstTensorView* view : {&tensors_.q, &tensors_.k, &tensors_.v, &tensors_.cu_seqlens_q,
                                  &tensors_.cu_seqlens_k, &tensors_.seqlens_q, &tensors_.seqlens_k})
      view->data = move_in(view->data);
    tensors_.o.data = move_in(tensors_.o.data);
    tensors_.lse.data = move_in(tensors_.lse.data);
    for (const auto& [name, wall] : walls_)
      if (in_.contains(name)) wall->make_read_only();
  }

  const ForwardTensors& tensors() const { return tensors_; }
  Against against() const { return against_; }
  /// Lengths to be spoilt: of a test that writes what a caller might.
  std::int32_t* lengths(const std::string& name) {
    walls_.at(name) =
        std::make_unique<Walled>(static_cast<std::size_t>(in_.at(name).bytes()), against_);
    auto* const data = reinterpret_cast<std::int32_t*>(walls_.at(name)->data());
    std::memcpy(data, in_.at(name).data(), static_cast<std::size_t>(in_.at(name).bytes()));
    const std::map<std::string, ConstTensorView*> views = {{"cu_seqlens_q", &tensors_.cu_seqlens_q},
                                                           {"cu_seqlens_k", &tensors_.cu_seqlens_k},
                                                           {"seqlens_q", &tensors_.seqlens_q},
                                                           {"seqlens_k", &tensors_.seqlens_k}};
    views.at(name)->data = data;
    return data;
  }
  bool same_bits(const testing::Outcome& expected) const {
    return equal("o", expected.o()) && equal("lse", expected.lse());
  }

 private:
  bool equal(const std::string& name, const harness::HostTensor& want) const {
    return std::memcmp(walls_.at(name)->data(), want.data(),
                       static_cast<std::size_t>(want.bytes())) == 0;
  }
  /// A copy between walls of the tensor that begins at `data`.
  void* move_in(const void* data) {
    for (const harness::TensorMap* map : {&in_, &out_})
      for (const auto& [name, tensor] : *map) {
        if (tensor.data() != data || data == nullptr) continue;
        const auto bytes = static_cast<std::size_t>(tensor.bytes());
        auto wall = std::make_unique<Walled>(bytes, against_);
        std::memcpy(wall->data(), data, bytes);
        return (walls_[name] = std::move(wall))->data();
      }
    return nullptr;
  }

  Against against_;
  harness::TensorMap in_, out_;
  ForwardTensors tensors_;
  std::map<std::string, std::unique_ptr<Walled>> walls_;
};

void run_between_walls(const Plan& plan, const WalledCall& call) {
  const Walled workspace(plan.workspace_bytes(), call.against());
  plan.run(call.tensors(), {.workspace = {workspace.data(), plan.workspace_bytes()}});
}

class Bounds : public testing::OnBackend {};

TEST_P(Bounds, NothingOutsideTheTensorsIsTouched) {
  for (const char* text :
       {"h1 q1 k1 d1", "b2 h2 q5 k3 d3/5 causal", "h4/2 q70 k333 d40/24 causal window=100,3",
        "h1 q130 k129 d64 bf16", "b2 h3 q65 k200 d33 bf16 layout=bhsd", "h2 q9 k300 d80 bf16 o=f32",
        "b4 h2 q200 k150 d24 varlen causal", "b3 h1 q64 k128 d16/40 bf16 seqlens",
        "h1 q33 k513 d96 chunk=100 sink_tokens=2", "h1 q17 k31 d257/1"}) {
    const Problem problem = Problem::parse(text);
    const testing::Outcome expected = testing::run(text, backend(), 5);
    const Plan plan(problem, {.threads = 2, .backend = backend()});
    for (const Against against : {Against::page_before, Against::page_after}) {
      const WalledCall call(problem, against);
      run_between_walls(plan, call);
      EXPECT_TRUE(call.same_bits(expected)) << text;
    }
  }
}

/// Lengths as they might come from a hostile caller: refused or harmless.
TEST_P(Bounds, AnyLengthsAreRefusedOrHarmless) {
  constexpr std::array<std::int32_t, 12> kValues = {-1,
                                                    0,
                                                    1,
                                                    2,
                                                    7,
                                                    64,
                                                    65,
                                                    130,
                                                    4096,
                                                    std::numeric_limits<std::int32_t>::min(),
                                                    std::numeric_limits<std::int32_t>::max(),
                                                    1 << 30};
  std::mt19937 random(3);
  int ran = 0, refused = 0;
  for (const char* text : {"b3 h1 q65 k65 d16 varlen causal", "b3 h1 q65 k130 d16 seqlens"}) {
    const Problem problem = Problem::parse(text);
    const Plan plan(problem, {.backend = backend()});
    const bool packed = problem.storage == Storage::varlen;
    for (int round = 0; round < 300; ++round) {
      WalledCall call(problem, round % 2 == 0 ? Against::page_before : Against::page_after);
      const std::string name =
          std::string(packed ? "cu_seqlens_" : "seqlens_") + "qk"[random() % 2];
      std::int32_t* const lengths = call.lengths(name);
      lengths[random() % (packed ? 4 : 3)] = kValues[random() % kValues.size()];
      try {
        run_between_walls(plan, call);
        ++ran;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::invalid_argument) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(ran, 50);
  EXPECT_GT(refused, 50);
}

STROBE_ON_BACKENDS(Bounds);

}  // namespace
}  // namespace strobe::test
#endif
