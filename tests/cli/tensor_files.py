"""Tensors for the tests of the tool: plain lists, .npy and .safetensors, and attention in float64.

SPDX-License-Identifier: Apache-2.0
"""

import array
import json
import math
import random
import struct

CODES = {"F32": "f", "I32": "i", "F64": "d", "U64": "Q", "BOOL": "B", "I8": "b"}
NPY_TYPES = {"F32": "<f4", "I32": "<i4", "F64": "<f8", "F16": "<f2", "BF16": "|V2"}


def bf16_bytes(values):
    """The upper halves of the floats; values must be exact in bf16."""
    words = [struct.unpack("<I", struct.pack("<f", value))[0] for value in values]
    assert all(word % 2**16 == 0 for word in words)
    return struct.pack(f"<{len(words)}H", *[word >> 16 for word in words])


def bf16_values(data):
    words = struct.unpack(f"<{len(data) // 2}H", data)
    return [struct.unpack("<f", struct.pack("<I", word << 16))[0] for word in words]


def values_of(data, dtype):
    if dtype == "F16":
        return struct.unpack(f"<{len(data) // 2}e", data)
    return bf16_values(data) if dtype == "BF16" else array.array(CODES[dtype], data)


class Tensor:
    """Row-major values and their shape; dtype as safetensors names it."""

    def __init__(self, shape, values, dtype="F32"):
        self.shape = tuple(shape)
        self.values = list(values)
        self.dtype = dtype
        assert len(self.values) == math.prod(self.shape)

    def at(self, *index):
        place = 0
        for size, one in zip(self.shape, index):
            place = place * size + one
        return self.values[place]

    def bytes(self):
        if self.dtype == "BF16":
            return bf16_bytes(self.values)
        if self.dtype == "F16":
            return struct.pack(f"<{len(self.values)}e", *self.values)
        return array.array(CODES[self.dtype], self.values).tobytes()

    def swapped(self, first, second):
        """The same tensor with two axes exchanged."""
        axes = list(range(len(self.shape)))
        axes[first], axes[second] = axes[second], axes[first]
        shape = [self.shape[axis] for axis in axes]
        values = []
        for place in range(len(self.values)):
            index, rest = [], place
            for size in reversed(shape):
                index.insert(0, rest % size)
                rest //= size
            values.append(self.at(*[index[axes.index(axis)] for axis in range(len(axes))]))
        return Tensor(shape, values, self.dtype)


def normal(shape, seed):
    draws = random.Random(seed)
    values = [draws.gauss(0, 1) for _ in range(math.prod(shape))]
    return Tensor(shape, array.array("f", values))


def as_bf16(tensor):
    """The same tensor with its values cut to bf16."""
    words = [struct.unpack("<I", struct.pack("<f", value))[0] for value in tensor.values]
    values = [struct.unpack("<f", struct.pack("<I", word >> 16 << 16))[0] for word in words]
    return Tensor(tensor.shape, values, "BF16")


def as_f16(tensor):
    """The same tensor with its values rounded to f16."""
    code = f"<{len(tensor.values)}e"
    return Tensor(tensor.shape, struct.unpack(code, struct.pack(code, *tensor.values)), "F16")


def lengths(values):
    return Tensor([len(values)], values, "I32")


def inputs(seed=0, **sizes):
    """q, k and v as [batch, seqlen, heads, dim]; sizes are those of a case, with small defaults."""
    size = {"batch": 1, "heads": 2, "seqlen_q": 5, "seqlen_k": 7, "head_dim": 8, **sizes}
    heads_kv = size.get("heads_kv", size["heads"])
    keys = [size["batch"], size["seqlen_k"], heads_kv, size["head_dim"]]
    return {"q": normal([size["batch"], size["seqlen_q"], size["heads"], size["head_dim"]], seed),
            "k": normal(keys, seed + 1),
            "v": normal(keys, seed + 2)}


