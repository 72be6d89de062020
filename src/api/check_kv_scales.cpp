// The type of a cache, and the scales of one whose elements are codes.
// SPDX-License-Identifier: Apache-2.0
#include "api/checks.hpp"
#include "api/messages.hpp"

namespace strobe::api {
namespace {

/// A cache and its scales.
struct Scaled {
  Named scale;
  Named cache;

  std::int64_t groups() const { return (cache.view.shape[3] + kScaleGroup - 1) / kScaleGroup; }
};

/// The granularity that the shape tells; none: it is none's.
KvScales granularity(const Scaled& s) {
  const Shape& scale = s.scale.view.shape;
  const Shape& cache = s.cache.view.shape;
  if (scale == Shape{1}) return KvScales::tensor;
  if (scale == Shape{cache[2]}) return KvScales::head;
  if (scale == Shape{cache[0], cache[1], cache[2]}) return KvScales::token;
  if (scale == Shape{cache[0], cache[1], cache[2], s.groups()}) return KvScales::group;
  return KvScales::none;
}

KvScales check_scale(const Scaled& s, const char* where) {
  const Shape& cache = s.cache.view.shape;
  if (!s.scale.view.given()) {
    fail("kv-scale-missing", where,
         {s.scale.name, " is not given and ", s.cache.name, " is ", s.cache.view.dtype,
          ", whose values are codes times a scale; give both k_scale and v_scale"});
  }
  check_type(s.scale, DType::f32, where);
  const KvScales kind = granularity(s);
  if (kind != KvScales::none) return kind;
  fail("kv-scale-shape", where,
       {s.scale.name, " has shape ", s.scale.view.shape, " for ", s.cache.name, " ", cache,
        "; it takes [1], one for each head ", Shape{cache[2]}, ", for each token ",
        Shape{cache[0], cache[1], cache[2]}, " or for each 32 dims of a token ",
        Shape{cache[0], cache[1], cache[2], s.groups()}});
}

}  // namespace

void check_code_dims(const Named& cache, const char* where) {
  if (cache.view.shape[3] % packed_in_one(cache.view.dtype) == 0) return;
  fail("kv-dim", where,
       {cache.name, " has ", cache.view.shape[3], " dims and two codes of ", cache.view.dtype,
        " share a byte; make the number even, with one more that is 0"});
}

void check_cache_types(const DecodeTensors& t, const char* where) {
  const DType cache = t.cache.k_cache.dtype;
  for (const Named& tensor : {Named{"k_cache", t.cache.k_cache}, Named{"v_cache", t.cache.v_cache},
                              Named{"k", t.k}, Named{"v", t.v}}) {
    if (!tensor.view.given() || tensor.view.dtype == t.q.dtype) continue;
    const bool new_rows = tensor.name[1] == '\0';
    if (!new_rows && is_code(tensor.view.dtype)) continue;
    fail("dtype-mismatch", where,
         {"q is ", t.q.dtype, " and ", tensor.name, " is ", tensor.view.dtype,
          "; q, the cache and new keys and values must have one type, but for a cache of e4m3, ",
          "e5m2, i8 or i4"});
  }
  if (t.cache.v_cache.dtype != cache) {
    fail("dtype-mismatch", where,
         {"k_cache is ", cache, " and v_cache is ", t.cache.v_cache.dtype,
          "; both must have one type"});
  }
  check_code_dims({"k_cache", t.cache.k_cache}, where);
  check_code_dims({"v_cache", t.cache.v_cache}, where);
}

KvScales check_kv_scales(const DecodeTensors& t, const char* where) {
  const Named k_scale{"k_scale", t.cache.k_scale}, v_scale{"v_scale", t.cache.v_scale};
  const Named k_cache{"k_cache", t.cache.k_cache}, v_cache{"v_cache", t.cache.v_cache};
  if (!is_code(k_cache.view.dtype)) {
    for (const Named& scale : {k_scale, v_scale}) {
      if (!scale.view.given()) continue;
      fail("kv-scale-off", where,
           {scale.name, " is given and the cache is ", k_cache.view.dtype,
            ", whose elements are the values; leave it out"});
    }
    return KvScales::none;
  }
  const KvScales keys = check_scale({k_scale, k_cache}, where);
  const KvScales values = check_scale({v_scale, v_cache}, where);
  if (keys == values) return keys;
  fail("kv-scale-shape", where,
       {"k_scale has shape ", k_scale.view.shape, " and v_scale ", v_scale.view.shape,
        "; both take scales of one granularity"});
}

bool appends_scales(const DecodeTensors& t) { return t.k.given() && t.cache.k_scale.rank() >= 3; }

}  // namespace strobe::api
