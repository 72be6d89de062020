// What decoding needs around it, in C: merging parts, copying pages, tables of rotary embedding.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "api/c_error.hpp"
#include "api/c_numbers.hpp"
#include "api/c_structs.hpp"
#include "api/messages.hpp"
#include "strobe/strobe.hpp"

namespace strobe::api {
namespace {

template <class Mirror, class Value>
constexpr bool same(Mirror c, Value cxx) {
  return static_cast<std::int32_t>(c) == static_cast<std::int32_t>(cxx);
}
static_assert(same(STROBE_ROTARY_SCALING_NONE, RotaryScaling::none));
static_assert(same(STROBE_ROTARY_SCALING_LINEAR, RotaryScaling::linear));
static_assert(same(STROBE_ROTARY_SCALING_NTK, RotaryScaling::ntk));
static_assert(same(STROBE_ROTARY_SCALING_LLAMA3, RotaryScaling::llama3));

std::vector<Partial> read_parts(std::span<const strobe_partial> given, const char* where) {
  std::vector<Partial> parts;
  parts.reserve(given.size());
  for (const strobe_partial& part : given) {
    const std::string name = "parts[" + std::to_string(parts.size()) + "].";
    parts.push_back({read_tensor<ConstTensorView>(part.o, (name + "o").c_str(), where),
                     read_tensor<ConstTensorView>(part.lse, (name + "lse").c_str(), where)});
  }
  return parts;
}

TensorView read_cache(const strobe_tensor* tensor, const char* name, const char* where) {
  check_pointer(tensor, name, "strobe_tensor", where);
  return read_tensor<TensorView>(*tensor, name, where);
}

std::vector<PageCopy> read_copies(std::span<const strobe_page_copy> given) {
  std::vector<PageCopy> copies;
  copies.reserve(given.size());
  for (const strobe_page_copy& copy : given) copies.push_back({copy.from, copy.to});
  return copies;
}

/// Zeros are defaults.
void set(double& number, double given) {
  if (given != 0) number = given;
}

RotaryTableOptions read_table_options(const strobe_rotary_tables& given, const char* where) {
  check_reserved({"tables", given.reserved}, where);
  check_value({"tables", "scaling", given.scaling, STROBE_ROTARY_SCALING_LLAMA3}, where);
  RotaryTableOptions options;
  options.rotary.dim = given.dim;
  set(options.rotary.base, given.base);
  options.scaling = static_cast<RotaryScaling>(given.scaling);
  set(options.factor, given.factor);
  set(options.low_freq_factor, given.low_freq_factor);
  set(options.high_freq_factor, given.high_freq_factor);
  if (given.original_positions != 0) options.original_positions = given.original_positions;
  return options;
}

/// Numbers of one table.
std::size_t table_size(const strobe_rotary_tables& given, const char* where) {
  std::int64_t size = 0;
  read_count(given.positions, "tables.positions", where);
  read_count(given.dim, "tables.dim", where);
  if (__builtin_mul_overflow(given.positions, given.dim / 2, &size)) {
    fail("size-overflow", where,
         {given.positions, " positions x ", given.dim / 2, " pairs are more than ",
          std::numeric_limits<std::int64_t>::max(), " numbers; make the sizes smaller"});
  }
  return static_cast<std::size_t>(size);
}

}  // namespace
}  // namespace strobe::api

using namespace strobe::api;

strobe_code strobe_merge_args_init(strobe_merge_args* args, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_merge_args_init";
  return guarded(kWhere, [&] { init_struct(args, struct_size, kMergeKind, kWhere); });
}

strobe_code strobe_merge(const strobe_merge_args* args, const strobe_exec* exec) {
  constexpr const char* kWhere = "strobe_merge";
  return guarded(kWhere, [&] {
    check_pointer(args, "args", kMergeKind.type, kWhere);
    strobe_merge_args given;
    read_struct(args, &given, kMergeKind, kWhere);
    const std::size_t count = read_count(given.num_parts, "args.num_parts", kWhere);
    const std::vector<strobe::Partial> parts = read_parts(
        numbers(given.parts, count, "args.parts", "strobe_partial for each part", kWhere), kWhere);
    strobe::merge({.parts = parts,
                   .o = read_tensor<strobe::TensorView>(given.o, "o", kWhere),
                   .lse = read_tensor<strobe::TensorView>(given.lse, "lse", kWhere),
                   .sink_logits = read_tensor<strobe::ConstTensorView>(given.sink_logits,
                                                                       "sink_logits", kWhere)},
                  read_exec(exec, kWhere));
  });
}

strobe_code strobe_copy_pages(const strobe_tensor* k_cache, const strobe_tensor* v_cache,
                              const strobe_page_copy* copies, int64_t count) {
  constexpr const char* kWhere = "strobe_copy_pages";
  return guarded(kWhere, [&] {
    const std::size_t pages = read_count(count, "count", kWhere);
    const std::vector<strobe::PageCopy> read =
        read_copies(numbers(copies, pages, "copies", "strobe_page_copy for each copy", kWhere));
    const strobe::TensorView keys = read_cache(k_cache, "k_cache", kWhere);
    const strobe::TensorView values = read_cache(v_cache, "v_cache", kWhere);
    strobe::copy_pages(keys, values, read);
  });
}

strobe_code strobe_rotary_tables_init(strobe_rotary_tables* tables, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_rotary_tables_init";
  return guarded(kWhere, [&] { init_struct(tables, struct_size, kRotaryTablesKind, kWhere); });
}

strobe_code strobe_fill_rotary_tables(const strobe_rotary_tables* tables) {
  constexpr const char* kWhere = "strobe_fill_rotary_tables";
  return guarded(kWhere, [&] {
    check_pointer(tables, "tables", kRotaryTablesKind.type, kWhere);
    strobe_rotary_tables given;
    read_struct(tables, &given, kRotaryTablesKind, kWhere);
    const strobe::RotaryTableOptions options = read_table_options(given, kWhere);
    const std::size_t size = table_size(given, kWhere);
    constexpr const char* kOf = "number for each position and pair";
    const std::span<float> cos = numbers(given.cos, size, "tables.cos", kOf, kWhere);
    const std::span<float> sin = numbers(given.sin, size, "tables.sin", kOf, kWhere);
    strobe::fill_rotary_tables(options, given.positions, cos, sin);
  });
}
