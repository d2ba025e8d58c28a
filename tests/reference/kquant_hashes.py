#!/usr/bin/env python3
"""Writes kquant_hashes.h: what llama.cpp's quantizers of K types make of fixed numbers.

    python3 tests/reference/kquant_hashes.py .../libggml-base.so > tests/reference/kquant_hashes.h

The library is in the wheel of llama-cpp-python (llama_cpp/lib), or is built from llama.cpp with
BUILD_SHARED_LIBS. test_kquant.c has the same generators, on the random numbers of
tests/quantize_simple.h; all of them are exact in floats. A row holds type, kind of values, kind of
importance, and the FNV-1a hash of the 64-bit kind over the bytes of 7 rows of 768.
"""
import ctypes
import sys

import numpy as np

from draws import fnv

ROWS, COLS = 7, 768
N = ROWS * COLS
TYPES = {"Q2_K": 84, "Q3_K": 110, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210}
KINDS = ["NORMAL", "SPARSE", "OUTLIERS", "TIES", "NEGATIVE", "FADING", "TINY", "CONSTANT"]
WEIGHTS = ["NONE", "UNIFORM", "GAPS", "ZERO", "SIGNED"]
I = np.arange(N, dtype=np.uint64)


def bits(seed, i):
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (i + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def normal(seed, i):
    r = bits(seed, i)
    parts = [(r >> np.uint64(s)) & np.uint64(0xFFFF) for s in (0, 16, 32, 48)]
    total = sum(p.astype(np.int64) for p in parts) - 131070
    return total.astype(np.float32) * (np.float32(1) / np.float32(37837))


def uniform(seed, i):
    return (bits(seed, i) >> np.uint64(40)).astype(np.float32) * np.float32(2.0 ** -24)


def values(kind):
    x = normal(1, I) * np.float32(0.0625)
    if kind == "SPARSE":
        return np.where(bits(2, I // np.uint64(16)) % np.uint64(4) == 0, x, np.float32(0))
    if kind == "OUTLIERS":
        return np.where(bits(2, I) % np.uint64(97) == 0, x * np.float32(64), x)
    if kind == "TIES":
        steps = (bits(2, I) % np.uint64(33)).astype(np.int64) - 16
        return steps.astype(np.float32) * np.float32(1 / 256)
    if kind == "NEGATIVE":
        lower = bits(2, I // np.uint64(32)) % np.uint64(2) == 0
        return -np.abs(x) - np.where(lower, np.float32(0.125), np.float32(0))
    if kind == "FADING":
        return x * np.exp2(-(I // np.uint64(16) % np.uint64(20)).astype(np.float32))
    if kind == "TINY":
        return x * np.float32(2.0 ** -40) * np.float32(2.0 ** -95)
    if kind == "CONSTANT":
        return np.where(I // np.uint64(256) % np.uint64(2) == 0, np.float32(-0.25),
                        np.float32(0.375))
    return x


def importance(kind):
    i = I[:COLS]
    u = uniform(3, i)
    if kind == "NONE":
        return None
    if kind == "GAPS":
        return np.where(i // np.uint64(32) % np.uint64(3) == 0, np.float32(0), u)
    if kind == "ZERO":
        return np.zeros(COLS, np.float32)
    return normal(3, i) if kind == "SIGNED" else u


def main():
    lib = ctypes.CDLL(sys.argv[1])
    print("/* Written by kquant_hashes.py with llama.cpp; do not edit. */")
    for name, size in TYPES.items():
        quantize = getattr(lib, f"quantize_{name[:2].lower()}_K")
        quantize.restype = ctypes.c_size_t
        quantize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                             ctypes.c_void_p]
        for kind in KINDS:
            for weight in WEIGHTS:
                x = np.ascontiguousarray(values(kind), dtype=np.float32)
                w = importance(weight)
                if w is not None:
                    w = np.ascontiguousarray(w, dtype=np.float32)
                out = np.zeros(N // 256 * size, np.uint8)
                n = quantize(x.ctypes.data, out.ctypes.data, ROWS, COLS,
                             None if w is None else w.ctypes.data)
                assert n == out.size
                print(f"{{KERN_{name}, {kind}, {weight}, 0x{fnv(out.tobytes()):016x}}},")


main()
