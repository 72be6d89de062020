// Draws which keys each query sees, from Mask and the helpers themselves: the drawings of the docs.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <strobe/strobe.hpp>
#include <vector>

namespace {

using strobe::Keys;
using strobe::Lengths;
using Numbers = std::vector<std::int32_t>;

/// "4,3,2" as numbers.
Numbers numbers_of(const std::string& text) {
  Numbers numbers;
  std::istringstream stream(text);
  for (std::string number; std::getline(stream, number, ',');) numbers.push_back(std::stoi(number));
  return numbers;
}

/// A mask, and what of it lies in memory.
struct Drawing {
  strobe::Problem problem{};
  Numbers key_begin{}, key_end{};
  std::vector<std::uint8_t> allowed{};  ///< of all pairs, or none
  std::string blocks{};                 ///< rows of the block map, "1000/1100"

  Lengths lengths() const { return {problem.seqlen_q, problem.seqlen_k}; }
  Keys keys(std::int64_t row) const {
    const auto r = static_cast<std::size_t>(row);
    return problem.mask.keys(row, lengths(), {key_begin[r], key_end[r]});
  }
  /// Do the masks of single pairs and of blocks let it pass?
  bool passes(std::int64_t row, std::int64_t key) const {
    if (!allowed.empty() && allowed[static_cast<std::size_t>(row * lengths().k + key)] == 0)
      return false;
    if (blocks.empty()) return true;
    const std::int64_t columns =
        (lengths().k + problem.mask.block_k - 1) / problem.mask.block_k + 1;  // and the "/"
    const std::int64_t block = row / problem.mask.block_q * columns + key / problem.mask.block_k;
    return blocks.at(static_cast<std::size_t>(block)) == '1';
  }
};

/// The options of docs/cases.md with sizes, "q6 k6 causal", and what fills tensors:
/// documents=4,3,2 (lengths), prefixes=2,1,0 (of the documents), tree=-1,0,0 (parents),
/// map=10/11 (of the blocks). Heads and head_dim do not matter here.
Drawing parse(const std::string& text) {
  std::string words = "h1 d1", documents, prefixes, tree;
  Drawing drawing;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    const std::string name = word.substr(0, word.find('=') + 1), value = word.substr(name.size());
    if (name == "documents=")
      documents = value;
    else if (name == "prefixes=")
      prefixes = value;
    else if (name == "tree=")
      tree = value;
    else if (name == "map=")
      drawing.blocks = value;
    else
      words += " " + word;
  }
  const strobe::Problem& p = drawing.problem = strobe::Problem::parse(words);
  drawing.key_begin.resize(static_cast<std::size_t>(p.seqlen_q));
  drawing.key_end.resize(drawing.key_begin.size());
  strobe::KeyIntervals intervals(drawing.key_begin, drawing.key_end, p.seqlen_k,
                                 {.align = p.mask.align});
  if (!documents.empty()) {
    const Numbers lengths = numbers_of(documents);
    Numbers cu_seqlens(lengths.size() + 1);
    strobe::cu_seqlens_of_lengths(lengths, cu_seqlens);
    if (prefixes.empty())
      intervals.documents(cu_seqlens);
    else
      intervals.prefix_lm(cu_seqlens, numbers_of(prefixes));
  }
  if (!tree.empty()) {
    drawing.allowed.resize(static_cast<std::size_t>(p.seqlen_q * p.seqlen_k));
    strobe::fill_draft_tree(numbers_of(tree), p.seqlen_k, drawing.allowed);
  }
  return drawing;
}

enum class Cell { hidden, seen, own, sink };

/// What `row` has to do with `key`: does not see it, sees it, sits on it, sees it only as a sink.
Cell cell(const Drawing& drawing, std::int64_t row, std::int64_t key) {
  const Keys keys = drawing.keys(row);
  if (!keys.contains(key) || !drawing.passes(row, key)) return Cell::hidden;
  if (key == drawing.problem.mask.position(row, drawing.lengths())) return Cell::own;
  return key >= keys.begin && key < keys.end ? Cell::seen : Cell::sink;
}

void print_text(const Drawing& drawing) {
  const auto& p = drawing.problem;
  std::printf("    key ");
  for (std::int64_t key = 0; key < p.seqlen_k; ++key)
    std::printf(" %lld", static_cast<long long>(key % 10));
  std::printf("\n");
  for (std::int64_t row = 0; row < p.seqlen_q; ++row) {
    std::printf("query %2lld", static_cast<long long>(row));
    for (std::int64_t key = 0; key < p.seqlen_k; ++key)
      std::printf(" %c", ".#@o"[static_cast<int>(cell(drawing, row, key))]);
    std::printf("\n");
  }
}

// Pixels: a square of the grid, a panel and its height without the grid.
constexpr int kCell = 17, kPanelWidth = 240, kPanelExtra = 60;
constexpr int kPanelsInLine = 3;

/// One panel: sizes and options above a grid of coloured squares.
void print_panel(const std::string& text, int left, int top) {
  constexpr const char* kColours[] = {"#e8ebf0", "#6c9bf2", "#1c3d8a", "#f2a33c"};
  const Drawing drawing = parse(text);
  const auto& p = drawing.problem;
  std::size_t options = text.find(' ', text.find(" k") + 1);
  if (options == std::string::npos) options = text.size();
  std::printf("<text x=\"%d\" y=\"%d\">%s</text>\n", left, top + 16,
              text.substr(0, options).c_str());
  std::printf("<text x=\"%d\" y=\"%d\">%s</text>\n", left, top + 31, text.substr(options).c_str());
  for (std::int64_t row = 0; row < p.seqlen_q; ++row)
    for (std::int64_t key = 0; key < p.seqlen_k; ++key)
      std::printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
                  left + static_cast<int>(key) * kCell, top + 40 + static_cast<int>(row) * kCell,
                  kCell - 2, kCell - 2, kColours[static_cast<int>(cell(drawing, row, key))]);
}

/// One picture of several cases, in lines of equal height.
void print_svg(const std::vector<std::string>& cases) {
  std::int64_t rows = 0;
  for (const std::string& text : cases) rows = std::max(rows, parse(text).problem.seqlen_q);
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
  } catch (const std::exception& error) {
    std::fprintf(stderr, "draw_mask: %s\n", error.what());
    return 2;
  }
}
