#!/usr/bin/env python3
"""Writes tests/reference/vocab.tsv: the ids that llama.cpp gives the vocabularies of test_vocab.

    build/tests/test_vocab -w DIR
    python3 tests/reference/vocab.py DIR examples/models/tiny-moe-f16.gguf > tests/reference/vocab.tsv

Columns: vocabulary, flags (1 BOS and EOS, 2 special tokens), text in hexadecimal, ids.
"""
import ctypes
import pathlib
import sys

import llama_cpp

MIX = ("Hello world's I'M we'LL  don't   x\t\tif (a1 == 123456) {\r\n\n    return \"café\"; }\n"
       " CamelCase HTTPServer ÉCOLE naïve e\u0301 中文字。ひカ 한국 При नमस ١٢٣٤ 3.14 1234567 ½😀👨‍👩"
       " a/b\n/c ... !?\u00a0\u3000z  ")
TEXTS = {
    "bpe": [(0, MIX.encode()), (3, b"<|im_start|>Hello  world<|im_end|>"),
            (0, b"x\xff\xc3 \xed\xa0\x80if\x00")],
    "all": [(1, b""), (0, b"<|im_start|> world"), (2, b"  <|im_start|>x <s> y\n\n\n</s>"),
            (1, MIX.encode()), (0, b"don't\xff\xc3 \xf0\x9f \xf0\x9f\x98\x80"),
            (0, "CAFÉ naïve 中文 (İ ſ) [MASK] 한국 При".encode())],
}


def ids_of(vocab, flags, text):
    out = (ctypes.c_int32 * (len(text) * 4 + 16))()
    n = llama_cpp.llama_tokenize(vocab, text, len(text), out, len(out), bool(flags & 1),
                                 bool(flags & 2))
    assert n >= 0
    return out[:n]


def main():
    @llama_cpp.llama_log_callback
    def quiet(level, text, data):
        pass

    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    files = [(p.stem if p.suffix == ".gguf" else p.name, p)
             for p in sorted(pathlib.Path(sys.argv[1]).glob("*.gguf"))]
    for name, path in files + [("tiny-moe", pathlib.Path(sys.argv[2]))]:
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        vocab = llama_cpp.llama_model_get_vocab(model)
        for flags, text in TEXTS["bpe" if name.startswith("bpe-") else "all"]:
            ids = " ".join(map(str, ids_of(vocab, flags, text)))
            print(name, flags, text.hex(), ids, sep="\t")
        llama_cpp.llama_model_free(model)


main()
