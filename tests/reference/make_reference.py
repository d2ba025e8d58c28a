#!/usr/bin/env python3
"""Make the numbers that tests/test_logits.c compares with, through llama.cpp and numpy.

usage: make_reference.py MAKE_MODELS TINY_MOE.gguf

MAKE_MODELS is build/tests/make_models. Needs llama-cpp-python, gguf and numpy; takes some
minutes. Writes next to itself what README.md lists. Reports on stdout, and stops where
llama.cpp and forward.py disagree by more than float rounding.
"""
import os
import subprocess
import sys
import tempfile

import llama_cpp
import numpy as np

import forward

EXACT_GELU = forward.gelu_tanh
HERE = os.path.dirname(os.path.abspath(__file__))
POSITIONS = [0, 1, 7, 47, 48, 49, 63, 64, 100, 127, 159, 511, 512, 513, 575, 639]
TEXT = 640                  # tokens of the text; F32 models read all of it
KL_TEXT = 256               # tokens over which divergences are averaged
PROMPT = 128                # tokens before the greedy continuation
GREEDY = 64
BASE_POSITIONS = [100, 255]
ARCHS = "llama mixtral qwen2 qwen3 qwen2moe qwen3moe olmoe gemma3".split()
TYPES = ("F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS "
         "MXFP4 TQ2_0").split()
KV = {"f16": (llama_cpp.GGML_TYPE_F16, False), "q8_0": (llama_cpp.GGML_TYPE_Q8_0, True),
      "f32": (llama_cpp.GGML_TYPE_F32, False)}
MOE_PROMPTS = ["Once upon a time", "The whale rose slowly out of the dark water, and the captain",
               "Q: 47+85=? T:"]
MOE_LONGEST = 16


def engine(path, kv="f32"):
    kind, flash = KV[kv]
    return llama_cpp.Llama(path, n_ctx=1024, n_batch=1024, n_threads=1, n_threads_batch=1,
                           logits_all=True, verbose=False, type_k=kind, type_v=kind,
                           flash_attn=flash)


def engine_logits(path, tokens, kv="f32"):
    llm = engine(path, kv)
    llm.eval(tokens)
    out = np.array(llm.scores[:len(tokens)], dtype=np.float32)
    llm.close()
    return out


def engine_greedy(path, prompt, n):
    """n tokens, each the likeliest, and the least margin on the way."""
    llm = engine(path)
    llm.eval(prompt)
    out, margin = [], np.inf
    for i in range(n):
        row = llm.scores[len(prompt) + i - 1]
        second, first = np.sort(row)[-2:]
        margin = min(margin, first - second)
        out.append(int(row.argmax()))
        llm.eval([out[-1]])
    llm.close()
    return out, margin


def base_greedy(m, prompt, n):
    tokens, margin = list(prompt), np.inf
    for _ in range(n):
        row = forward.logits(m, tokens)[-1]
        second, first = np.sort(row)[-2:]
        margin = min(margin, first - second)
        tokens.append(int(row.argmax()))
    return tokens[len(prompt):], margin


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def divergence(base, other):
    """KL(base || other) at each position."""
    p, q = log_softmax(base), log_softmax(other)
    return (np.exp(p) * (p - q)).sum(-1)


def noise(base, other):
    """The largest error of a difference to the likeliest token's logit, over all positions."""
    error = other - base
    top = base.argmax(-1)[:, None]
    return np.abs(error - np.take_along_axis(error, top, 1)).max()


def gelu_table(x):
    """GELU as llama.cpp's CPU code has it: looked up by, and stored in, binary16."""
    y = EXACT_GELU(x.astype(np.float16).astype(np.float64)).astype(np.float16)
    return np.where(x <= -10, 0, np.where(x >= 10, x, y.astype(np.float64)))


def check(what, got, limit):
    print(f"{what}: {got:.3g} (at most {limit:g})", flush=True)
    if not got <= limit:
        sys.exit(f"make_reference: {what} is {got:g}, more than {limit:g}")


