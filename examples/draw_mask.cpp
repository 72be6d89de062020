// Draws which keys each query sees, from Mask itself: the drawings of docs/semantics.md.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <strobe/strobe.hpp>
#include <vector>

namespace {

using strobe::Keys;
using strobe::Lengths;
using strobe::Problem;

enum class Cell { hidden, seen, own, sink };

/// What `row` has to do with `key`: does not see it, sees it, sits on it, sees it only as a sink.
Cell cell(const Problem& p, std::int64_t row, std::int64_t key) {
  const Lengths lengths{p.seqlen_q, p.seqlen_k};
  const Keys keys = p.mask.keys(row, lengths);
  if (!keys.contains(key)) return Cell::hidden;
  if (key == p.mask.position(row, lengths)) return Cell::own;
  return key >= keys.begin && key < keys.end ? Cell::seen : Cell::sink;
}

/// The options of docs/cases.md with sizes: "q6 k6 causal". Heads and head_dim do not matter here.
Problem parse(const std::string& text) { return Problem::parse("h1 d1 " + text); }

void print_text(const Problem& p) {
  std::printf("    key ");
  for (std::int64_t key = 0; key < p.seqlen_k; ++key)
    std::printf(" %lld", static_cast<long long>(key % 10));
  std::printf("\n");
  for (std::int64_t row = 0; row < p.seqlen_q; ++row) {
    std::printf("query %2lld", static_cast<long long>(row));
    for (std::int64_t key = 0; key < p.seqlen_k; ++key)
      std::printf(" %c", ".#@o"[static_cast<int>(cell(p, row, key))]);
    std::printf("\n");
  }
}

// Pixels: a square of the grid, a panel and its height without the grid.
constexpr int kCell = 17, kPanelWidth = 240, kPanelExtra = 60;
constexpr int kPanelsInLine = 3;

/// One panel: sizes and options above a grid of coloured squares.
void print_panel(const std::string& text, int left, int top) {
  constexpr const char* kColours[] = {"#e8ebf0", "#6c9bf2", "#1c3d8a", "#f2a33c"};
  const Problem p = parse(text);
  std::size_t options = text.find(' ', text.find(" k") + 1);
  if (options == std::string::npos) options = text.size();
  std::printf("<text x=\"%d\" y=\"%d\">%s</text>\n", left, top + 16,
              text.substr(0, options).c_str());
  std::printf("<text x=\"%d\" y=\"%d\">%s</text>\n", left, top + 31, text.substr(options).c_str());
  for (std::int64_t row = 0; row < p.seqlen_q; ++row)
    for (std::int64_t key = 0; key < p.seqlen_k; ++key)
      std::printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
                  left + static_cast<int>(key) * kCell, top + 40 + static_cast<int>(row) * kCell,
                  kCell - 2, kCell - 2, kColours[static_cast<int>(cell(p, row, key))]);
}

/// One picture of several cases, in lines of equal height.
void print_svg(const std::vector<std::string>& cases) {
  std::int64_t rows = 0;
  for (const std::string& text : cases) rows = std::max(rows, parse(text).seqlen_q);
  const int count = static_cast<int>(cases.size());
  const int height = static_cast<int>(rows) * kCell + kPanelExtra;
  const int lines = (count + kPanelsInLine - 1) / kPanelsInLine;
  std::printf(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "font-family=\"monospace\" font-size=\"11\">\n",
      kPanelsInLine * kPanelWidth + 20, lines * height);
  std::printf("<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n");
  for (int n = 0; n < count; ++n)
    print_panel(cases[static_cast<std::size_t>(n)], 20 + n % kPanelsInLine * kPanelWidth,
                n / kPanelsInLine * height);
  std::printf("</svg>\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() > 1 && words[0] == "--svg") {
      print_svg({words.begin() + 1, words.end()});
    } else if (words.size() == 1) {
      print_text(parse(words[0]));
    } else {
      std::fprintf(
          stderr,
          "usage: draw_mask CASE, or draw_mask --svg CASE...; a case is \"q6 k6 causal\"\n");
      return 2;
    }
  } catch (const strobe::Error& error) {
    std::fprintf(stderr, "draw_mask: %s\n", error.what());
    return 2;
  }
}
