// A picture of attention: for every head the words of the passage, shaded by how much one row
// attends to them.
// SPDX-License-Identifier: Apache-2.0
#include "picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "attention_row.hpp"
#include "tokens.hpp"

namespace strobe::tool {
namespace {

// All in pixels. The advance of a monospaced font is 0.6 of its size, or close to it: textLength
// makes it exact, so that shade and word meet whatever font the viewer has.
constexpr double kFont = 11;
constexpr double kAdvance = 0.6 * kFont;
constexpr double kLine = 17;
constexpr int kColumns = 72;  // characters of a panel's line
constexpr double kPanelWidth = kColumns * kAdvance;
constexpr double kGap = 28;
constexpr double kHeader = 92;
constexpr double kPanelTitle = 26;
constexpr int kMostPanelColumns = 3;
constexpr double kVisibleShade = 0.03;
constexpr double kDarkShade = 0.72;
constexpr double kLeastWidth = 760;  // title and legend side by side

/// A word, or a line of words, in a panel; x and y count from the panel's corner.
struct Placed {
  double x = 0;
  double y = 0;  ///< of the line's top
  double width = 0;
  std::string text{};
};

/// The passage as every panel shows it.
struct Passage {
  std::vector<Placed> words{};
  std::vector<Placed> lines{};
};

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += c;
    }
  }
  return safe;
}

/// A word piece that continues the word before it: "##net".
bool continues(std::string_view word) { return word.size() > 2 && word.starts_with("##"); }

/// Flows the words into lines of kColumns characters.
Passage flow(const std::vector<std::string>& words) {
  Passage passage;
  std::int64_t column = 0;
  for (const std::string& word : words) {
    const bool joined = continues(word) && column > 0;
    const std::string text = continues(word) ? word.substr(2) : word;
    const std::int64_t width = std::min<std::int64_t>(width_of(text), kColumns);
    const std::int64_t gap = joined || column == 0 ? 0 : 1;
    if (passage.lines.empty() || (column > 0 && column + gap + width > kColumns)) {
      passage.lines.push_back({.y = static_cast<double>(passage.lines.size()) * kLine});
      column = 0;
    }
    Placed& line = passage.lines.back();
    if (column > 0 && gap > 0) line.text += ' ';
    if (column > 0) column += gap;
    line.text += text;
    passage.words.push_back({static_cast<double>(column) * kAdvance, line.y,
                             static_cast<double>(width) * kAdvance, text});
    column += width;
    line.width = static_cast<double>(column) * kAdvance;
  }
  return passage;
}

struct Colour {
  int red = 0, green = 0, blue = 0;
};

