"""PyTorch's scaled_dot_product_attention on the CPU, called as users call it.

SPDX-License-Identifier: Apache-2.0
usage: torch_peer.py THREADS      answers on stdout as worker.py says
"""

import numpy
import torch

from worker import load, serve


class Torch:
    """Tensors are made once; masks too, since a model keeps them. Outputs are PyTorch's own."""

    def __init__(self, threads):
        torch.set_num_threads(threads)
        self.threads = threads

    def about(self):
        return {"name": "PyTorch", "version": torch.__version__, "threads": self.threads,
                "cpu": torch.backends.cpu.get_cpu_capability()}

    def tensor(self, folder, name, case):
        """[batch, heads, seqlen, dim]: contiguous, or a view of [batch, seqlen, heads, dim]."""
        array = torch.from_numpy(load(folder, name))
        if case.dtype == "bf16":
            array = array.view(torch.bfloat16)
        heads_first = array.transpose(1, 2)
        return heads_first.contiguous() if case.bhsd else heads_first

    def mask(self, folder, case):
        if case.bias:
            return torch.from_numpy(load(folder, "bias"))
        if case.window < 0:
            return None
        row = torch.arange(case.seqlen)
        before = row[:, None] - row[None, :]
        return (before >= 0) & (before <= case.window)

    def calls(self, case, folder):
        q, k, v = (self.tensor(folder, name, case) for name in "qkv")
        mask = self.mask(folder, case)
        causal = case.causal and mask is None

        def attention(**more):
            def run():
                with torch.inference_mode():
                    return torch.nn.functional.scaled_dot_product_attention(
                        q, k, v, attn_mask=mask, is_causal=causal, **more)
            return lambda: run

        def repeated():
            group = case.heads // case.heads_kv

            def run():
                with torch.inference_mode():
                    return torch.nn.functional.scaled_dot_product_attention(
                        q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1),
                        attn_mask=mask, is_causal=causal)
            return run

        if case.heads == case.heads_kv:
            return {"sdpa": attention()}
        return {"sdpa, enable_gqa": attention(enable_gqa=True), "sdpa, heads repeated": repeated}

    def output(self, o, _):
        return o.transpose(1, 2).float().contiguous().numpy().astype(numpy.float32)


if __name__ == "__main__":
    serve(Torch)
