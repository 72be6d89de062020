// Tensors and options made of a fuzzer's bytes: mostly right, with a few things spoilt.
// SPDX-License-Identifier: Apache-2.0
#include "hostile_tensors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

// Sizes beyond all memory are to end in a null pointer, as without a sanitizer.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace strobe::fuzz {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

template <class T>
void put(Slot& slot, std::size_t index, T value) {
  std::memcpy(static_cast<std::byte*>(slot.data()) + index * sizeof(T), &value, sizeof(T));
}

/// What a view with these sizes and strides reaches from its first element on; negative strides
/// reach nothing here, as they are refused. -1: more than int64 counts.
std::int64_t reach(const Slot& slot) {
  __int128 last = 0;
  for (int axis = 0; axis < slot.shape.rank(); ++axis) {
    if (slot.shape[axis] <= 0) return 0;
    const __int128 steps = slot.shape[axis] - 1;
    last += steps * (slot.strides[axis] > 0 ? slot.strides[axis] : 0);
  }
  const __int128 bytes = (last + 1) * size_of(slot.dtype);
  return bytes > kMost ? -1 : static_cast<std::int64_t>(bytes);
}

// A stride may have been spoilt before and lie at the edge of its type.
std::int64_t wrapped_sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

/// A code of a few units or less, as are the other numbers of a call; of i4 two.
std::uint8_t small_code(DType dtype, std::int32_t draw) {
  return static_cast<std::uint8_t>(dtype == DType::i8 ? draw % 9 - 4 : (draw & 0x87) | 0x30);
}

}  // namespace

std::int64_t hostile_number(Bytes& bytes) {
  constexpr std::array<std::int64_t, 14> kNumbers = {-kMost - 1,
                                                     -1,
                                                     0,
                                                     1,
                                                     kMost,
                                                     kMost - 1,
                                                     kMost / 2,
                                                     std::int64_t{1} << 32,
                                                     std::int64_t{1} << 60,
                                                     std::int64_t{1} << 31,
                                                     1 << 16,
                                                     64,
                                                     2,
                                                     -64};
  if (bytes.one_in(3)) return bytes.take<std::int64_t>();
  if (bytes.one_in(2)) return bytes.in(-4, 130);
  return kNumbers[static_cast<std::size_t>(bytes.in(0, kNumbers.size() - 1))];
}

std::int64_t option_number(Bytes& bytes, std::int64_t off) {
  if (!bytes.one_in(3)) return off;
  return bytes.one_in(8) ? hostile_number(bytes) : bytes.in(0, 90);
}

double option_fraction(Bytes& bytes) {
  return bytes.one_in(10) ? bytes.take<double>() : static_cast<double>(bytes.in(1, 100)) / 16.0;
}

void HostileTensors::draw_dtype(Bytes& bytes) {
  constexpr std::array kTypes = {DType::f32, DType::f16, DType::bf16, DType::f64};
  dtype_ = kTypes[static_cast<std::size_t>(bytes.in(0, kTypes.size() - 1))];
}

void HostileTensors::draw_options(Bytes& bytes) {
  Mask& mask = options_.mask;
  mask.causal = bytes.one_in(2);
  mask.left = option_number(bytes, -1);
  mask.right = option_number(bytes, -1);
  mask.align = static_cast<Align>(bytes.one_in(50) ? bytes.in(-3, 7) : bytes.in(0, 1));
  mask.chunk = option_number(bytes, 0);
  mask.prefix = option_number(bytes, 0);
  mask.sink_tokens = option_number(bytes, 0);
  if (bytes.one_in(4)) {
    mask.block_q = option_number(bytes, 16);
    mask.block_k = option_number(bytes, 24);
  }
  if (bytes.one_in(4)) options_.score.scale = option_fraction(bytes) / 8.0;
  if (bytes.one_in(4)) options_.score.softcap = option_fraction(bytes) * 4.0;
  if (bytes.one_in(5))
    options_.dropout = {option_fraction(bytes) / 8.0, bytes.take<std::uint64_t>(),
                        bytes.take<std::uint32_t>()};
  options_.determinism = static_cast<Determinism>(bytes.one_in(50) ? 9 : bytes.in(0, 1));
  if (bytes.one_in(6)) options_.max_seqlen_q = hostile_number(bytes);
  if (bytes.one_in(6)) options_.max_seqlen_k = hostile_number(bytes);
}