def paged(tensor, page_size, page_of):
    """Pages of the rows of a tensor [batch, rows, heads, dim]; page_of(sequence, which) numbers
    them. Slots and pages that hold nothing are NaN."""
    batch, rows, heads, dim = tensor.shape
    width = -(-rows // page_size)
    pages = 1 + max(page_of(b, i) for b in range(batch) for i in range(width))
    cache = Tensor([pages, page_size, heads, dim], [math.nan] * (pages * page_size * heads * dim))
    for b in range(batch):
        for row in range(rows):
            place = (page_of(b, row // page_size) * page_size + row % page_size) * heads * dim
            first = (b * rows + row) * heads * dim
            cache.values[place:place + heads * dim] = tensor.values[first:first + heads * dim]
    return cache


def rows_of(tensor, begin, end):
    """Rows [begin, end) of a tensor [batch, rows, heads, dim]."""
    batch, rows, heads, dim = tensor.shape
    values = [value for b in range(batch)
              for value in tensor.values[(b * rows + begin) * heads * dim:
                                         (b * rows + end) * heads * dim]]
    return Tensor([batch, end - begin, heads, dim], values, tensor.dtype)


def with_room(tensor, rows):
    """A tensor [batch, rows, heads, dim] with more rows, of NaN."""
    batch, own, heads, dim = tensor.shape
    values = []
    for b in range(batch):
        values += tensor.values[b * own * heads * dim:(b + 1) * own * heads * dim]
        values += [math.nan] * ((rows - own) * heads * dim)
    return Tensor([batch, rows, heads, dim], values, tensor.dtype)


def in_cache(tensors, new=0):
    """The tensors of a decode call whose last `new` keys are appended, from forward's."""
    keys = tensors["k"].shape[1]
    batch = tensors["q"].shape[0]
    cached = {name: tensor for name, tensor in tensors.items() if name not in ("k", "v")}
    for name in ("k", "v"):
        cached[f"{name}_cache"] = with_room(rows_of(tensors[name], 0, keys - new), keys)
        if new > 0:
            cached[name] = rows_of(tensors[name], keys - new, keys)
    cached["cache_seqlens"] = lengths([keys - new] * batch)
    return cached


def safetensors_bytes(tensors):
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        raw = tensor.bytes()
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write_safetensors(path, tensors):
    path.write_bytes(safetensors_bytes(tensors))


def read_safetensors(path):
    raw = path.read_bytes()
    size, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        data = raw[8 + size + begin:8 + size + end]
        values = values_of(data, entry["dtype"])
        tensors[name] = Tensor(entry["shape"], values, entry["dtype"])
    return tensors


def npy_bytes(tensor):
    shape = ", ".join(str(size) for size in tensor.shape) + ","
    text = f"{{'descr': '{NPY_TYPES[tensor.dtype]}', 'fortran_order': False, 'shape': ({shape})}}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + tensor.bytes()


def write_npy(path, tensor):
    path.write_bytes(npy_bytes(tensor))


def read_npy(path):
    raw = path.read_bytes()
    assert raw[:6] == b"\x93NUMPY", path
    size, = struct.unpack("<H", raw[8:10])
    header = eval(raw[10:10 + size], {})  # a Python literal, written by the tool under test
    dtype = next(name for name, descr in NPY_TYPES.items() if descr == header["descr"])
    return Tensor(header["shape"], values_of(raw[10 + size:], dtype), dtype)


def attention(tensors, visible=lambda row, key: True):
    """o and lse in float64, as [batch, seqlen, heads, dim] and [batch, heads, seqlen]."""
    q, k, v = tensors["q"], tensors["k"], tensors["v"]
    batch, rows, heads, head_dim = q.shape
    keys, group, head_dim_v = k.shape[1], heads // k.shape[2], v.shape[3]
    o, lse = {}, []
    for b in range(batch):
        for h in range(heads):
            for i in range(rows):
                seen = [j for j in range(keys) if visible(i, j)]
                s = [sum(q.at(b, i, h, d) * k.at(b, j, h // group, d) for d in range(head_dim))
                     / math.sqrt(head_dim) for j in seen]
                top = max(s, default=0.0)
                total = sum(math.exp(x - top) for x in s)
                lse.append(top + math.log(total) if seen else -math.inf)
                for d in range(head_dim_v):
                    o[b, i, h, d] = sum(math.exp(x - top) / total * v.at(b, j, h // group, d)
                                        for x, j in zip(s, seen))
    values = [o[index] for index in sorted(o)]
    return {"o": Tensor([batch, rows, heads, head_dim_v], values, "F64"),
            "lse": Tensor([batch, heads, rows], lse, "F64")}
