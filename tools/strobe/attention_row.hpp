// What one head attends to from one row: p = exp(s - lse), from q, k and lse.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "semantics/forward_params.hpp"

namespace strobe::tool {

/// One row of one head, as --show-row names it.
struct RowName {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t row = 0;
  std::string tokens{};  ///< file of words; empty: none
};

/// Reads "head=H,row=R[,batch=B][,tokens=FILE]"; tokens comes last and takes the rest.
/// Throws Error(invalid_argument) that names the part.
RowName parse_row_name(const std::string& text);

/// Throws Error(invalid_argument) when the tensors have no such row.
void check_row_name(const RowName& name, const ForwardParams& p);

/// p of every key of the sequence [lengths.k]; 0 for keys that the row does not see.
/// `p.lse` must have been written.
std::vector<double> attention_row(const ForwardParams& p, const RowName& name);

/// -sum p log p, in nats: how widely the row looks.
double entropy(const std::vector<double>& weights);

/// The keys that the row attends to most, as bars. `words` is empty or holds one word a key.
void print_row(const std::vector<double>& weights, const RowName& name,
               const std::vector<std::string>& words);

}  // namespace strobe::tool
