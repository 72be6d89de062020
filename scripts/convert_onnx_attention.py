"""Converts the node tests of the ONNX operator Attention into data/onnx_attention/.

SPDX-License-Identifier: Apache-2.0
usage: convert_onnx_attention.py [--check] [--venv FOLDER]

Without the package onnx at hand it makes a virtual environment (build/onnx-venv) and installs it
there. Writes cases.safetensors, every tensor named "case/tensor", and cases.txt, what to run and to
compare. --check writes nothing: the status is 1 if the files there are others. Every line is first
computed here, in float64, as docs/semantics.md reads, and compared with what ONNX expects.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "data" / "onnx_attention"
ONNX_VERSION = "1.22.0"
PREFIX = "test_attention_"
CASES = 64
PYTHON_IN_VENV = "STROBE_ONNX_VENV"

try:
    import numpy as np
    import onnx
    from onnx import numpy_helper
except ImportError:
    onnx = None

# What the output qk_matmul_output holds (the operator's qk_matmul_output_mode), as options of a run
# that shows it: with v the identity, o is the probabilities, and log(o) + lse the scores.
SCORES_OF_MODE = {0: (), 1: ("softcap",), 2: ("softcap", "mask"), 3: ("softcap", "mask")}
INPUTS = ("q", "k", "v", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen")
OUTPUTS = ("o", "present_key", "present_value", "qk")
HEADER = f"""\
# The node tests of the ONNX operator Attention (onnx {ONNX_VERSION}) as cases of docs/cases.md.
# Made by scripts/convert_onnx_attention.py, which says how; docs/suites.md says why so.
# name | case | what is compared: o; or, of a run with v the identity, qk: with o (probabilities) or
# with log(o) + lse (scores)
"""


def in_venv(folder):
    """Starts this program again with a Python that has the package."""
    if os.environ.get(PYTHON_IN_VENV):
        sys.exit(f"onnx {ONNX_VERSION} is not what {sys.executable} has")
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"onnx=={ONNX_VERSION}"],
                   check=True)
    os.environ[PYTHON_IN_VENV] = "1"
    os.execv(python, [str(python), "-B", *sys.argv])


def read_node_test(folder):
    """Attributes and tensors of one test; the tensors by our names, absent ones left out."""
    graph = onnx.load(folder / "model.onnx").graph
    assert len(graph.node) == 1 and graph.node[0].op_type == "Attention", folder
    node = graph.node[0]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    known = {"scale", "softcap", "is_causal", "q_num_heads", "kv_num_heads",
             "qk_matmul_output_mode"}
    assert set(attributes) <= known, f"{folder}: {set(attributes) - known}"
    tensors = {}
    for kind, names, values, ours in (("input", node.input, graph.input, INPUTS),
                                      ("output", node.output, graph.output, OUTPUTS)):
        place = {value.name: number for number, value in enumerate(values)}
        for name, our in zip(names, ours):
            if name:
                file = folder / "test_data_set_0" / f"{kind}_{place[name]}.pb"
                tensors[our] = numpy_helper.to_array(onnx.load_tensor(file))
    return attributes, tensors


def split_heads(tensor, heads):
    """[batch, seqlen, heads * dim] with its heads apart."""
    return tensor.reshape(*tensor.shape[:2], heads, -1)


def keys_that_count(attributes, tensors, seqlen_q, seqlen_k):
    """(words of the alignment, keys of each sequence or None where all count).

    ONNX: row i sees key j where j <= i + past. With no past that is top left. Else it is bottom
    right among the first past + seqlen_q keys, and no row sees a key after these.
    """
    counted, past = tensors.get("nonpad_kv_seqlen"), tensors.get("past_key")
    if not attributes.get("is_causal"):
        return [], counted
    assert counted is None, "causal with nonpad_kv_seqlen: no case of this version has it"
    if past is None:
        return ["causal", "align=top_left"], None
    end = past.shape[2] + seqlen_q
    assert end <= seqlen_k, "the last rows would see keys that are not there"
    return ["causal"], None if end == seqlen_k else np.full(len(past), end)


def add_mask(mask, seqlen_k, tensors, words):
    """A mask of any rank becomes bias or allowed, [batch or 1, heads or 1, q or 1, k]."""
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    missing = seqlen_k - mask.shape[3]
    boolean = mask.dtype == np.bool_
    mask = np.pad(mask, [(0, 0)] * 3 + [(0, missing)],
                  constant_values=False if boolean else -np.inf)
    name = "allowed" if boolean else "bias"
    tensors[name] = mask
    axes = [letter if size > 1 else "1" for letter, size in zip("bhqk", mask.shape)]
    words.append(f"{name}={','.join(axes)}")


def pair(letter, first, second):
    return f"{letter}{first}" if first == second else f"{letter}{first}/{second}"


def convert(attributes, tensors):
    """(tensors as Strobe takes them, words by what they say) of one node test."""
    out = {name: tensors[name] for name in "qkvo"}
    layout = "bhsd" if tensors["q"].ndim == 4 else "bshd"
    if layout == "bshd":
        q_heads, kv_heads = attributes["q_num_heads"], attributes["kv_num_heads"]
        out = {name: split_heads(out[name], kv_heads if name in "kv" else q_heads) for name in out}
    sequence = 2 if layout == "bhsd" else 1
    if "past_key" in tensors:
        for name, kind in (("k", "key"), ("v", "value")):
            past, present = tensors[f"past_{kind}"], tensors[f"present_{kind}"]
            if layout == "bshd":
                past, present = past.swapaxes(1, 2), present.swapaxes(1, 2)
            out[name] = np.concatenate((past, out[name]), axis=sequence)
            assert np.array_equal(present, out[name]), "present is past and new, one after another"
    heads = 3 - sequence
    batch, seqlen_q, seqlen_k = len(out["q"]), out["q"].shape[sequence], out["k"].shape[sequence]
    dtype = {"float32": "f32", "float16": "f16"}[str(out["q"].dtype)]
    words = {"sizes": [f"b{batch}", pair("h", out["q"].shape[heads], out["k"].shape[heads]),
                       f"q{seqlen_q}", f"k{seqlen_k}"],
             "dims": (out["k"].shape[3], out["v"].shape[3]),
             "type": [] if dtype == "f32" else [dtype], "mask": [], "softcap": [], "rest": []}
    causal, counted = keys_that_count(attributes, tensors, seqlen_q, seqlen_k)
    words["mask"] += causal
    if attributes.get("softcap"):
        words["softcap"] = [f"softcap={attributes['softcap']:g}"]
    if "attn_mask" in tensors:
        add_mask(tensors["attn_mask"], seqlen_k, out, words["mask"])
    if "scale" in attributes:
        words["rest"].append(f"scale={str(np.float32(attributes['scale']))}")
    if counted is not None:
        words["mask"].append("seqlens")
        out["seqlens_q"] = np.full(batch, seqlen_q, np.int32)
        out["seqlens_k"] = np.asarray(counted, np.int32)
    words["rest"] += [f"layout={layout}"] if layout == "bhsd" else []
    if "qk" in tensors:
        out["qk"] = tensors["qk"]
    return out, words


def case_of(words, stages, head_dim_v):
    """The case string with the mask, the softcap or neither."""
    options = [word for stage in ("mask", "softcap") if stage in stages for word in words[stage]]
    dims = [pair("d", words["dims"][0], head_dim_v)]
    return " ".join(words["sizes"] + dims + words["type"] + options + words["rest"])


def lines_of(name, attributes, tensors, words):
    """(name, case, what is compared) of the runs that one node test becomes."""
    yield name, case_of(words, ("softcap", "mask"), words["dims"][1]), "o"
    if "qk" in tensors:
        mode = attributes.get("qk_matmul_output_mode", 0)
        case = case_of(words, SCORES_OF_MODE[mode], tensors["qk"].shape[3])
        yield name, case, "probabilities" if mode == 3 else "scores"


def scores(case, tensors):
    """s of every query head, row and key, [batch, heads, q, k], as docs/semantics.md defines it."""
    words = dict(word.partition("=")[::2] for word in case.split())
    q, k = (tensors[name].astype(np.float64) for name in "qk")
    if words.get("layout") != "bhsd":
        q, k = q.swapaxes(1, 2), k.swapaxes(1, 2)
    k = k.repeat(q.shape[1] // k.shape[1], axis=1)
    s = q @ k.swapaxes(2, 3) * float(words.get("scale", 1 / np.sqrt(q.shape[3])))
    if "softcap" in words:
        s = float(words["softcap"]) * np.tanh(s / float(words["softcap"]))
    if "bias" in words:
        s = s + tensors["bias"]
    if "allowed" in words:
        s = np.where(tensors["allowed"], s, -np.inf)
    rows, keys = np.arange(s.shape[2])[:, None], np.arange(s.shape[3])
    lengths = (tensors["seqlens_k"] if "seqlens" in words else np.array([s.shape[3]]))
    lengths = lengths.reshape(-1, 1, 1, 1)
    s = np.where(keys < lengths, s, -np.inf)
    if "causal" in words:
        shift = 0 if words.get("align") == "top_left" else lengths - s.shape[2]
        s = np.where(keys <= rows + shift, s, -np.inf)
    return s


def check_line(line, tensors):
    """The largest error of what ONNX expects, relative to it or, of scores, absolute."""
    name, case, compared = line
    s = scores(case, tensors)
    p = np.exp(s - s.max(axis=3, keepdims=True))
    p /= p.sum(axis=3, keepdims=True)
    if compared == "o":
        v = tensors["v"].astype(np.float64)
        if "layout=bhsd" not in case:
            v = v.swapaxes(1, 2)
        got = p @ v.repeat(p.shape[1] // v.shape[1], axis=1)
        wanted = tensors["o"] if "layout=bhsd" in case else tensors["o"].swapaxes(1, 2)
    else:
        got, wanted = p if compared == "probabilities" else s, tensors["qk"]
    assert np.array_equal(np.isfinite(got), np.isfinite(wanted)), f"{name}: {compared}: infinities"
    finite = np.isfinite(wanted)
    assert not np.isnan(wanted).any(), f"{name}: NaN"
    size = 1.0 if compared == "scores" else np.abs(wanted[finite])
    error = (np.abs(got[finite] - wanted[finite]) / size).max()
    assert error < (6e-4 if "f16" in case else 1e-6), f"{name}: {compared} is {error:.2g} off"
    return error


def safetensors(tensors):
    """The bytes of a safetensors file; larger elements first, so that all are aligned."""
    kinds = {"float32": "F32", "float16": "F16", "int32": "I32", "bool": "BOOL"}
    header, data = {"__metadata__": {"source": f"onnx {ONNX_VERSION}, Apache-2.0"}}, b""
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        bytes_of_it = np.ascontiguousarray(tensor).tobytes()
        header[name] = {"dtype": kinds[str(tensor.dtype)], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(bytes_of_it)]}
        data += bytes_of_it
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def make():
    """{file name: its bytes}; checks every line on the way."""
    tests = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
    folders = [path for path in sorted(tests.glob(PREFIX + "*"))
               if not path.name.endswith("_expanded")]
    assert len(folders) == CASES, f"{len(folders)} cases, not {CASES}"
    every, lines, worst = {}, [], 0.0
    for folder in folders:
        name = folder.name.removeprefix(PREFIX)
        attributes, given = read_node_test(folder)
        tensors, words = convert(attributes, given)
        every |= {f"{name}/{key}": tensor for key, tensor in tensors.items()}
        for line in lines_of(name, attributes, tensors, words):
            error = check_line(line, tensors)
            worst = worst if "f16" in line[1] else max(worst, error)
            lines.append(" | ".join(line) + "\n")
    print(f"{CASES} cases, {len(lines)} lines; float64 is {worst:.2g} off at most (f32 cases)")
    return {"cases.txt": (HEADER + "".join(lines)).encode(),
            "cases.safetensors": safetensors(every)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build" / "onnx-venv",
                        help="a virtual environment, made where there is none")
    arguments = parser.parse_args()
    if onnx is None or onnx.__version__ != ONNX_VERSION:
        in_venv(arguments.venv)
    status = 0
    for name, contents in make().items():
        path = FOLDER / name
        if not arguments.check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
        same = path.exists() and path.read_bytes() == contents
        print(f"{path.relative_to(ROOT)}: {len(contents)} bytes{'' if same else ', DIFFERS'}")
        status |= not same
    sys.exit(status)


if __name__ == "__main__":
    main()