void HostileTensors::add(const char* name, DType dtype, const Shape& shape, bool given) {
  Slot slot;
  slot.name = name;
  slot.dtype = dtype;
  slot.shape = shape;
  slot.strides = shape.contiguous_strides();
  slot.given = given;
  slots_.push_back(std::move(slot));
}

void HostileTensors::add_pair_tensors(Bytes& bytes) {
  const auto axis = [&bytes](std::int64_t size) { return bytes.one_in(2) ? size : 1; };
  const auto blocks = [](std::int64_t size, std::int64_t block) {
    return block > 0 && block < 1000 ? (size + block - 1) / block : 1;
  };
  const auto rows = [&] { return Shape{axis(batch_), axis(heads_), rows_}; };
  const auto pairs = [&] { return Shape{axis(batch_), axis(heads_), axis(rows_), axis(keys_)}; };
  add("key_begin", DType::i32, rows(), bytes.one_in(5));
  add("key_end", DType::i32, rows(), bytes.one_in(5));
  add("allowed", DType::boolean, pairs(), bytes.one_in(4));
  add("blocks", DType::boolean,
      {axis(batch_), axis(heads_), blocks(rows_, options_.mask.block_q),
       blocks(keys_, options_.mask.block_k)},
      options_.mask.block_q != 0);
  add("bias", bytes.one_in(2) ? dtype_ : DType::f32, pairs(), bytes.one_in(4));
  add("alibi_slopes", lse_dtype_of(dtype_), bytes.one_in(2) ? Shape{batch_, heads_} : Shape{heads_},
      bytes.one_in(4));
  add("sink_logits", bytes.one_in(2) ? lse_dtype_of(dtype_) : DType::f32, {heads_},
      bytes.one_in(4));
}

void HostileTensors::spoil_and_fill(Bytes& bytes) {
  for (std::int64_t spoilt = bytes.in(0, 5); spoilt > 2; --spoilt) spoil(bytes);
  for (Slot& slot : slots_) {
    if (!slot.given) continue;
    allocate(slot);
    if (!slot.null) fill(slot, bytes);
  }
}

void HostileTensors::spoil(Bytes& bytes) {
  Slot& slot =
      slots_[static_cast<std::size_t>(bytes.in(0, static_cast<std::int64_t>(slots_.size()) - 1))];
  const auto axis = static_cast<int>(bytes.in(0, Shape::kMaxRank - 1));
  switch (bytes.in(0, 9)) {
    case 0: slot.given = !slot.given; break;
    case 1: slot.shape[axis] = hostile_number(bytes); break;
    case 2: slot.strides[axis] = hostile_number(bytes); break;
    case 3: slot.dtype = static_cast<DType>(bytes.in(-1, 9)); break;
    case 4: slot.null = true; break;
    case 5: slot.shift = static_cast<std::size_t>(bytes.in(0, 8)); break;
    case 6: slot.strides = {}; break;
    case 7: slot.shape = slot.strides = {1, 1, 1, 1, 1}; break;
    // Strides that leave gaps, which are legal.
    case 8: slot.strides[axis] = wrapped_sum(slot.strides[axis], bytes.in(0, 70)); break;
    default:
      for (int i = 0; i < slot.shape.rank() - 1; ++i) {
        if (bytes.in(0, 1) == 1) slot.strides[i] = wrapped_sum(slot.strides[i], slot.strides[i]);
      }
      break;
  }
}

void HostileTensors::allocate(Slot& slot) {
  const std::int64_t claimed =
      slot.shape.rank() <= Shape::kMaxRank && slot.strides.rank() == slot.shape.rank() ? reach(slot)
                                                                                       : 0;
  slot.more_claimed = claimed < 0 || static_cast<std::size_t>(claimed) > kMostBytes;
  slot.bytes = slot.more_claimed ? 0 : static_cast<std::size_t>(claimed);
  slot.memory = std::make_unique<std::byte[]>(slot.bytes + slot.shift);
}

