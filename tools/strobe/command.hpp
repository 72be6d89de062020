// The commands of the tool: one file each, registered here by name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace CLI {  // NOLINT(readability-identifier-naming): another library's
class App;
}

namespace strobe::tool {

/// What a parsed command line asks for; it returns the exit status 0 or 1 and throws Error.
using Action = std::function<int()>;

/// Each adds one command to the tool. When the command line names it, `chosen` becomes its action.
void add_run(CLI::App& app, Action& chosen);
void add_check(CLI::App& app, Action& chosen);
void add_bench(CLI::App& app, Action& chosen);
void add_explain(CLI::App& app, Action& chosen);
void add_kernels(CLI::App& app, Action& chosen);
void add_doctor(CLI::App& app, Action& chosen);

}  // namespace strobe::tool
