// Decode over codes is decode over the numbers that they stand for.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "tests/reference/decode_case.hpp"

namespace strobe {
namespace {

using testing::DecodeCase;
using testing::DecodeSpec;

class QuantisedDecode : public ::testing::TestWithParam<std::tuple<DType, KvScales>> {
 protected:
  DecodeSpec spec() const {
    DecodeSpec spec{.dtype = DType::f32, .head_dim = 72, .head_dim_v = 34};
    std::tie(spec.kv_dtype, spec.kv_scales) = GetParam();
    return spec;
  }
};

/// The call over a cache of q's type that holds what `quantised` now reads; nothing is appended.
DecodeCase plain_twin(DecodeCase& quantised) {
  DecodeSpec spec = quantised.spec;
  spec.kv_dtype = DType::none;
  spec.kv_scales = KvScales::none;
  for (std::int64_t b = 0; b < quantised.batch; ++b)
    spec.before[static_cast<std::size_t>(b)] = static_cast<std::int32_t>(quantised.length(b));
  spec.seqlen_new = 0;
  spec.seqlens_new.clear();
  DecodeCase plain(spec);
  plain.q = quantised.q;
  for (std::int64_t b = 0; b < plain.batch; ++b)
    for (std::int64_t slot = 0; slot < plain.length(b); ++slot)
      for (std::int64_t h = 0; h < spec.num_heads_kv; ++h) {
        for (std::int64_t d = 0; d < spec.head_dim; ++d)
          plain.k_cache.set(plain.k_place(b, slot, h) + d, quantised.k_value(b, slot, h, d));
        for (std::int64_t d = 0; d < spec.head_dim_v; ++d)
          plain.v_cache.set(plain.v_place(b, slot, h) + d, quantised.v_value(b, slot, h, d));
      }
  return plain;
}

/// f32 holds code * scale as it is defined, so the results are equal to the bit: queries see their
/// own keys as stored, however the cache lies and whatever is turned.
TEST_P(QuantisedDecode, EqualsDecodeOverTheValuesOfItsCodes) {
  for (const std::int64_t page_size : {0, 3})
    for (const bool turned : {false, true}) {
      DecodeSpec asked = spec();
      asked.page_size = page_size;
      asked.indexed = page_size == 0;
      asked.seqlen_new = 3;
      asked.seqlens_new = {3, 2, 0};
      if (turned) asked.rotary = {.dim = 24};
      DecodeCase quantised(asked);
      quantised.run();
      DecodeCase plain = plain_twin(quantised);
      plain.run();
      EXPECT_EQ(quantised.o, plain.o) << "pages of " << page_size;
      EXPECT_EQ(quantised.lse, plain.lse) << "pages of " << page_size;
    }
}

/// What an append stores is what quantising a cache that was filled without codes would give.
TEST_P(QuantisedDecode, AppendQuantisesWhatAPlainCacheHolds) {
  DecodeSpec asked = spec();
  asked.before = {5, 0, 17};
  asked.seqlen_new = 3;
  asked.rotary = {.dim = 24};
  DecodeCase quantised(asked);
  quantised.run();
  asked.kv_dtype = DType::none;
  asked.kv_scales = KvScales::none;
  DecodeCase plain(asked);
  plain.run();
  const double largest = largest_code(std::get<0>(GetParam()));
  const bool halved = std::get<1>(GetParam()) == KvScales::head;  // head 1 saturates at 1
  for (std::int64_t b = 0; b < plain.batch; ++b)
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t d = 0; d < asked.head_dim_v; ++d) {
        const std::int64_t slot = plain.length(b) - 3 + i;
        const double want = plain.v_value(b, slot, 0, d), got = quantised.v_value(b, slot, 0, d);
        const double step = largest == 448 ? 32 : largest == 57344 ? 8192 : 1;
        EXPECT_NEAR(got, want, 2.0 * step / 2 / largest + 1e-6);
        EXPECT_LE(std::abs(quantised.v_value(b, slot, 1, d)), (halved ? 1.0 : 2.0) + 1e-6);
      }
}

/// Slots without a key may hold any code under any scale.
TEST_P(QuantisedDecode, UnusedSlotsAreNotRead) {
  DecodeSpec asked = spec();
  asked.seqlen_new = 1;
  asked.leftpad = {2, 0, 5};
  const DecodeCase with_nan = DecodeCase(asked).run();
  asked.unused = 3.0;
  const DecodeCase with_numbers = DecodeCase(asked).run();
  EXPECT_EQ(with_nan.o, with_numbers.o);
  for (std::int64_t i = 0; i < with_nan.o.count(); ++i) ASSERT_FALSE(std::isnan(with_nan.o.get(i)));
}

INSTANTIATE_TEST_SUITE_P(All, QuantisedDecode,
                         ::testing::Combine(::testing::Values(DType::e4m3, DType::e5m2, DType::i8,
                                                              DType::i4),
                                            ::testing::Values(KvScales::tensor, KvScales::head,
                                                              KvScales::token, KvScales::group)),
                         [](const auto& info) {
                           return std::string(name_of(std::get<0>(info.param))) +
                                  std::to_string(static_cast<int>(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace strobe
