#!/usr/bin/env python3
"""Draws the pictures and prints the numbers of docs/plain_words.md.

SPDX-License-Identifier: Apache-2.0
usage: draw_plain_words.py NAME      want, matrix, online, decoding: a picture (SVG)
                                     weights, sizes, softmax: numbers (text)

Plain Python without packages; the same bytes on every run. A test (examples.quotes) holds the page
and its pictures against what this prints.
"""

import json
import math
import pathlib
import struct
import sys

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "minilm"
HEAD, ROW = 8, 22  # "want" in "must be in want of a wife"

BLUE, DARK, ORANGE, GREEN, GREY, LIGHT = (
    "#6c9bf2", "#1c3d8a", "#f2a33c", "#9fc193", "#9aa3af", "#e8ebf0")


# --- the numbers ---------------------------------------------------------------------------------

def read_tensor(name):
    """(shape, flat floats) of a tensor in data/minilm/layer3.safetensors."""
    raw = (DATA / "layer3.safetensors").read_bytes()
    length = struct.unpack_from("<Q", raw)[0]
    entry = json.loads(raw[8:8 + length])[name]
    begin, end = entry["data_offsets"]
    return entry["shape"], struct.unpack_from(f"<{(end - begin) // 4}f", raw, 8 + length + begin)


def head_rows(name):
    """The rows of one head: [seqlen][head_dim]."""
    (_, seqlen, heads, dim), flat = read_tensor(name)
    starts = [(row * heads + HEAD) * dim for row in range(seqlen)]
    return [flat[start:start + dim] for start in starts]


def softmax(scores):
    """Positive weights that sum to 1: larger score, larger weight."""
    largest = max(scores)
    powers = [math.exp(s - largest) for s in scores]
    total = sum(powers)
    return [power / total for power in powers]


def attention_of_want():
    """(word, score, weight) of every key, largest weight first; ties stay in their order."""
    query, keys = head_rows("q")[ROW], head_rows("k")
    words = (DATA / "tokens.txt").read_text("utf-8").split("\n")
    scale = 1 / math.sqrt(len(query))
    scores = [scale * sum(a * b for a, b in zip(query, key)) for key in keys]
    entries = list(zip(words, scores, softmax(scores)))
    return sorted(entries, key=lambda entry: -entry[2])


def online_softmax(tiles):
    """The states (largest score, sum, weighted sum) before the first tile and after each."""
    state = (-math.inf, 0.0, 0.0)
    states = [state]
    for tile in tiles:
        largest, total, weighted = state
        new = max([largest] + [score for score, _ in tile])
        correction = math.exp(largest - new)
        powers = [(math.exp(score - new), value) for score, value in tile]
        state = (new, total * correction + sum(power for power, _ in powers),
                 weighted * correction + sum(power * value for power, value in powers))
        states.append(state)
    return states


TILES = [[(1.0, 10.0), (2.0, 20.0)], [(4.0, 30.0), (3.0, 40.0)]]  # (score, value)


# --- the text ------------------------------------------------------------------------------------

def print_weights():
    entries = attention_of_want()
    print("word      score   weight")
    for word, score, weight in entries[:6]:
        print(f"{word:<8} {score:6.2f}   {weight:.4f}")
    rest = sum(weight for _, _, weight in entries[6:])
    print(f"the other {len(entries) - 6}    {rest:.4f}")


def print_sizes():
    mib = 1 << 20
    print("one head, head_dim 64, 4 bytes a number")
    print("tokens   q, k, v, o together   score matrix   times as large")
    for n in (512, 4096, 16384, 65536):
        rest, matrix = 4 * n * 64 * 4, n * n * 4
        print(f"{n:6}   {rest / mib:15.1f} MiB   {matrix / mib:8.0f} MiB   {matrix // rest:14}")


def print_softmax():
    scores = [score for tile in TILES for score, _ in tile]
    values = [value for tile in TILES for _, value in tile]
    weights = softmax(scores)
    print("all at once")
    print("  weights " + " ".join(f"{weight:.4f}" for weight in weights))
    print(f"  average {sum(w * v for w, v in zip(weights, values)):.4f}")
    print("tile by tile: m = largest score, l = sum, u = weighted sum")
    for number, (largest, total, weighted) in enumerate(online_softmax(TILES)[1:], 1):
        print(f"  after tile {number}   m = {largest:4}   l = {total:.4f}   u = {weighted:.4f}")
    print(f"  average u / l = {weighted / total:.4f}")


# --- the pictures --------------------------------------------------------------------------------

def text(x, y, words, style=""):
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x}" y="{y}" {style}>{escaped}</text>'


def box(x, y, size, fill, style=""):
    return (f'<rect x="{x}" y="{y}" width="{size[0]}" height="{size[1]}" fill="{fill}" '
            f'{style}/>')


def arrow(start, end):
    return (f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="#444" '
            'marker-end="url(#tip)"/>')


def svg(width, height, parts):
    tip = ('<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
           'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#444"/></marker>'
           "</defs>")
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
          'font-family="sans-serif" font-size="13">')
    print('<rect width="100%" height="100%" fill="white"/>')
    print(tip)
    print("\n".join(part.replace(" >", ">").replace(" />", "/>") for part in parts))
    print("</svg>")


BOLD, MIDDLE, RIGHT, DIM = ('font-weight="bold"', 'text-anchor="middle"', 'text-anchor="end"',
                            'fill="#555"')


