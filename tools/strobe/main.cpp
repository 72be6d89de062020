// strobe, the command-line tool: reads the command line, runs one command, turns errors into one
// line on stderr and an exit status.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "command.hpp"
#include "messages.hpp"

namespace strobe::tool {
namespace {

constexpr int kBadInput = 2;
constexpr int kMachine = 3;

/// Written as it stands, by a process that has no memory to put a message together.
constexpr const char* kNoMemory =
    "strobe: not even the few KiB beside the tensors are left in memory; free some, or raise the "
    "limit (ulimit -v) [memory-nothing]\n";

constexpr const char* kFourCommands =
    R"(strobe computes exact attention without ever storing the score matrix. Four commands to try:

  strobe doctor                                          what this machine can do
  strobe check "b2 h8/2 q333 k1024 d128 bf16 causal"     the error against float64
  strobe bench "h8 q4096 d64 causal" --compare standard  time, share of peak, standard attention
  strobe explain "h8 q4096 d64 causal" --memory 16GiB    kernel, tiles, and what fits in memory

strobe --help names all commands.
)";

constexpr const char* kExamples =
    R"(Examples:
  strobe run causal --in in.safetensors --out out.safetensors
  strobe check "b2 h8/2 q333 k1024 d128/64 bf16 causal window=128,0"
  strobe bench --suite prefill --json prefill.json
  strobe explain "h32/8 q4096 d128 bf16 causal" --memory 16GiB

A case is batch, heads/kv heads, seqlen_q, seqlen_k, head_dim/head_dim_v and type (parts may be left
out), then options in any order; docs/cases.md has them all.
Exit status: 0, 1 a check failed, 2 bad input or unsupported, 3 out of memory or device.)";

/// Messages are one line whatever the names in them hold.
std::string one_line(std::string_view message) {
  constexpr std::string_view library = "strobe::";
  if (message.starts_with(library)) message.remove_prefix(library.size());
  std::string line(message);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

int report(std::string_view message, int status) {
  std::fflush(stdout);
  fmt::print(stderr, "strobe: {}\n", one_line(message));
  return status;
}

/// "strobe check --help", once the command is known.
std::string help_of(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? "strobe --help"
                          : fmt::format("strobe {} --help", commands.front()->get_name());
}

/// A full disk shows at the latest here.
void finish_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  fail("standard-output",
       "standard output could not be written in full; see that its disk has room and its reader "
       "reads to the end");
}

int run_tool(int argc, char** argv) {
  CLI::App app{"Exact attention at hardware speed, without the score matrix.", "strobe"};
  app.footer(kExamples);
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", STROBE_VERSION);
  Action chosen;
  add_run(app, chosen);
  add_check(app, chosen);
  add_bench(app, chosen);
  add_explain(app, chosen);
  add_kernels(app, chosen);
  add_doctor(app, chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fail("command-line", fmt::format("{}; {} shows what is accepted", error.what(), help_of(app)));
  }
  if (chosen) return chosen();
  fmt::print("{}", kFourCommands);
  return 0;
}

/// The run, and every way it can fail.
int reported(int argc, char** argv) {
  try {
    const int status = run_tool(argc, argv);
    finish_output();
    return status;
  } catch (const Error& error) {
    const bool machine = error.code() == Code::out_of_memory || error.code() == Code::device;
    return report(error.what(), machine ? kMachine : kBadInput);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return report(error.what(), kMachine);
  }
}

/// Besides, no memory for so much as a message: this one needs none.
int guarded(int argc, char** argv) {
  try {
    return reported(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs(kNoMemory, stderr);
    return kMachine;
  }
}

}  // namespace
}  // namespace strobe::tool

int main(int argc, char** argv) { return strobe::tool::guarded(argc, argv); }
