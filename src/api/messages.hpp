// Every message of an Error by its id: the one table that docs/errors.md explains.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "strobe/error.hpp"
#include "strobe/tensor.hpp"

namespace strobe::api {

struct Message {
  std::string_view id;
  Code code;
};

/// To add a message: a row here, a paragraph "### id" in docs/errors.md, a test that provokes it.
/// Tests compare the three.
inline constexpr Message kMessages[] = {
    // problems
    {"size-range", Code::invalid_argument},
    {"head-dim", Code::unsupported},
    {"heads-ratio", Code::invalid_argument},
    {"size-overflow", Code::invalid_argument},
    {"dtype-input", Code::invalid_argument},
    {"dtype-output", Code::invalid_argument},
    {"enum-value", Code::invalid_argument},
    {"mask-window", Code::invalid_argument},
    {"mask-number", Code::invalid_argument},
    {"scale-finite", Code::invalid_argument},
    {"softcap-value", Code::invalid_argument},
    {"dtype-bias", Code::invalid_argument},
    {"blocks-size", Code::invalid_argument},
    {"dropout-probability", Code::invalid_argument},
    {"dropout-offset", Code::invalid_argument},
    {"rotary-dim", Code::invalid_argument},
    {"rotary-base", Code::invalid_argument},
    {"append-length", Code::invalid_argument},
    {"cache-batch-idx-paged", Code::invalid_argument},
    {"kv-type", Code::invalid_argument},
    {"kv-scales", Code::invalid_argument},
    {"kv-dim", Code::invalid_argument},
    // tensors
    {"tensor-missing", Code::invalid_argument},
    {"tensor-rank", Code::invalid_argument},
    {"shape-negative", Code::invalid_argument},
    {"shape-mismatch", Code::invalid_argument},
    {"dtype-mismatch", Code::invalid_argument},
    {"data-null", Code::invalid_argument},
    {"data-alignment", Code::invalid_argument},
    {"stride-rank", Code::invalid_argument},
    {"stride-last", Code::invalid_argument},
    {"stride-negative", Code::invalid_argument},
    {"stride-overflow", Code::invalid_argument},
    {"stride-packed", Code::invalid_argument},
    {"overlap-self", Code::invalid_argument},
    {"overlap", Code::invalid_argument},
    {"overlap-undecided", Code::unsupported},
    {"pair-shape", Code::invalid_argument},
    {"blocks-pair", Code::invalid_argument},
    // lengths
    {"cu-seqlens-pair", Code::invalid_argument},
    {"cu-seqlens-shape", Code::invalid_argument},
    {"cu-seqlens-start", Code::invalid_argument},
    {"cu-seqlens-falling", Code::invalid_argument},
    {"cu-seqlens-end", Code::invalid_argument},
    {"seqlens-shape", Code::invalid_argument},
    {"seqlens-value", Code::invalid_argument},
    {"max-seqlen-negative", Code::invalid_argument},
    {"max-seqlen-padded", Code::invalid_argument},
    {"max-seqlen-small", Code::invalid_argument},
    // the cache
    {"append-pair", Code::invalid_argument},
    {"kv-scale-missing", Code::invalid_argument},
    {"kv-scale-off", Code::invalid_argument},
    {"kv-scale-shape", Code::invalid_argument},
    {"cache-entries", Code::invalid_argument},
    {"cache-length", Code::invalid_argument},
    {"cache-full", Code::invalid_argument},
    {"page-table-entry", Code::invalid_argument},
    {"cache-batch-idx", Code::invalid_argument},
    {"leftpad-value", Code::invalid_argument},
    {"append-shared", Code::invalid_argument},
    {"append-read", Code::invalid_argument},
    {"rotary-pair", Code::invalid_argument},
    {"rotary-off", Code::invalid_argument},
    {"rotary-shape", Code::invalid_argument},
    {"rotary-positions", Code::invalid_argument},
    // masks built by helpers
    {"intervals-size", Code::invalid_argument},
    {"intervals-range", Code::invalid_argument},
    {"intervals-mask", Code::invalid_argument},
    {"lengths-sum", Code::invalid_argument},
    {"document-returns", Code::invalid_argument},
    {"prefix-count", Code::invalid_argument},
    {"tree-parent", Code::invalid_argument},
    {"tree-keys", Code::invalid_argument},
    {"tree-size", Code::invalid_argument},
    // helpers of decoding
    {"tables-factor", Code::invalid_argument},
    {"tables-frequencies", Code::invalid_argument},
    {"tables-size", Code::invalid_argument},
    {"pages-count", Code::invalid_argument},
    {"pages-number", Code::invalid_argument},
    {"pages-free", Code::invalid_argument},
    {"pages-slots", Code::invalid_argument},
    {"copy-type", Code::invalid_argument},
    {"copy-page", Code::invalid_argument},
    {"merge-parts", Code::invalid_argument},
    {"merge-type", Code::invalid_argument},
    // memory
    {"memory", Code::out_of_memory},
    // plans
    {"plan-mismatch", Code::invalid_argument},
    {"plan-op", Code::invalid_argument},
    {"plan-longer", Code::invalid_argument},
    {"plan-storage", Code::invalid_argument},
    {"plan-option", Code::invalid_argument},
    {"plan-threads", Code::invalid_argument},
    {"plan-splits", Code::invalid_argument},
    {"op-cache", Code::invalid_argument},
    {"op-packed", Code::unsupported},
    {"op-dropout", Code::unsupported},
    {"plan-kernel", Code::unsupported},
    {"workspace-small", Code::invalid_argument},
    {"workspace-memory", Code::out_of_memory},
    {"backend-unknown", Code::invalid_argument},
    {"backend-later", Code::unsupported},
    {"backend-machine", Code::device},
    {"pool-threads", Code::invalid_argument},
    {"pool-refused", Code::out_of_memory},
    // cases
    {"case-word", Code::invalid_argument},
    {"case-repeated", Code::invalid_argument},
    {"case-number", Code::invalid_argument},
    {"case-value", Code::invalid_argument},
    {"case-missing", Code::invalid_argument},
    {"case-size", Code::invalid_argument},
    {"case-storage", Code::unsupported},
    // the C interface
    {"c-null", Code::invalid_argument},
    {"c-struct-size", Code::invalid_argument},
    {"c-unknown", Code::unsupported},
    {"c-rank", Code::invalid_argument},
    {"c-flag", Code::invalid_argument},
    {"c-count", Code::invalid_argument},
    {"c-executor", Code::invalid_argument},
    {"c-workspace", Code::invalid_argument},
    {"c-memory", Code::out_of_memory},
    {"c-exception", Code::device},
    // files, and the tensors read from them (harness)
    {"file-open", Code::invalid_argument},
    {"file-read", Code::device},
    {"file-truncated", Code::invalid_argument},
    {"file-output", Code::invalid_argument},
    {"file-write", Code::device},
    {"file-tensor", Code::invalid_argument},
    {"npy-start", Code::invalid_argument},
    {"npy-header", Code::invalid_argument},
    {"npy-type", Code::invalid_argument},
    {"npy-shape", Code::invalid_argument},
    {"npy-data", Code::invalid_argument},
    {"safetensors-start", Code::invalid_argument},
    {"safetensors-header", Code::invalid_argument},
    {"safetensors-repeated", Code::invalid_argument},
    {"safetensors-type", Code::invalid_argument},
    {"safetensors-shape", Code::invalid_argument},
    {"safetensors-offsets", Code::invalid_argument},
    {"safetensors-data", Code::invalid_argument},
    {"tensor-name", Code::invalid_argument},
    {"input-later", Code::unsupported},
    {"tensor-memory", Code::out_of_memory},
    {"tensor-access", Code::invalid_argument},
    {"random-length", Code::invalid_argument},
    // measuring (harness)
    {"peak-unknown", Code::unsupported},
    {"standard-memory", Code::out_of_memory},
    {"standard-size", Code::unsupported},
};

consteval bool ids_differ() {
  for (const Message& one : kMessages) {
    for (const Message& other : kMessages) {
      if (&one != &other && one.id == other.id) return false;
    }
  }
  return true;
}
static_assert(ids_differ());

/// A row of kMessages; an id that is not in the table does not compile.
class MessageId {
 public:
  consteval MessageId(const char* id) : row_(find(id)) {}
  constexpr const Message& message() const { return kMessages[row_]; }