def draw_want():
    """Scores of one query, and the weights that the softmax makes of them."""
    entries = attention_of_want()
    shown = 6
    rest = sum(weight for _, _, weight in entries[shown:])
    parts = [text(110, 24, "key of", RIGHT + " " + BOLD), text(150, 24, "score", BOLD),
             text(430, 24, "weight", BOLD)]
    for line, (word, score, weight) in enumerate(entries[:shown]):
        y = 38 + 24 * line
        parts += [text(110, y + 14, word, RIGHT),
                  box(150, y, (round(score * 30, 1), 18), LIGHT),
                  text(158, y + 14, f"{score:.2f}"),
                  box(430, y, (round(weight * 1000, 1), 18), BLUE),
                  text(round(438 + weight * 1000, 1), y + 14, f"{weight:.3f}")]
    y = 38 + 24 * shown
    parts += [text(110, y + 14, f"{len(entries) - shown} others", RIGHT + " " + DIM),
              text(158, y + 14, f"{entries[shown][1]:.2f} and less", DIM),
              box(430, y, (round(rest * 1000, 1), 18), LIGHT),
              text(round(438 + rest * 1000, 1), y + 14, f"{rest:.3f} together")]
    svg(860, y + 36, parts)


def draw_matrix():
    """Inputs and score matrix to scale: 32 numbers a pixel in each direction."""
    parts, x, bottom = [], 20, 300
    for n in (1024, 2048, 4096, 8192):
        side = n // 32
        top = bottom - side
        parts += [text(x, bottom + 22, f"{n} tokens")]
        for strip in range(4):
            parts.append(box(x + 4 * strip, top, (2, side), DARK))
        parts.append(box(x + 20, top, (side, side), ORANGE))
        x += max(side, 64) + 50
    parts += [box(20, 18, (12, 12), DARK), text(40, 29, "q, k, v, o: 64 numbers a token"),
              box(20, 40, (12, 12), ORANGE), text(40, 51, "scores: tokens x tokens")]
    svg(x, bottom + 40, parts)


def state_box(x, y, title, state):
    largest, total, weighted = state
    shown = "-∞" if largest == -math.inf else f"{largest:g}"
    return [box(x, y, (150, 92), "#f4f8f2", 'stroke="#4c8a3f" rx="6"'),
            text(x + 12, y + 20, title, BOLD), text(x + 12, y + 42, f"m = {shown}"),
            text(x + 12, y + 61, f"l = {total:.3f}"), text(x + 12, y + 80, f"u = {weighted:.3f}")]


def draw_online():
    """Two tiles of two keys pass by; three numbers remember them."""
    parts, states = [], online_softmax(TILES)
    titles = ["nothing seen", "after tile 1", "after tile 2"]
    for number, (title, state) in enumerate(zip(titles, states)):
        parts += state_box(20 + 240 * number, 150, title, state)
    for number, tile in enumerate(TILES):
        x = 178 + 240 * number
        parts.append(text(x + 4, 24, f"tile {number + 1}", BOLD))
        for line, (score, value) in enumerate(tile):
            parts += [box(x, 34 + 26 * line, (84, 22), ORANGE, 'fill-opacity="0.5"'),
                      text(x + 6, 50 + 26 * line, f"s {score:g}   v {value:g}")]
        parts += [arrow((x + 40, 88), (x + 40, 186)), arrow((x - 6, 196), (x + 78, 196))]
        factor = math.exp(states[number][0] - states[number + 1][0])
        parts.append(text(x + 40, 216, f"x {factor:.3f}", MIDDLE + " " + DIM))
    _, total, weighted = states[-1]
    parts += [arrow((652, 196), (716, 196)), text(724, 192, "average"),
              text(724, 210, f"u / l = {weighted / total:.3f}", BOLD),
              text(20, 268, "Below each arrow: the correction exp(old m - new m), by which l and "
                            "u are multiplied before the tile is added.", DIM)]
    svg(850, 286, parts)


def draw_decoding():
    """Reading a prompt: many rows share a fetched key. Writing: one row for each step."""
    parts, cell, n = [], 20, 9
    parts += [text(20, 24, "reading a prompt of 9 tokens", BOLD),
              text(20, 44, "every fetched key serves all rows of a tile", DIM)]
    for row in range(n):
        for key in range(n):
            fill = LIGHT if key > row else (ORANGE if 3 <= key < 6 and row >= 3 else BLUE)
            parts.append(box(20 + cell * key, 60 + cell * row, (cell - 2, cell - 2), fill))
    parts += [text(20, 262, "one column of tiles in orange: keys 3 to 5", DIM),
              text(380, 24, "writing token after token", BOLD),
              text(380, 44, "every fetched key serves one row", DIM)]
    for step in range(3):
        y = 66 + 30 * step
        for key in range(n + step):
            fill = (BLUE, ORANGE, GREEN)[min(key // 4, 2)] if step == 2 else BLUE
            parts.append(box(380 + cell * key, y, (cell - 2, cell - 2), fill))
        parts.append(text(380 + cell * (n + step) + 8, y + 14, f"step {step + 1}", DIM))
    for part, middle in enumerate((419, 499, 569)):
        parts += [arrow((middle, 150), (499 + 20 * (part - 1), 190))]
    parts += [box(449, 194, (100, 26), "#f4f8f2", 'stroke="#4c8a3f" rx="6"'),
              text(499, 212, "merge", MIDDLE),
              text(380, 242, "one step cut over its keys: three parts that can be", DIM),
              text(380, 262, "computed at once, each with its own m, l, u", DIM)]
    svg(720, 282, parts)


OUTPUTS = {"want": draw_want, "matrix": draw_matrix, "online": draw_online,
           "decoding": draw_decoding, "weights": print_weights, "sizes": print_sizes,
           "softmax": print_softmax}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in OUTPUTS:
        sys.exit(f"usage: draw_plain_words.py {'|'.join(OUTPUTS)}")
    OUTPUTS[sys.argv[1]]()


if __name__ == "__main__":
    main()
