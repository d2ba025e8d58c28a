#!/usr/bin/env python3
"""Writes quantized.h: FNV-1a hashes of what llama.cpp's quantizers make of fixed matrices.

    python3 tests/reference/quantized.py build/tests/make_quantized libggml-base.so > quantized.h

The matrices are those of tests/quantized_input.h; make_quantized writes them, floats and then
importance, to the file it is given. The library is llama.cpp's (a shared build of it has
libggml-base.so); ggml_quantize_chunk is called through ctypes.
"""
import ctypes
import subprocess
import sys
import tempfile

from draws import fnv

TYPES = {"F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11,
         "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "IQ4_NL": 20, "IQ4_XS": 23, "BF16": 30, "TQ2_0": 35,
         "MXFP4": 39}
ROWS, COLS, KINDS = 8, 512, 10


def main():
    make, library = sys.argv[1:]
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run([make, f.name], check=True)
        data = open(f.name, "rb").read()
    ggml = ctypes.CDLL(library)
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p] + \
        [ctypes.c_int64] * 3 + [ctypes.c_char_p]
    size = 4 * ROWS * COLS
    print("/* Written by quantized.py with llama.cpp; do not edit. */")
    for name, number in TYPES.items():
        for weighted in (0, 1):
            out = b""
            for kind in range(KINDS):
                at = kind * (size + 4 * COLS)
                dst = ctypes.create_string_buffer(size)
                n = ggml.ggml_quantize_chunk(number, data[at:at + size], dst, 0, ROWS, COLS,
                                             data[at + size:at + size + 4 * COLS] if weighted
                                             else None)
                out += dst.raw[:n]
            print(f"{{KERN_{name}, {weighted}, 0x{fnv(out):016x}}},")


main()
