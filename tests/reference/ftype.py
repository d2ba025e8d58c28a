#!/usr/bin/env python3
"""Which type llama-quantize gives each tensor of some models, for each of its mixes.

usage: ftype.py PATH/TO/llama-quantize >ftype.tsv

Writes the models into a temporary folder with the gguf package (headers true, weights zero) and
asks llama-quantize --dry-run, once without and once with an importance matrix. Prints

    model   NAME ARCH LAYERS HEADS KV_HEADS EXPERTS
    tensor  NAME NE0 NE1 NE2        blk.A-B. is a row of layers
    types   MODEL MIX IMATRIX TYPES... a column for each tensor line; of a row of layers
                                    "q6_K*2 q4_K" is layer by layer. IMATRIX: 0, 1, or -
                                    where it is all the same
"""
import itertools
import re
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np

MIXES = ("f32 f16 bf16 q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 iq4_nl iq4_xs"
         " mxfp4_moe q3_k_m q3_k_l q3_k_s q2_k q2_k_s tq2_0").split()


def attention(layers, d, heads, kv_heads, dk):
    return [(f"blk.0-{layers - 1}.{name}", *ne) for name, ne in (
        ("attn_norm.weight", (d, 1, 1)),
        ("attn_q.weight", (d, heads * dk, 1)),
        ("attn_k.weight", (d, kv_heads * dk, 1)),
        ("attn_v.weight", (d, kv_heads * dk, 1)),
        ("attn_output.weight", (heads * dk, d, 1)))]


def dense(first, last, d, ff):
    return [(f"blk.{first}-{last}.ffn_gate.weight", d, ff, 1),
            (f"blk.{first}-{last}.ffn_up.weight", d, ff, 1),
            (f"blk.{first}-{last}.ffn_down.weight", ff, d, 1)]


def experts(first, last, d, ff, n):
    return [(f"blk.{first}-{last}.ffn_gate_inp.weight", d, n, 1),
            (f"blk.{first}-{last}.ffn_gate_exps.weight", d, ff, n),
            (f"blk.{first}-{last}.ffn_up_exps.weight", d, ff, n),
            (f"blk.{first}-{last}.ffn_down_exps.weight", ff, d, n)]


def ends(d, tied):
    return [("token_embd.weight", d, 64, 1), ("output_norm.weight", d, 1, 1)] + (
        [] if tied else [("output.weight", d, 64, 1)])


# name: architecture, layers, heads, KV heads, experts, tensors
MODELS = {
    "gqa": ("llama", 32, 8, 2, 0,
            ends(256, 0) + attention(32, 256, 8, 2, 32) + dense(0, 31, 256, 512)),
    "no-gqa": ("llama", 24, 4, 4, 0,
               ends(256, 1) + attention(24, 256, 4, 4, 64) + dense(0, 23, 256, 256)),
    "large": ("llama", 80, 8, 2, 0,
              ends(256, 0) + attention(80, 256, 8, 2, 32) + dense(0, 79, 256, 256)),
    "qwen2-large": ("qwen2", 80, 8, 4, 0,
                    ends(256, 0) + attention(80, 256, 8, 4, 32) + dense(0, 79, 256, 256)),
    "eight": ("llama", 16, 8, 2, 8,
              ends(256, 0) + attention(16, 256, 8, 2, 32) + experts(0, 15, 256, 256, 8)),
    "eight-split": ("llama", 4, 4, 2, 8,
                    ends(256, 0) + attention(4, 256, 4, 2, 64) +
                    [(f"blk.0-3.ffn_{part}.{i}.weight", 256, 256, 1)
                     for i in range(8) for part in ("gate", "up", "down")]),
    "many": ("qwen3moe", 12, 4, 1, 16,
             ends(256, 0) + attention(12, 256, 4, 1, 128) +
             [("blk.0-11.attn_q_norm.weight", 128, 1, 1)] + experts(0, 11, 256, 256, 16)),
    "latent": ("deepseek2", 9, 4, 4, 4,
               ends(256, 0) + dense(0, 0, 256, 512) + experts(1, 8, 256, 256, 4) +
               [("blk.0-8.attn_kv_a_mqa.weight", 256, 96, 1),
                ("blk.0-8.attn_kv_b.weight", 64, 256, 1),
                ("blk.0-8.attn_output.weight", 256, 256, 1),
                ("blk.1-8.ffn_down_shexp.weight", 256, 256, 1),
                ("blk.1-8.ffn_up_shexp.weight", 256, 256, 1),
                ("blk.1-8.exp_probs_b.bias", 4, 1, 1)]),
    "gemma": ("gemma3", 18, 4, 1, 0,
              ends(640, 1) + attention(18, 640, 4, 1, 256) + dense(0, 17, 640, 2048) +
              [("blk.0-17.post_ffw_norm.weight", 640, 1, 1)]),
    "falcon": ("falcon", 32, 4, 1, 0,
               ends(256, 0) + [("blk.0-31.attn_qkv.weight", 256, 384, 1),
                               ("blk.0-31.attn_output.weight", 256, 256, 1),
                               ("blk.0-31.ffn_up.weight", 256, 512, 1),
                               ("blk.0-31.ffn_down.weight", 512, 256, 1)]),
    "odd": ("llama", 8, 4, 4, 0,
            ends(96, 0) + attention(8, 96, 4, 4, 10) + dense(0, 7, 96, 100)),
}
TAIL = {"deepseek2": {"attention.kv_lora_rank": 64, "attention.key_length": 96,
                      "attention.value_length": 64, "attention.key_length_mla": 64,
                      "attention.value_length_mla": 64, "rope.dimension_count": 32,
                      "leading_dense_block_count": 1, "expert_feed_forward_length": 256,
                      "expert_shared_count": 1, "attention.q_lora_rank": 64},
        "qwen3moe": {"expert_feed_forward_length": 256},
        "gemma3": {"attention.sliding_window": 512}}
