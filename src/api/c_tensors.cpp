// Reads the tensors of calls in C: each has a twin in the C++ interface, in one table a call.
// SPDX-License-Identifier: Apache-2.0
#include <iterator>
#include <type_traits>

#include "api/c_structs.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

/// The last value of DType: every one but none has a size.
constexpr std::int32_t last_dtype() {
  std::int32_t last = 0;
  while (size_of(static_cast<DType>(last + 1)) != 0) ++last;
  return last;
}
static_assert(last_dtype() == STROBE_DTYPE_I4, "give the new type a STROBE_DTYPE_ of its own");

/// A tensor of a call in C, and where C++ has it.
template <class Args, class Tensors, class View>
struct Twin {
  const char* name;
  strobe_tensor Args::*given;
  View Tensors::*taken;
};

template <class View>
using ForwardTwin = Twin<strobe_forward_args, ForwardTensors, View>;
template <class Tensors, class View>
using DecodeTwin = Twin<strobe_decode_args, Tensors, View>;

#define STROBE_TWIN(args, tensors, member) \
  { #member, &args::member, &tensors::member }

#define STROBE_FORWARD(member) STROBE_TWIN(strobe_forward_args, ForwardTensors, member)
constexpr ForwardTwin<ConstTensorView> kForwardInputs[] = {STROBE_FORWARD(q),
                                                           STROBE_FORWARD(k),
                                                           STROBE_FORWARD(v),
                                                           STROBE_FORWARD(cu_seqlens_q),
                                                           STROBE_FORWARD(cu_seqlens_k),
                                                           STROBE_FORWARD(seqlens_q),
                                                           STROBE_FORWARD(seqlens_k),
                                                           STROBE_FORWARD(key_begin),
                                                           STROBE_FORWARD(key_end),
                                                           STROBE_FORWARD(allowed),
                                                           STROBE_FORWARD(blocks),
                                                           STROBE_FORWARD(bias),
                                                           STROBE_FORWARD(alibi_slopes),
                                                           STROBE_FORWARD(sink_logits),
                                                           STROBE_FORWARD(dropout_state)};
constexpr ForwardTwin<TensorView> kForwardOutputs[] = {STROBE_FORWARD(o), STROBE_FORWARD(lse)};
#undef STROBE_FORWARD
static_assert(sizeof(ForwardTensors) == std::size(kForwardInputs) * sizeof(ConstTensorView) +
                                            std::size(kForwardOutputs) * sizeof(TensorView),
              "a tensor of the C++ interface is missing in C");

#define STROBE_DECODE(member) STROBE_TWIN(strobe_decode_args, DecodeTensors, member)
constexpr DecodeTwin<DecodeTensors, ConstTensorView> kDecodeInputs[] = {STROBE_DECODE(q),
                                                                        STROBE_DECODE(k),
                                                                        STROBE_DECODE(v),
                                                                        STROBE_DECODE(seqlens_q),
                                                                        STROBE_DECODE(seqlens_new),
                                                                        STROBE_DECODE(rotary_cos),
                                                                        STROBE_DECODE(rotary_sin),
                                                                        STROBE_DECODE(key_begin),
                                                                        STROBE_DECODE(key_end),
                                                                        STROBE_DECODE(allowed),
                                                                        STROBE_DECODE(blocks),
                                                                        STROBE_DECODE(bias),
                                                                        STROBE_DECODE(alibi_slopes),
                                                                        STROBE_DECODE(sink_logits)};
constexpr DecodeTwin<DecodeTensors, TensorView> kDecodeOutputs[] = {STROBE_DECODE(o),
                                                                    STROBE_DECODE(lse)};
#undef STROBE_DECODE
#define STROBE_CACHE(member) STROBE_TWIN(strobe_decode_args, KvCache, member)
constexpr DecodeTwin<KvCache, ConstTensorView> kCacheInputs[] = {
    STROBE_CACHE(page_table), STROBE_CACHE(cache_seqlens), STROBE_CACHE(cache_batch_idx),
    STROBE_CACHE(leftpad_k)};
constexpr DecodeTwin<KvCache, TensorView> kCacheOutputs[] = {
    STROBE_CACHE(k_cache), STROBE_CACHE(v_cache), STROBE_CACHE(k_scale), STROBE_CACHE(v_scale)};
#undef STROBE_CACHE
#undef STROBE_TWIN
static_assert(sizeof(KvCache) == std::size(kCacheInputs) * sizeof(ConstTensorView) +
                                     std::size(kCacheOutputs) * sizeof(TensorView),
              "a tensor of the cache is missing in C");
static_assert(sizeof(DecodeTensors) == std::size(kDecodeInputs) * sizeof(ConstTensorView) +
                                           std::size(kDecodeOutputs) * sizeof(TensorView) +
                                           sizeof(KvCache),
              "a tensor of decode is missing in C");

Shape shape_of(std::int32_t rank, const std::int64_t* sizes) {
  switch (rank) {
    case 1: return {sizes[0]};
    case 2: return {sizes[0], sizes[1]};
    case 3: return {sizes[0], sizes[1], sizes[2]};
    case 4: return {sizes[0], sizes[1], sizes[2], sizes[3]};
    default: return {};
  }
}

}  // namespace