void HostileTensors::fill(Slot& slot, Bytes& bytes) {
  const std::int64_t size = size_of(slot.dtype);
  const std::size_t count = size > 0 ? slot.bytes / static_cast<std::size_t>(size) : 0;
  if (slot.use == Use::output) {
    std::fill_n(static_cast<std::byte*>(slot.data()), slot.bytes, std::byte{0xa5});
    return;
  }
  if (slot.dtype == DType::i32) return fill_numbers(slot, bytes);
  std::uint64_t state = bytes.take<std::uint16_t>();
  const std::string_view name = slot.name;
  // Slopes keep scores within a few units, where errors are those that the tolerance knows.
  const bool masks = name == "bias", slopes = name == "alibi_slopes";
  const bool scales = name.ends_with("_scale");
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto draw = static_cast<std::int32_t>(state >> 48);
    float value = static_cast<float>(draw % 400 - 200) / 100.0f;
    if (masks && draw % 7 == 0) value = -std::numeric_limits<float>::infinity();
    if (slopes) value /= 64.0f;
    if (scales) value /= 4.0f;
    if (slot.dtype == DType::f32) put(slot, i, value);
    if (is_code(slot.dtype)) put(slot, i, small_code(slot.dtype, draw));
    if (slot.dtype == DType::f16) put(slot, i, float16(value));
    if (slot.dtype == DType::bf16) put(slot, i, bfloat16(value));
    if (slot.dtype == DType::f64) put(slot, i, static_cast<double>(value));
    if (slot.dtype == DType::boolean) put(slot, i, draw % 3 != 0);
    if (slot.dtype == DType::u64) put(slot, i, static_cast<std::uint64_t>(draw));
  }
}

void HostileTensors::fill_numbers(Slot& slot, Bytes& bytes) {
  const std::size_t count = slot.bytes / sizeof(std::int32_t);
  const bool of_rows = std::string_view(slot.name).starts_with("key_");
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t number = of_rows ? bytes.in(-9, keys_ + 9) : number_of(slot, i, bytes);
    put(slot, i, static_cast<std::int32_t>(number));
  }
  if (count > 0 && bytes.one_in(6))
    put(slot, static_cast<std::size_t>(bytes.take<std::uint8_t>()) % count,
        bytes.take<std::int32_t>());
}

std::int32_t HostileTensors::number_in(const Slot& slot, std::size_t index) {
  std::int32_t number = 0;
  const std::size_t first = index * sizeof number;
  if (!slot.given || slot.null || first + sizeof number > slot.bytes) return 0;
  std::memcpy(&number, static_cast<const std::byte*>(slot.data()) + first, sizeof number);
  return number;
}

const Slot& HostileTensors::slot(const char* name) const {
  return *std::find_if(slots_.begin(), slots_.end(), [&](const Slot& candidate) {
    return std::string_view(candidate.name) == name;
  });
}

ConstTensorView HostileTensors::in(const char* name) const {
  const Slot& s = slot(name);
  return s.given ? ConstTensorView(s.data(), s.dtype, s.shape, s.strides) : ConstTensorView{};
}

TensorView HostileTensors::out(const char* name) const {
  const Slot& s = slot(name);
  return s.given ? TensorView(s.data(), s.dtype, s.shape, s.strides) : TensorView{};
}

bool HostileTensors::checkable() const {
  constexpr std::string_view kRead[] = {"dropout_state", "page_table", "cache_batch_idx",
                                        "leftpad_k"};
  return std::ranges::none_of(slots_, [&](const Slot& s) {
    const std::string_view name = s.name;
    const bool read = name.find("seqlens") != std::string_view::npos ||
                      std::ranges::find(kRead, name) != std::end(kRead);
    return s.given && s.more_claimed && read;
  });
}

bool HostileTensors::runnable() const {
  return std::ranges::none_of(slots_, [](const Slot& s) { return s.given && s.more_claimed; });
}

std::vector<std::byte> HostileTensors::memory(Use use) const {
  std::vector<std::byte> bytes;
  for (const Slot& slot : slots_)
    if (slot.given && slot.use == use && !slot.null)
      bytes.insert(bytes.end(), slot.memory.get(), slot.memory.get() + slot.shift + slot.bytes);
  return bytes;
}

bool HostileTensors::comparable() const {
  const double scale = std::abs(options_.score.scale.value_or(0.0));
  const double softcap = options_.score.softcap;
  return scale <= 1.0 && (softcap == 0.0 || (softcap >= 0.25 && softcap <= 100.0));
}

}  // namespace strobe::fuzz
