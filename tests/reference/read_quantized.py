#!/usr/bin/env python3
"""read_quantized.py - reads a folder that llm-quant wrote, and compares it with a GGUF file

    read_quantized.py FOLDER GGUF

FOLDER holds quantized matrices as GPTQ, AWQ or compressed-tensors have them; GGUF the same model
with its matrices as floats (--type f32). Every quantized module must have the very values of its
tensor there, and every norm and bias too, where the folder's type can hold them. Written after the
descriptions of the formats, with numpy and safetensors (for reading files) alone; exits 77 when
these are missing.
"""
import json
import os
import re
import struct
import sys

try:
    import numpy as np
    from safetensors import safe_open
except ImportError:
    sys.exit(77)

AWQ_PLACE = [0, 4, 1, 5, 2, 6, 3, 7]  # which four bits of a word column i of eight has

# ---- quantized modules ---------------------------------------------------------------------


def bits_of(words, bits, n):
    """words[..., w] as strings of bits, the first lowest -> values [..., n]"""
    w = words.astype(np.int64) & 0xFFFFFFFF
    all_bits = (w[..., :, None] >> np.arange(32)) & 1
    all_bits = all_bits.reshape(*w.shape[:-1], -1)[..., : n * bits]
    return (all_bits.reshape(*w.shape[:-1], n, bits) << np.arange(bits)).sum(-1)


def awq_words(words):
    """[r, w] -> [r, 8 w]"""
    w = words.astype(np.int64) & 0xFFFFFFFF
    fours = np.stack([(w >> 4 * p) & 15 for p in AWQ_PLACE], -1)
    return fours.reshape(w.shape[0], -1)


def values_of(t, method, bits, group, symmetric):
    """Tensors of a module by suffix -> float32 [rows, cols]"""
    if method == "gptq":
        scales = t["scales"].astype(np.float32)
        rows, cols = scales.shape[1], t["g_idx"].shape[0]
        code = bits_of(t["qweight"].T, bits, cols)
        zero = bits_of(t["qzeros"], bits, rows).T + 1
        return scales.T[:, t["g_idx"]] * (code - zero[:, t["g_idx"]]).astype(np.float32)
    if method == "awq":
        scales = t["scales"].astype(np.float32)
        code, zero = awq_words(t["qweight"]), awq_words(t["qzeros"])
        index = np.arange(code.shape[0]) // (group if group > 0 else code.shape[0])
        return (scales[index] * (code - zero[index]).astype(np.float32)).T
    rows, cols = t["weight_shape"]
    scales = t["weight_scale"].astype(np.float32)
    code = bits_of(t["weight_packed"], bits, cols)
    zero = np.full(scales.shape, 1 << (bits - 1))
    if not symmetric:
        zero = bits_of(t["weight_zero_point"].T, bits, rows).T
    index = t.get("weight_g_idx")
    if index is None:
        index = np.arange(cols) // (group if group and group > 0 else cols)
    return scales[:, index] * (code - zero[:, index]).astype(np.float32)


def scheme_of(config):
    q = config["quantization_config"]
    method = q["quant_method"]
    if method != "compressed-tensors":
        return method, q["bits"], q["group_size"], q.get("sym")
    w = q["config_groups"]["group_0"]["weights"]
    return method, w["num_bits"], w["group_size"], w["symmetric"]


SUFFIXES = ("qweight", "qzeros", "scales", "g_idx", "weight_packed", "weight_scale",
            "weight_zero_point", "weight_g_idx", "weight_shape")


def read_folder(path):
    """modules {name: {suffix: array}}, other tensors {name: (array, type)}"""
    index = os.path.join(path, "model.safetensors.index.json")
    files = ["model.safetensors"]
    if os.path.exists(index):
        named = json.load(open(index))
        files = sorted(set(named["weight_map"].values()))
    modules, other = {}, {}
    for file in files:
        file = os.path.join(path, file)
        raw = open(file, "rb").read()
        length = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + length])
        with safe_open(file, "np") as f:
            for name in f.keys():
                module, _, suffix = name.rpartition(".")
                if suffix in SUFFIXES:
                    modules.setdefault(module, {})[suffix] = f.get_tensor(name)
                    continue
                entry = header[name]
                begin, end = entry["data_offsets"]
                data = raw[8 + length + begin:8 + length + end]
                other[name] = floats(data, entry["dtype"]).reshape(entry["shape"]), entry["dtype"]
    return modules, other