template <class View>
View read_tensor(const strobe_tensor& tensor, const char* name, const char* where) {
  check_reserved({name, tensor.reserved}, where);
  check_c_rank(tensor, name, where);
  check_value({name, "dtype", tensor.dtype, last_dtype()}, where);
  return View(tensor.data, static_cast<DType>(tensor.dtype), shape_of(tensor.rank, tensor.shape),
              shape_of(tensor.rank, tensor.strides));
}

template ConstTensorView read_tensor(const strobe_tensor&, const char*, const char*);
template TensorView read_tensor(const strobe_tensor&, const char*, const char*);

void check_c_rank(const strobe_tensor& tensor, const char* name, const char* where) {
  if (tensor.rank < 0 || tensor.rank > Shape::kMaxRank) {
    fail("c-rank", where,
         {name, ".rank is ", tensor.rank, "; a tensor has 1 to ", Shape::kMaxRank,
          " axes, and 0 is none"});
  }
  if (tensor.rank == 0 && tensor.data != nullptr) {
    fail("c-rank", where,
         {name, ".rank is 0 and ", name, ".data is not null; give a rank of 1 to ", Shape::kMaxRank,
          ", or null for no tensor"});
  }
}

namespace {

template <class Twins, class Args, class Tensors>
void read_twins(const Twins& twins, const Args& given, Tensors& taken, const char* where) {
  for (const auto& twin : twins) {
    auto& view = taken.*twin.taken;
    view =
        read_tensor<std::remove_reference_t<decltype(view)>>(given.*twin.given, twin.name, where);
  }
}

}  // namespace

ForwardCall read_forward(const strobe_forward_args* args, const char* where) {
  check_pointer(args, "args", kForwardKind.type, where);
  strobe_forward_args given;
  read_struct(args, &given, kForwardKind, where);
  ForwardCall call;
  read_twins(kForwardInputs, given, call.tensors, where);
  read_twins(kForwardOutputs, given, call.tensors, where);
  if (given.options != nullptr) call.options = read_options(given.options, where);
  return call;
}

DecodeCall read_decode(const strobe_decode_args* args, const char* where) {
  check_pointer(args, "args", kDecodeKind.type, where);
  strobe_decode_args given;
  read_struct(args, &given, kDecodeKind, where);
  DecodeCall call;
  read_twins(kDecodeInputs, given, call.tensors, where);
  read_twins(kDecodeOutputs, given, call.tensors, where);
  read_twins(kCacheInputs, given, call.tensors.cache, where);
  read_twins(kCacheOutputs, given, call.tensors.cache, where);
  if (given.options != nullptr) call.options = read_options(given.options, where);
  return call;
}

}  // namespace strobe::api
