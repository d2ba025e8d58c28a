#!/usr/bin/env python3
"""Importance matrices as llama-imatrix writes them: imatrix.gguf, imatrix.dat, imatrix_sum.gguf.

    python tests/reference/imatrix.py LLAMA_IMATRIX

Makes a small matrix with the gguf package (0.19), one of whose experts saw nothing, and has
llama-imatrix (llama.cpp 0.5.0-dev, 0c1e570) write it again in both forms, and the sum of these two. It wants a
model's name, which it does not open.
"""
import os
import subprocess
import sys
import tempfile

import gguf
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def entry(w, name, cols, counts):
    i = np.arange(cols * len(counts), dtype=np.float32).reshape(len(counts), cols)
    c = np.array(counts, dtype=np.float32).reshape(-1, 1)
    w.add_tensor(name + ".in_sum2", (i * i / 7 + 1) * (c > 0))
    w.add_tensor(name + ".counts", c)


def make(path):
    w = gguf.GGUFWriter(path, "")
    w.add_string("general.type", "imatrix")
    w.add_array("imatrix.datasets", ["calib.txt"])
    w.add_uint32("imatrix.chunk_count", 3)
    w.add_uint32("imatrix.chunk_size", 512)
    entry(w, "blk.0.ffn_up_exps.weight", 6, [700, 0, 5, 1000])
    entry(w, "blk.0.attn_q.weight", 8, [1536])
    entry(w, "blk.10.attn_q.weight", 8, [1536])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    with tempfile.TemporaryDirectory() as tmp:
        source = os.path.join(tmp, "in.gguf")
        make(source)
        out = [os.path.join(HERE, n) for n in ("imatrix.gguf", "imatrix.dat", "imatrix_sum.gguf")]
        run = [sys.argv[1], "-m", "none"]
        subprocess.run(run + ["--in-file", source, "-o", out[0]], check=True)
        subprocess.run(run + ["--in-file", source, "-o", out[1], "--output-format", "dat"],
                       check=True)
        subprocess.run(run + ["--in-file", out[1], "--in-file", out[0], "-o", out[2]], check=True)


main()
