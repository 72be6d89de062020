// strobe kernels: the kernels of this build, and which of them this machine runs.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "command.hpp"
#include "options.hpp"
#include "strobe/plan.hpp"

namespace strobe::tool {

void add_kernels(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("kernels", "the kernels of this build, and which this machine runs");
  command->footer(
      "Examples:\n"
      "  strobe kernels\n"
      "  strobe kernels | grep bf16");
  command->callback([&chosen] {
    chosen = [] {
      const std::string list = list_kernels();
      fmt::print("{}{}", list, list.ends_with('\n') ? "" : "\n");
      return 0;
    };
  });
}

}  // namespace strobe::tool