def floats(data, dtype):
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[dtype]).astype(np.float32)


# ---- GGUF ----------------------------------------------------------------------------------


class Gguf:
    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
               12: "d"}

    def __init__(self, path):
        self.data = open(path, "rb").read()
        self.at = 8
        tensors, keys = self.take("QQ")
        self.keys = {}
        for _ in range(keys):
            key = self.text()
            self.keys[key] = self.value(self.take("I")[0])
        self.tensors = {}
        for _ in range(tensors):
            name = self.text()
            dims = self.take("I")[0]
            shape = self.take("Q" * dims)
            kind, offset = self.take("IQ")
            self.tensors[name] = shape[::-1], kind, offset
        align = self.keys.get("general.alignment", 32)
        self.start = (self.at + align - 1) // align * align

    def take(self, form):
        v = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return v

    def text(self):
        n = self.take("Q")[0]
        self.at += n
        return self.data[self.at - n:self.at].decode("utf-8", "replace")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, n = self.take("IQ")
            return [self.value(kind) for _ in range(n)]
        return self.take(self.SCALARS[kind])[0]

    def array(self, name):
        shape, kind, offset = self.tensors[name]
        dtype = {0: "F32", 1: "F16", 30: "BF16"}[kind]
        n = int(np.prod(shape)) * (4 if kind == 0 else 2)
        at = self.start + offset
        return floats(self.data[at:at + n], dtype).reshape(shape)


NAMES = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
         "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down", "w1": "ffn_gate",
         "w3": "ffn_up", "w2": "ffn_down"}


def unpermute(g, name, w):
    """Rows of Q and K lie as interleaved pairs in files of llama.cpp's llama."""
    arch = g.keys["general.architecture"]
    if arch != "llama" or name not in ("attn_q", "attn_k"):
        return w
    heads = g.keys[arch + ".attention.head_count" + ("_kv" if name == "attn_k" else "")]
    return w.reshape(heads, w.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def tensor_of(g, module):
    """What the GGUF has for a module of the folder."""
    layer = re.search(r"layers\.(\d+)\.", module).group(1)
    last = module.rsplit(".", 1)[1]
    name = NAMES[last]
    expert = re.search(r"experts\.(\d+)\.", module)
    if expert:
        return g.array(f"blk.{layer}.{name}_exps.weight")[int(expert.group(1))]
    if "shared_expert" in module:
        return g.array(f"blk.{layer}.{name}_shexp.weight")
    return unpermute(g, name, g.array(f"blk.{layer}.{name}.weight"))


# ---- comparing -----------------------------------------------------------------------------


def rounded(v, dtype):
    if dtype == "F16":
        return v.astype(np.float16).astype(np.float32)
    if dtype == "BF16":
        u = np.ascontiguousarray(v, np.float32).view(np.uint32).astype(np.uint64)
        u = (u + 0x7FFF + (u >> 16 & 1)) & 0xFFFF0000
        return u.astype(np.uint32).view(np.float32)
    return v


def compare_norms(g, other):
    """Norms of layers, which AWQ changes: as many as were found."""
    gemma = g.keys["general.architecture"] == "gemma3"
    names = {"input_layernorm": "attn_norm",
             "pre_feedforward_layernorm" if gemma else "post_attention_layernorm": "ffn_norm"}
    n = 0
    for name, (value, dtype) in other.items():
        found = re.search(r"layers\.(\d+)\.(\w+)\.weight$", name)
        if not found or found.group(2) not in names:
            continue
        want = g.array(f"blk.{found.group(1)}.{names[found.group(2)]}.weight") - gemma
        if not np.array_equal(rounded(want, dtype), value):
            sys.exit(f"{name}: differs from the GGUF")
        n += 1
    return n


def main():
    folder, file = sys.argv[1:]
    config = json.load(open(os.path.join(folder, "config.json")))
    scheme = scheme_of(config)
    modules, other = read_folder(folder)
    g = Gguf(file)
    for module, tensors in modules.items():
        got, want = values_of(tensors, *scheme), tensor_of(g, module)
        if got.shape != want.shape:
            sys.exit(f"{module}: {got.shape}, expected {want.shape}")
        if not np.array_equal(got, want):
            sys.exit(f"{module}: {(got != want).sum()} of {got.size} values differ")
    print(f"{len(modules)} modules and {compare_norms(g, other)} norms are the same")


main()