/// From white (0) over blue to dark blue (1).
Colour shade_colour(double shade) {
  constexpr Colour kStops[] = {{255, 255, 255}, {158, 202, 225}, {8, 64, 129}};
  const double place = std::clamp(shade, 0.0, 1.0) * 2;
  const int stop = place < 1 ? 0 : 1;
  const double part = place - stop;
  const auto mix = [part](int a, int b) {
    return static_cast<int>(std::lround(a + part * (b - a)));
  };
  const Colour& a = kStops[stop];
  const Colour& b = kStops[stop + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

/// Small weights would be invisible beside the largest: the shade grows with the square root of p.
double shade_of(double p, double largest) { return largest > 0 ? std::sqrt(p / largest) : 0.0; }

void append_words(std::string& svg, const Placed& place, const char* kind) {
  if (place.text.empty()) return;
  fmt::format_to(std::back_inserter(svg),
                 "<text{} x=\"{:.1f}\" y=\"{:.1f}\" textLength=\"{:.1f}\" "
                 "lengthAdjust=\"spacingAndGlyphs\">{}</text>\n",
                 kind, place.x, place.y + kLine * 0.72, place.width, escaped(place.text));
}

void append_panel_title(std::string& svg, const Picture& picture, const HeadWeights& head) {
  auto out = std::back_inserter(svg);
  fmt::format_to(out, "<text class=\"head\" y=\"-9\">head {}</text>\n", head.head);
  const auto top = std::max_element(head.p.begin(), head.p.end());
  if (top == head.p.end() || !(*top > 0)) return;
  fmt::format_to(out,
                 "<text class=\"note\" x=\"{:.1f}\" y=\"-9\" text-anchor=\"end\">largest p {:.3f} "
                 "on \u201c{}\u201d, entropy {:.2f} nats</text>\n",
                 kPanelWidth, *top,
                 escaped(picture.words[static_cast<std::size_t>(top - head.p.begin())]),
                 entropy(head.p));
}

/// Shades lie under the lines of text; words on a dark shade are written again, in white.
void append_panel(std::string& svg, const Picture& picture, const HeadWeights& head,
                  const Passage& passage) {
  append_panel_title(svg, picture, head);
  const double largest = head.p.empty() ? 0 : *std::max_element(head.p.begin(), head.p.end());
  std::string dark_words;
  for (std::size_t i = 0; i < passage.words.size(); ++i) {
    const Placed& word = passage.words[i];
    const double shade = shade_of(head.p[i], largest);
    if (shade <= kVisibleShade) continue;
    const Colour c = shade_colour(shade);
    fmt::format_to(std::back_inserter(svg),
                   "<rect x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"{:.0f}\" rx=\"2\" "
                   "fill=\"#{:02x}{:02x}{:02x}\"><title>key {}: p = {:.4f}</title></rect>\n",
                   word.x - 1.5, word.y + 1, word.width + 3, kLine - 2, c.red, c.green, c.blue, i,
                   head.p[i]);
    if (shade > kDarkShade) append_words(dark_words, word, " class=\"light\"");
  }
  for (const Placed& line : passage.lines) append_words(svg, line, "");
  svg += dark_words;
  if (picture.query_word < 0 || picture.query_word >= std::ssize(passage.words)) return;
  const Placed& query = passage.words[static_cast<std::size_t>(picture.query_word)];
  fmt::format_to(std::back_inserter(svg),
                 "<rect class=\"query\" x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" "
                 "height=\"{:.0f}\" rx=\"3\"/>\n",
                 query.x - 2.5, query.y, query.width + 5, kLine);
}

/// What the shades mean, at the right of the title.
void append_legend(std::string& svg, double right) {
  constexpr int kSteps = 48;
  constexpr double kStep = 3;
  auto out = std::back_inserter(svg);
  const double left = right - kSteps * kStep;
  for (int i = 0; i < kSteps; ++i) {
    const Colour c = shade_colour(shade_of(i + 0.5, kSteps));
    fmt::format_to(out,
                   "<rect x=\"{:.1f}\" y=\"30\" width=\"{:.1f}\" height=\"12\" "
                   "fill=\"#{:02x}{:02x}{:02x}\"/>\n",
                   left + i * kStep, kStep + 0.3, c.red, c.green, c.blue);
  }
  fmt::format_to(out,
                 "<text class=\"note\" x=\"{:.1f}\" y=\"57\">0</text>\n"
                 "<text class=\"note\" x=\"{:.1f}\" y=\"57\" text-anchor=\"end\">largest p of the "
                 "head</text>\n",
                 left, right);
}

void append_title(std::string& svg, const Picture& picture, double width) {
  const bool marked = picture.query_word >= 0 && picture.query_word < std::ssize(picture.words);
  const std::string word =
      marked ? fmt::format("\u201c{}\u201d (word {})",
                           picture.words[static_cast<std::size_t>(picture.query_word)],
                           picture.query_word)
             : fmt::format("row {}", picture.query_word);
  fmt::format_to(std::back_inserter(svg),
                 "<text class=\"title\" x=\"{0:.0f}\" y=\"42\">What {1} attends to, head by "
                 "head</text>\n<text class=\"note\" x=\"{0:.0f}\" y=\"62\">{2}</text>\n",
                 kGap, escaped(word), escaped(picture.caption));
  append_legend(svg, width - kGap);
}

constexpr const char* kStyle = R"(<style>
text { font: 11px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #333333; white-space: pre; }
.light { fill: #ffffff; }
.title { font: bold 20px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #111111; }
.head { font: bold 13px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #111111; }
.note { font: 11px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #666666; }
.query { fill: none; stroke: #d95f02; stroke-width: 2; }
</style>
)";

}  // namespace

std::string draw_svg(const Picture& picture) {
  const Passage passage = flow(picture.words);
  const double panel = kPanelTitle + static_cast<double>(passage.lines.size()) * kLine;
  const auto heads = static_cast<std::int64_t>(picture.heads.size());
  const std::int64_t columns = std::clamp<std::int64_t>(heads, 1, kMostPanelColumns);
  const std::int64_t rows = (heads + columns - 1) / columns;
  const double width =
      std::max(kLeastWidth, kGap + static_cast<double>(columns) * (kPanelWidth + kGap));
  const double height = kHeader + static_cast<double>(rows) * (panel + kGap);

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\">\n{2}<rect width=\"100%\" height=\"100%\" "
      "fill=\"#ffffff\"/>\n",
      width, height, kStyle);
  append_title(svg, picture, width);
  for (std::int64_t i = 0; i < heads; ++i) {
    const std::int64_t column = i % columns;
    const std::int64_t row = i / columns;
    const double x = kGap + static_cast<double>(column) * (kPanelWidth + kGap);
    const double y = kHeader + kPanelTitle + static_cast<double>(row) * (panel + kGap);
    fmt::format_to(std::back_inserter(svg), "<g transform=\"translate({:.1f},{:.1f})\">\n", x, y);
    append_panel(svg, picture, picture.heads[static_cast<std::size_t>(i)], passage);
    svg += "</g>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace strobe::tool
