"""ONNX Runtime's attention operators on the CPU, inputs and outputs bound once.

SPDX-License-Identifier: Apache-2.0
usage: onnxruntime_peer.py THREADS      answers on stdout as worker.py says

MultiHeadAttention and GroupQueryAttention are of com.microsoft, Attention is of ONNX itself. Which
of them have a kernel without a score matrix depends on the case: all that can express it are timed.
"""

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper

from worker import load, serve

TYPES = {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
ATTENTION_OPSET = 23
# An operator that makes the whole score matrix is not tried beyond this.
MOST_SCORE_BYTES = 2 << 30


def node_of(operator, case):
    """One node and the names of its further inputs."""
    heads = {"num_heads": case.heads}
    if operator == "GroupQueryAttention":
        names = ["q", "k", "v", "", "", "seqlens_k", "total_sequence_length"]
        window = case.window + 1 if case.window >= 0 else -1
        return helper.make_node(operator, names, ["o", "present_k", "present_v"],
                                domain="com.microsoft", kv_num_heads=case.heads_kv,
                                local_window_size=window, **heads)
    if operator == "MultiHeadAttention":
        names = ["q", "k", "v"] + (["", "", "bias"] if case.bias else [])
        return helper.make_node(operator, names, ["o"], domain="com.microsoft",
                                unidirectional=int(case.causal), **heads)
    names = ["q", "k", "v"] + (["bias"] if case.bias or case.window >= 0 else [])
    heads = {} if case.bhsd else {"q_num_heads": case.heads, "kv_num_heads": case.heads_kv}
    return helper.make_node("Attention", names, ["o"],
                            is_causal=int(case.causal and case.window < 0), **heads)


def expressible(operator, case):
    """Whether the operator has words for the case."""
    if operator == "GroupQueryAttention":
        return case.causal and not case.bias and not case.bhsd
    if operator == "MultiHeadAttention":
        return case.heads == case.heads_kv and case.window < 0 and not case.bhsd
    return True


def makes_scores(operator, case):
    """As far as is known of this library: Attention always does, MultiHeadAttention where it is
    causal or has a bias."""
    if operator == "MultiHeadAttention":
        return case.causal or case.bias
    return operator == "Attention"


def window_mask(case):
    row = numpy.arange(case.seqlen)
    before = row[:, None] - row[None, :]
    return (before >= 0) & (before <= case.window)


class OnnxRuntime:
    def __init__(self, threads):
        self.threads = threads

    def about(self):
        return {"name": "ONNX Runtime", "version": onnxruntime.__version__,
                "threads": self.threads}

    def inputs(self, case, folder):
        """{name: array} of everything that some operator reads."""
        arrays = {}
        for name in "qkv":
            array = load(folder, name)
            arrays[name] = (numpy.ascontiguousarray(array.transpose(0, 2, 1, 3)) if case.bhsd
                            else array.reshape(case.batch, case.seqlen, -1))
        if case.bias:
            arrays["bias"] = load(folder, "bias")
        elif case.window >= 0:
            arrays["bias"] = window_mask(case)
        arrays["seqlens_k"] = numpy.full(case.batch, case.seqlen - 1, numpy.int32)
        arrays["total_sequence_length"] = numpy.array([case.seqlen], numpy.int32)
        return arrays

    def model(self, operator, case, arrays):
        node = node_of(operator, case)
        element = {name: TYPES[case.dtype] for name in ("q", "k", "v")}
        used = [name for name in node.input if name]
        inputs = [helper.make_tensor_value_info(
            name, element.get(name) or helper.np_dtype_to_tensor_dtype(arrays[name].dtype),
            arrays[name].shape) for name in used]
        outputs = [helper.make_tensor_value_info(name, TYPES[case.dtype], None)
                   for name in node.output]
        graph = helper.make_graph([node], "attention", inputs, outputs)
        opsets = [helper.make_opsetid("", ATTENTION_OPSET),
                  helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10), used

    def session(self, operator, case, arrays):
        """A function that runs the operator once and returns its first output."""
        if makes_scores(operator, case) and case.score_bytes() > MOST_SCORE_BYTES:
            raise MemoryError(f"not tried: it holds {case.score_bytes() >> 30} GiB of scores")
        model, used = self.model(operator, case, arrays)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        for name in used:
            if case.dtype == "bf16" and name in ("q", "k", "v"):
                value = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
                    arrays[name], TensorProto.BFLOAT16)
            else:
                value = onnxruntime.OrtValue.ortvalue_from_numpy(arrays[name])
            binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            binding.bind_output(output.name)
        session.run_with_iobinding(binding)
        made = binding.get_outputs()
        for output, value in zip(session.get_outputs(), made):
            binding.bind_ortvalue_output(output.name, value)

        def run():
            session.run_with_iobinding(binding)
            return made[0]
        return run

    def calls(self, case, folder):
        arrays = self.inputs(case, folder)
        return {operator: lambda operator=operator: self.session(operator, case, arrays)
                for operator in ("MultiHeadAttention", "GroupQueryAttention", "Attention")
                if expressible(operator, case)}

    def output(self, o, case):
        array = o.numpy().astype(numpy.float32)
        if case.bhsd:
            return numpy.ascontiguousarray(array.transpose(0, 2, 1, 3))
        return array.reshape(case.batch, case.seqlen, case.heads, case.head_dim)


if __name__ == "__main__":
    onnxruntime.set_default_logger_severity(3)
    serve(OnnxRuntime)