 private:
  static consteval std::size_t find(std::string_view id) {
    std::size_t row = 0;
    while (kMessages[row].id != id) ++row;  // past the end: not a constant expression
    return row;
  }
  std::size_t row_;
};

/// A piece of a message: words, a number, a shape, a type.
class Piece {
 public:
  Piece(std::string_view text) : text_(text) {}
  Piece(const char* text) : text_(text) {}
  Piece(const std::string& text) : text_(text) {}
  Piece(std::integral auto number) : text_(std::to_string(number)) {}
  Piece(double number);  ///< the shortest digits that read back as this number
  Piece(DType dtype) : text_(name_of(dtype)) {}
  Piece(const Shape& shape);  ///< "[2, 16, 4, 64]"

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// An Error with the message "text [id]" and the code of the id's row, for parts that put their
/// texts together themselves: throw error("npy-header", fmt::format(...)).
[[nodiscard]] Error error(MessageId id, std::string_view text);

/// Throws Error with the message "where: pieces [id]". The pieces say what is wrong with the
/// numbers, what would be accepted, and what to do:
///   fail("heads-ratio", "strobe::forward", {"q has ", 32, " heads and k has ", 6, "; ..."});
[[noreturn]] void fail(MessageId id, std::string_view where, std::initializer_list<Piece> pieces);

}  // namespace strobe::api
