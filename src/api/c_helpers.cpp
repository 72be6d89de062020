// The helpers for masks in memory, in C: pointers and counts become spans, which C++ checks.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <span>

#include "api/c_error.hpp"
#include "api/c_numbers.hpp"
#include "api/c_structs.hpp"
#include "api/messages.hpp"
#include "strobe/strobe.hpp"

namespace strobe::api {
namespace {

/// strobe_key_intervals, read.
struct Intervals {
  std::span<std::int32_t> key_begin, key_end;
  std::int64_t seqlen_k = 0;
  Mask mask{};
  bool has_documents = false, has_prefixes = false;
  std::span<const std::int32_t> cu_seqlens{}, prefixes{};

  /// For some of the rows, or for none, which checks and writes nothing.
  void fill(std::span<std::int32_t> begin, std::span<std::int32_t> end) const {
    KeyIntervals intervals(begin, end, seqlen_k, mask);
    if (has_prefixes)
      intervals.prefix_lm(cu_seqlens, prefixes);
    else if (has_documents)
      intervals.documents(cu_seqlens);
  }
};

Intervals read_intervals(const strobe_key_intervals* intervals, const char* where) {
  check_pointer(intervals, "intervals", kKeyIntervalsKind.type, where);
  strobe_key_intervals given;
  read_struct(intervals, &given, kKeyIntervalsKind, where);
  const std::size_t rows = read_count(given.seqlen_q, "intervals.seqlen_q", where);
  const std::size_t documents = read_count(given.num_documents, "intervals.num_documents", where);
  constexpr const char* kOfRow = "number for each query";
  Intervals read{
      .key_begin = numbers(given.key_begin, rows, "intervals.key_begin", kOfRow, where),
      .key_end = numbers(given.key_end, rows, "intervals.key_end", kOfRow, where),
      .seqlen_k = given.seqlen_k,
      .has_documents = documents > 0 || given.cu_seqlens != nullptr || given.prefixes != nullptr,
      .has_prefixes = given.prefixes != nullptr};
  if (given.options != nullptr) read.mask = read_options(given.options, where).mask;
  if (read.has_documents) {
    read.cu_seqlens = numbers(given.cu_seqlens, documents + 1, "intervals.cu_seqlens",
                              "number for each document and one more", where);
  }
  if (read.has_prefixes) read.prefixes = {given.prefixes, documents};
  return read;
}

}  // namespace
}  // namespace strobe::api

using namespace strobe::api;

strobe_code strobe_key_intervals_init(strobe_key_intervals* intervals, int64_t struct_size) {
  constexpr const char* kWhere = "strobe_key_intervals_init";
  return guarded(kWhere, [&] { init_struct(intervals, struct_size, kKeyIntervalsKind, kWhere); });
}

strobe_code strobe_fill_key_intervals(const strobe_key_intervals* intervals) {
  constexpr const char* kWhere = "strobe_fill_key_intervals";
  return guarded(kWhere, [&] {
    const Intervals read = read_intervals(intervals, kWhere);
    read.fill({}, {});  // a mask or documents that are refused shall leave what is there
    read.fill(read.key_begin, read.key_end);
  });
}

strobe_code strobe_cu_seqlens_of_lengths(const int32_t* lengths, int64_t count,
                                         int32_t* cu_seqlens) {
  constexpr const char* kWhere = "strobe_cu_seqlens_of_lengths";
  return guarded(kWhere, [&] {
    const std::size_t documents = read_count(count, "count", kWhere);
    strobe::cu_seqlens_of_lengths(
        numbers(lengths, documents, "lengths", "number for each document", kWhere),
        numbers(cu_seqlens, documents + 1, "cu_seqlens", "number for each document and one more",
                kWhere));
  });
}

strobe_code strobe_cu_seqlens_of_ids(const int32_t* ids, int64_t count, int32_t* cu_seqlens,
                                     int64_t room, int64_t* num_documents) {
  constexpr const char* kWhere = "strobe_cu_seqlens_of_ids";
  return guarded(kWhere, [&] {
    const std::size_t tokens = read_count(count, "count", kWhere);
    const std::size_t entries = read_count(room, "room", kWhere);
    check_pointer(num_documents, "num_documents", "place for the result", kWhere);
    *num_documents = static_cast<int64_t>(
        strobe::cu_seqlens_of_ids(numbers(ids, tokens, "ids", "number for each token", kWhere),
                                  numbers(cu_seqlens, entries, "cu_seqlens",
                                          "number for each document and one more", kWhere)));
  });
}

strobe_code strobe_fill_draft_tree(const int32_t* parents, int64_t count, int64_t seqlen_k,
                                   uint8_t* allowed) {
  constexpr const char* kWhere = "strobe_fill_draft_tree";
  return guarded(kWhere, [&] {
    const std::size_t tokens = read_count(count, "count", kWhere);
    const std::size_t keys = read_count(seqlen_k, "seqlen_k", kWhere);
    int64_t pairs = 0;
    if (__builtin_mul_overflow(count, seqlen_k, &pairs)) {
      fail("size-overflow", kWhere,
           {count, " drafted tokens x ", seqlen_k, " keys are more than ",
            std::numeric_limits<int64_t>::max(), " pairs; make the sizes smaller"});
    }
    strobe::fill_draft_tree(
        numbers(parents, tokens, "parents", "number for each token", kWhere), seqlen_k,
        numbers(allowed, tokens * keys, "allowed", "byte for each token and key", kWhere));
  });
}
