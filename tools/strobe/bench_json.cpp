// The rows of strobe bench as JSON.
// SPDX-License-Identifier: Apache-2.0
#include "bench_json.hpp"

#include <nlohmann/json.hpp>

#include "harness/machine.hpp"
#include "harness/standard_attention.hpp"

namespace strobe::tool {
namespace {

using Json = nlohmann::ordered_json;

Json machine_json() {
  const harness::Machine machine = harness::read_machine();
  return {{"core", machine.core},
          {"vendor", machine.vendor},
          {"family", machine.family},
          {"model", machine.model},
          {"model_name", machine.model_name},
          {"architecture", machine.architecture},
          {"instruction_sets", machine.instruction_sets},
          {"threads", machine.threads},
          {"page_bytes", machine.page_bytes},
          {"transparent_huge_pages", machine.transparent_huge_pages},
          {"memory_bytes", machine.memory_bytes},
          {"virtual_machine", machine.virtual_machine},
          {"load_average", harness::load_average()},
          {"strobe", STROBE_VERSION},
          {"compiler", STROBE_COMPILER}};
}

Json standard_json(const BenchRow& row) {
  if (!row.standard) return {{"error", row.standard_failure}};
  const harness::Timing& timing = row.standard->timing;
  return {{"seconds_median", timing.median},
          {"seconds_min", timing.min},
          {"seconds_max", timing.max},
          {"cpu_over_wall", timing.cpu_over_wall},
          {"score_bytes", row.standard->score_bytes},
          {"workspace_bytes", row.standard->workspace_bytes},
          {"products", harness::standard_products()}};
}

Json relative_json(const RelativeRow& relative) {
  const harness::Timing& timing = relative.timing;
  return {{"case", relative.text},
          {"ratio", relative.ratio},
          {"cpu_ratio", relative.cpu_ratio},
          {"seconds_median", timing.median},
          {"seconds_min", timing.min},
          {"seconds_max", timing.max},
          {"cpu_over_wall", timing.cpu_over_wall}};
}

/// What decode has beside the rest.
void add_decode(const BenchRow& row, const Where& where, Json& json) {
  json["splits"] = where.splits;
  json["caches"] = row.caches;
  json["cache_bytes"] = row.cache_bytes;
  json["busy"] = row.busy;
}

Json row_json(const BenchRow& row, const Where& where) {
  Json json{{"case", row.text},
            {"op", where.op_name},
            {"backend", row.backend},
            {"threads", row.threads},
            {"seconds_median", row.timing.median},
            {"seconds_min", row.timing.min},
            {"seconds_max", row.timing.max},
            {"gflops", row.flops_per_second() * 1e-9},
            {"peak_gflops", row.peak_flops * 1e-9},
            {"fraction_of_peak", row.fraction_of_peak()},
            {"gbytes_per_s", row.bytes_per_second() * 1e-9},
            {"peak_gbytes_per_s", row.peak_bytes * 1e-9},
            {"fraction_of_bandwidth", row.fraction_of_bandwidth()},
            {"fraction_of_limit", row.fraction_of_limit()},
            {"workspace_bytes", row.workspace_bytes},
            {"peak_rss_bytes", row.peak_rss_bytes},
            {"cpu_over_wall", row.timing.cpu_over_wall},
            {"problem", row.problem.to_string()},
            {"kernel", row.kernel},
            {"samples", row.timing.samples},
            {"rejected", row.timing.rejected},
            {"peak", row.peak_name},
            {"known_gflops", row.known_flops * 1e-9},
            {"clock_hz", row.clock_hz},
            {"score_matrix_bytes", row.score_matrix_bytes}};
  if (where.op() == Op::decode) add_decode(row, where, json);
  if (!row.label.empty()) json["label"] = row.label;
  if (!row.remark.empty()) json["remark"] = row.remark;
  if (row.values != harness::Values::normal) json["values"] = harness::name_of(row.values);
  if (row.relative) json["relative_to"] = relative_json(*row.relative);
  if (row.standard || !row.standard_failure.empty()) json["standard"] = standard_json(row);
  return json;
}

}  // namespace

std::string bench_json(const std::vector<BenchRow>& rows, const Where& where) {
  Json all{{"machine", machine_json()}, {"rows", Json::array()}};
  for (const BenchRow& row : rows) all["rows"].push_back(row_json(row, where));
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace strobe::tool
