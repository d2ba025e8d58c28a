#!/usr/bin/env python3
"""layouts.py - words of quantized matrices as the libraries that read them pack them

    layouts.py AUTO_GPTQ AUTO_AWQ > tests/reference/layouts.tsv

The arguments are unpacked packages (auto-gptq 0.7.1, autoawq 0.2.9; their packing functions are
loaded from single files, so that nothing of theirs is built); compressed-tensors 0.20.1 and torch
are installed. Codes and zeros come from draws.py's generator, which tests/test_layout.c has, too:
scale 1 makes weights out of codes exactly. A line is a case, a tensor and its FNV-1a hash.
"""
import ast
import importlib.util
import sys
import types

import numpy as np
import torch

from draws import Rng, fnv


def matrix(bits, rows, cols, group):
    """codes [rows, cols] and zeros [rows, groups] from 1; the same draws as in the test"""
    r = Rng(bits)
    groups = cols // group
    code = np.array([r.below(1 << bits) for _ in range(rows * cols)]).reshape(rows, cols)
    zero = np.array([1 + r.below((1 << bits) - 1) for _ in range(rows * groups)])
    return code, zero.reshape(rows, groups)


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def linear(code, zero, group):
    weight = code - np.repeat(zero, group, axis=1)
    layer = torch.nn.Linear(code.shape[1], code.shape[0], bias=False)
    layer.weight.data = torch.tensor(weight, dtype=torch.float32)
    return layer


def gptq(module, bits, code, zero, group):
    rows, cols = code.shape
    q = module.QuantLinear(bits, group, cols, rows, False)
    ones = torch.ones(zero.shape, dtype=torch.float32)
    q.pack(linear(code, zero, group), ones, torch.tensor(zero, dtype=torch.float32))
    return {"qweight": q.qweight, "qzeros": q.qzeros}


def awq(path, code, zero, group):
    """The class of the packer alone: its file imports kernels that are not there."""
    tree = ast.parse(open(path).read())
    wanted = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "WQLinear_GEMM"]
    scope = {"torch": torch, "nn": torch.nn, "get_best_device": lambda: "cpu"}
    exec(compile(ast.Module(wanted, []), path, "exec"), scope)
    zeros = torch.tensor(zero.T.copy(), dtype=torch.float32)
    q = scope["WQLinear_GEMM"].from_linear(linear(code, zero, group), 4, group, False,
                                           torch.ones(zeros.shape), zeros)
    return {"qweight": q.qweight, "qzeros": q.qzeros}


def packed(bits, code, zero):
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
    offset = 1 << (bits - 1)
    signed = torch.tensor(code - offset, dtype=torch.int8)
    zeros = torch.tensor(zero - offset, dtype=torch.int8)
    return {"weight_packed": pack_to_int32(signed, bits),
            "weight_zero_point": pack_to_int32(zeros, bits, packed_dim=0).contiguous()}


def main():
    import transformers.pytorch_utils  # noqa: F401  what AutoGPTQ looks into
    module = load(sys.argv[1] + "/auto_gptq/nn_modules/qlinear/qlinear_cuda.py", "qlinear")
    print("layout\tbits\trows\tcols\tgroup\ttensor\tfnv")
    for bits, rows, cols, group in ((2, 64, 128, 64), (3, 96, 192, 64), (4, 64, 128, 32),
                                    (8, 32, 64, 64)):
        code, zero = matrix(bits, rows, cols, group)
        made = [("gptq", gptq(module, bits, code, zero, group))]
        if bits == 4:
            made.append(("awq", awq(sys.argv[2] + "/awq/modules/linear/gemm.py", code, zero,
                                    group)))
        if bits in (4, 8):
            made.append(("compressed-tensors", packed(bits, code, zero)))
        for layout, tensors in made:
            for name, t in tensors.items():
                data = t.numpy().astype("<i4").tobytes()
                print(f"{layout}\t{bits}\t{rows}\t{cols}\t{group}\t{name}\t{fnv(data):016x}")


main()