FLOATS = {"deepseek2": {"expert_weights_scale": 1.0, "rope.scaling.yarn_log_multiplier": 0.1}}


def expand(tensors):
    for name, *ne in tensors:
        m = re.match(r"blk\.(\d+)-(\d+)\.(.*)", name)
        if not m:
            yield name, ne
            continue
        for i in range(int(m[1]), int(m[2]) + 1):
            yield f"blk.{i}.{m[3]}", ne


def write(path, arch, layers, heads, kv_heads, n_experts, tensors):
    w = gguf.GGUFWriter(path, arch)
    d = tensors[0][1]
    for key, value in {"context_length": 512, "embedding_length": d, "feed_forward_length": 256,
                       "block_count": layers, "attention.head_count": heads,
                       "attention.head_count_kv": kv_heads, "vocab_size": 64,
                       **({"expert_count": n_experts, "expert_used_count": 2} if n_experts else {}),
                       **TAIL.get(arch, {})}.items():
        w.add_uint32(f"{arch}.{key}", value)
    for key, value in {"attention.layer_norm_rms_epsilon": 1e-5,
                       "attention.layer_norm_epsilon": 1e-5, **FLOATS.get(arch, {})}.items():
        w.add_float32(f"{arch}.{key}", value)
    for name, ne in expand(tensors):
        shape = [n for n in reversed(ne)]
        while len(shape) > 1 and shape[0] == 1:
            del shape[0]
        w.add_tensor(name, np.zeros(shape, np.float32 if len(shape) == 1 else np.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_imatrix(path):
    """A legacy file with one entry: that there is one is all that the choice of types asks."""
    name = b"blk.0.ffn_down.weight"
    with open(path, "wb") as f:
        f.write(struct.pack("<ii", 1, len(name)) + name + struct.pack("<iif", 1, 1, 1.0))
        f.write(struct.pack("<ii", 1, 1) + b"x")


def runs(types):
    groups = [(t, len(list(g))) for t, g in itertools.groupby(types)]
    return " ".join(t if n == 1 else f"{t}*{n}" for t, n in groups)


def ask(tool, model, mix, imatrix):
    """The types by tensor."""
    args = [tool, "--dry-run"] + (["--imatrix", imatrix] if imatrix else []) + [model, mix]
    run = subprocess.run(args, capture_output=True, text=True)
    text = run.stdout + run.stderr
    if run.returncode:
        sys.exit(f"{' '.join(args)}: {text[-600:]}")
    types = {}
    for line in text.splitlines():
        m = re.match(r"\[ *\d+/ *\d+\] (\S+) .*type = *(\S+), size =.*?(?:\((\S+)\))?$", line)
        if m:
            types[m[1]] = m[3] or m[2]
    return types


def columns(tool, path, mix, imatrix, tensors):
    types = ask(tool, path, mix, imatrix)
    assert len(types) == sum(1 for _ in expand(tensors)), path
    return [runs([types[name] for name, _ in expand([tensor])]) for tensor in tensors]


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        imatrix = folder + "/imatrix.dat"
        write_imatrix(imatrix)
        for name, model in MODELS.items():
            arch, layers, heads, kv_heads, n_experts, tensors = model
            path = f"{folder}/{name}.gguf"
            write(path, *model)
            print("model", name, arch, layers, heads, kv_heads, n_experts, sep="\t")
            for tensor in tensors:
                print("tensor", *tensor, sep="\t")
            for mix in MIXES:
                plain = columns(tool, path, mix, None, tensors)
                important = columns(tool, path, mix, imatrix, tensors)
                for label, row in ([("-", plain)] if plain == important
                                   else [(0, plain), (1, important)]):
                    print("types", name, mix, label, *row, sep="\t")


main()