def f32_models(make, tokens, path):
    logits, greedy = [], []
    for arch in ARCHS:
        make(arch, "F32", path)
        m = forward.Model(path)
        base = forward.logits(m, tokens)
        theirs = engine_logits(path, tokens)
        prompt = tokens[:PROMPT]
        if arch == "gemma3":
            forward.gelu_tanh = gelu_table
            # Later tokens differ more: where a value lies between two entries of the table, the
            # least rounding decides, and seven layers pass it on.
            check("gemma3 with their GELU, numpy to llama.cpp, first token",
                  np.abs(forward.logits(m, tokens[:1]) - theirs[:1]).max(), 1e-5)
            forward.gelu_tanh = EXACT_GELU
            theirs = base
            text, margin = base_greedy(m, prompt, GREEDY)
        else:
            text, margin = engine_greedy(path, prompt, GREEDY)
            check(f"{arch} F32, numpy to llama.cpp", np.abs(base - theirs).max(), 1e-4)
        print(f"{arch} F32: deviation {base.std():.3f}, least margin of the greedy text "
              f"{margin:.4f}, least gap between experts {m.min_gap:.4f}")
        logits.append(theirs[POSITIONS])
        greedy.append(text)
    save("f32_logits", np.array(logits, dtype=np.float32))
    save("f32_greedy", np.array(greedy, dtype=np.int32))


def typed_models(make, tokens, path, table):
    """Every other type: how far llama.cpp is from the model with the dequantized weights."""
    tokens = tokens[:KL_TEXT]
    bases = []
    for arch in ARCHS:
        for kind in TYPES:
            make(arch, kind, path)
            base = forward.logits(forward.Model(path), tokens)
            add_row(table, arch, kind, "f32", base, engine_logits(path, tokens))
            bases.append(base[BASE_POSITIONS])
    shape = (len(ARCHS), len(TYPES), len(BASE_POSITIONS), -1)
    save("base_logits", np.array(bases, dtype=np.float32).reshape(shape))


def cache_types(make, tokens, path, table):
    """F32 weights, other types of KV cache."""
    tokens = tokens[:KL_TEXT]
    for arch in ("llama", "gemma3"):
        make(arch, "F32", path)
        base = forward.logits(forward.Model(path), tokens)
        for kv in ("f16", "q8_0"):
            add_row(table, arch, "F32", kv, base, engine_logits(path, tokens, kv))


def embedded(path):
    """The model that the project ships: prompts, greedy texts, logits at two places in each."""
    m = forward.Model(path)
    llm = engine(path)
    prompts, texts, rows, theirs = [], [], [], []
    for prompt in MOE_PROMPTS:
        ids = llm.tokenize(prompt.encode(), add_bos=False, special=False)
        text, margin = base_greedy(m, ids, GREEDY)
        same, _ = engine_greedy(path, ids, GREEDY)
        if text != same:
            sys.exit(f"make_reference: {prompt!r}: llama.cpp goes on in another way")
        print(f"tiny-moe, {prompt!r}: least margin of the greedy text {margin:.4f}")
        where = [len(ids) - 1, len(ids) + GREEDY // 2]
        prompts.append(ids + [-1] * (MOE_LONGEST - len(ids)))
        texts.append(text)
        rows.append(forward.logits(m, ids + text)[where])
        theirs.append(engine_logits(path, ids + text)[where])
    save("embedded_prompts", np.array(prompts, dtype=np.int32))
    save("embedded_greedy", np.array(texts, dtype=np.int32))
    save("embedded_logits", np.array(rows, dtype=np.float32))
    return np.concatenate(rows), np.concatenate(theirs)


def add_row(table, arch, kind, kv, base, theirs):
    kl = divergence(base, theirs)
    table.append(f"{arch}\t{kind}\t{kv}\t{kl.mean():.4e}\t{noise(base, theirs):.4f}\n")
    print(table[-1].rstrip(), f"\tlargest of a token: {kl.max():.1e}", flush=True)


def save(name, array):
    np.save(os.path.join(HERE, name + ".npy"), array)


def main():
    tool, moe = sys.argv[1:3]
    tokens = [int(t) for t in np.random.default_rng(20).integers(3, 321, TEXT)]
    save("tokens", np.array(tokens, dtype=np.int32))
    table = ["arch\ttype\tkv\tkl\tnoise\n"]
    with open(os.path.join(HERE, "hashes.tsv"), "w") as f:
        subprocess.check_call([tool, "-H"], stdout=f)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")

        def make(arch, kind, out):
            subprocess.check_call([tool, arch, kind, out])

        f32_models(make, tokens, path)
        cache_types(make, tokens, path, table)
        typed_models(make, tokens, path, table)
    add_row(table, "embedded", "F16", "f32", *embedded(moe))
    with open(os.path.join(HERE, "llamacpp.tsv"), "w") as f:
        f.writelines(table)


if __name__ == "__main__":
    main()
