"""The cases that Strobe and its peers are timed on, and what the words of a case say.

SPDX-License-Identifier: Apache-2.0
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Case:
    """A case of docs/cases.md, as far as the peers are asked."""
    text: str
    batch: int
    heads: int
    heads_kv: int
    seqlen: int
    head_dim: int
    dtype: str
    causal: bool
    window: int       # keys before the row's own that it sees; -1: all
    bias: bool        # 1,1,q,k
    bhsd: bool

    @property
    def options(self):
        """The words that `strobe run` takes: all but sizes, type and layout."""
        return " ".join(word for word in self.text.split()
                        if re.match(r"causal|window|bias", word))

    def score_bytes(self):
        """What the scores of all heads take in f32."""
        return 4 * self.batch * self.heads * self.seqlen ** 2


def number(text, letter, default):
    match = re.search(rf"(?:^|\s){letter}(\d+)", text)
    return int(match[1]) if match else default


def parse(text):
    words = text.split()
    heads = number(text, "h", 1)
    grouped = re.search(r"(?:^|\s)h\d+/(\d+)", text)
    window = re.search(r"window=(\d+),-1", text)
    return Case(text=text, batch=number(text, "b", 1), heads=heads,
                heads_kv=int(grouped[1]) if grouped else heads, seqlen=number(text, "q", 0),
                head_dim=number(text, "d", 0),
                dtype=next((word for word in words if word in ("bf16", "f16")), "f32"),
                causal="causal" in words, window=int(window[1]) if window else -1,
                bias="bias=1,1,q,k" in words, bhsd="layout=bhsd" in words)


def all_cases():
    texts = []
    for head_dim in (64, 128):
        for causal in ("", " causal"):
            texts += [f"b4 h8 q1024 d{head_dim}{causal}", f"h8 q4096 d{head_dim}{causal}",
                      f"h4 q16384 d{head_dim}{causal}",
                      f"h8 q4096 d{head_dim}{causal} layout=bhsd",
                      f"h8/2 q4096 d{head_dim}{causal}", f"h8 q4096 d{head_dim} bf16{causal}",
                      f"h8 q4096 d{head_dim} f16{causal}"]
        texts += [f"h8 q4096 d{head_dim} bias=1,1,q,k",
                  f"h8 q4096 d{head_dim} causal window=255,-1"]
    return [parse(text) for text in sorted(texts, key=order)]


def order(text):
    """By type, then by what it is, so that the table reads in groups."""
    case = parse(text)
    special = 1 * case.bhsd + 2 * (case.heads != case.heads_kv) + 3 * case.bias
    return (("f32", "bf16", "f16").index(case.dtype), special, case.window >= 0, case.causal,
            case.seqlen, case.head_dim)
