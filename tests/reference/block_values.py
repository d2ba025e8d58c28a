#!/usr/bin/env python3
"""Writes block_values.h: what gguf-py (package gguf, gguf.quants) makes of fixed bytes.

    python3 tests/reference/block_values.py > tests/reference/block_values.h

The bytes come from the generator that test_types.c has too: x = x * 1664525 + 1013904223
(mod 2^32) from x = type number, one byte x >> 24 a step; then bit 14 of every half is cleared so
that scales are finite, and bit 7 of MXFP4's exponent. A row holds the FNV-1a hash of the 64-bit
kind over the float bits of 64 blocks, and the first four and last four values.
"""
import numpy as np
import gguf
from gguf.quants import dequantize

from draws import fnv

HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
          "IQ4_NL": [0], "IQ4_XS": [0], "TQ2_0": [64], "MXFP4": [], "F16": [0], "BF16": []}
BLOCKS = 64


def source(name, size):
    x = int(gguf.GGMLQuantizationType[name])
    out = bytearray()
    for _ in range(size * BLOCKS):
        x = (x * 1664525 + 1013904223) & 0xffffffff
        out.append(x >> 24)
    for b in range(BLOCKS):
        for h in HALVES[name]:
            out[b * size + h + 1] &= 0xbf
        if name == "MXFP4":
            out[b * size] &= 0x7f
    return np.frombuffer(bytes(out), dtype=np.uint8)


print("/* Written by block_values.py with gguf-py; do not edit. */")
for name in HALVES:
    kind = gguf.GGMLQuantizationType[name]
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = source(name, size)
    if name == "F16":
        y = data.view(np.float16).astype(np.float32)
    else:
        y = dequantize(data, kind).astype(np.float32)
    y = y.reshape(-1)
    first, last = (", ".join(float(v).hex() for v in part) for part in (y[:4], y[-4:]))
    print(f'{{KERN_{name}, "{name}", {y.size}, 0x{fnv(y.tobytes()):016x},')
    print(f" {{{first},\n  {last}}}}},")
