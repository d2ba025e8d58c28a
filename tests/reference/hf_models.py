#!/usr/bin/env python3
"""Makes tests/hf/NAME: tiny random models as folders of Hugging Face transformers.

    python3 -m venv v && v/bin/pip install torch transformers tokenizers sentencepiece protobuf
    v/bin/python tests/reference/hf_models.py tests/hf [NAME]

Every folder also gets expected.json (token ids with the logits below, and what the folder's own
tokenizer makes of a few texts) and logits.npy, float32 [tokens][vocab]: what transformers computes
from the folder in float32. Weights are random, norms and biases too, so that none can be left out,
swapped or taken twice unseen. Made with torch 2.15, transformers 5.24, tokenizers 0.23.
"""
import json
import os
import shutil
import sys

import numpy as np
import sentencepiece
import tokenizers
import torch
import transformers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

TEXT = [
    "The quick brown fox jumps over the lazy dog, and the dog does not mind.",
    "There were 365 days in the year 2023; 12,345.67 is a number, 3.14159 another one.",
    "It's what they'll say when we've gone: I'm here, you're there, he'd know. DON'T SHOUT!",
    "    def main(argc, argv):\n        return argc + len(argv)  # comment\n\n\n",
    "Grüße aus Köln, déjà vu, naïve façade, smørrebrød, пример текста, κείμενο.",
    "日本語の文章と中文句子。한국어 문장. 🙂🚀 emoji",
    "tabs\tand  double   spaces, trailing   ",
    "the theory of the thing that thinks through the thickness of these theses",
]
TEXTS = TEXT + ["", " ", "a", " leading space", "\n", "x = <<y>> | z", "aaaaaaaaaaaaaaaa 1234567890"]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CHAT = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] }}"
        "{{ '<|im_end|>\n' }}{% endfor %}")
TOKENS = 10                     # whose logits are kept


def byte_level(vocab, split, normalizer=None, ignore_merges=False, specials=(), individual=False):
    """A byte-level BPE of `vocab` tokens, special ones last, as GPT-2 and its heirs have it."""
    tok = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=ignore_merges))
    tok.normalizer = normalizer
    pre = []
    if split:
        pre.append(pre_tokenizers.Split(Regex(split), "isolated"))
    if individual:
        pre.append(pre_tokenizers.Digits(individual_digits=True))
    pre.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split))
    tok.pre_tokenizer = pre[0] if len(pre) == 1 else pre_tokenizers.Sequence(pre)
    tok.decoder = decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab - len(specials), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(TEXT * 4, trainer)
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    return tok


def sentence_pieces(folder, vocab, prefix, user=()):
    """tokenizer.model: a BPE with byte fallback, as Llama 2 and Gemma have it."""
    text = os.path.join(folder, "train.txt")
    with open(text, "w") as f:
        f.write("\n".join((TEXT[:4] + TEXT[7:]) * 8))      # the rest falls back to bytes
    sentencepiece.SentencePieceTrainer.train(
        input=text, model_prefix=os.path.join(folder, "tokenizer"), model_type="bpe",
        vocab_size=vocab, byte_fallback=True, character_coverage=1.0, num_threads=1,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=prefix, allow_whitespace_only_pieces=True, split_digits=True,
        user_defined_symbols=list(user), minloglevel=2)
    os.remove(text)
    os.remove(os.path.join(folder, "tokenizer.vocab"))


def save_json(folder, name, value):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, ensure_ascii=False, indent=1)
        f.write("\n")


def load_json(folder, name):
    with open(os.path.join(folder, name)) as f:
        return json.load(f)


def wrap(tok, **names):
    return PreTrainedTokenizerFast(tokenizer_object=tok, **names)


def template(tok, bos):
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1",
                                      special_tokens=[(bos, tok.token_to_id(bos))])])


# ---- one function per folder: returns its config, the weights' type, and how to save them ----

def llama(folder):
    """Llama 3: stretched low frequencies, grouped heads, shards."""
    tok = byte_level(320, LLAMA3, ignore_merges=True, specials=(
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
        "<|eot_id|>"))
    template(tok, "<|begin_of_text|>")
    t = wrap(tok, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    t.chat_template = CHAT
    t.save_pretrained(folder)
    return transformers.LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=320, max_position_embeddings=512, rms_norm_eps=1e-5,
        rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0,
                             low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=64),
        bos_token_id=tok.token_to_id("<|begin_of_text|>"),
        eos_token_id=[tok.token_to_id("<|end_of_text|>"), tok.token_to_id("<|eot_id|>")],
    ), torch.bfloat16, dict(max_shard_size="100KB")


def smollm(folder):
    """A llama with a tied head, in float32, whose digits stand alone."""
    tok = byte_level(320, None, individual=True, specials=("<|endoftext|>", "<|im_start|>",
                                                          "<|im_end|>"))
    t = wrap(tok, bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|endoftext|>",
             pad_token="<|im_end|>", add_prefix_space=False)
    t.save_pretrained(folder)
    return transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=320, max_position_embeddings=256,
        tie_word_embeddings=True, attention_bias=True,
        bos_token_id=tok.token_to_id("<|im_start|>"), eos_token_id=tok.token_to_id("<|im_end|>"),
    ), torch.float32, {}


def mistral(folder):
    """SentencePiece's tokens in a tokenizer.json alone, float16, head_dim of its own."""
    sentence_pieces(folder, 384, True)
    t = transformers.LlamaTokenizer.from_pretrained(folder)
    t.save_pretrained(folder)
    if os.path.exists(os.path.join(folder, "tokenizer.model")):
        os.remove(os.path.join(folder, "tokenizer.model"))
    return transformers.MistralConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, vocab_size=384, max_position_embeddings=256,
        sliding_window=None, rope_parameters=dict(rope_type="linear", factor=2.0,
                                                  rope_theta=10000.0),
        bos_token_id=1, eos_token_id=2), torch.float16, {}


def mixtral(folder):
    """tokenizer.model and no tokenizer.json; experts as linear layers called w1, w2, w3."""
    sentence_pieces(folder, 376, True)
    special = {str(i): dict(content=c, lstrip=False, normalized=False, rstrip=False,
                            single_word=False, special=True)
               for i, c in enumerate(("<unk>", "<s>", "</s>"))}
    special["376"] = dict(special["0"], content="[TOOL]", special=False)
    save_json(folder, "tokenizer_config.json", dict(
        add_bos_token=True, add_eos_token=False, added_tokens_decoder=special, bos_token="<s>",
        eos_token="</s>", unk_token="<unk>", pad_token=None, legacy=True,
        tokenizer_class="LlamaTokenizer", chat_template="[INST] {{ messages[0].content }} [/INST]"))
    return transformers.MixtralConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, num_local_experts=4, num_experts_per_tok=2, vocab_size=384,
        max_position_embeddings=256, rope_parameters=dict(rope_type="default", rope_theta=1e6),
        bos_token_id=1, eos_token_id=2), torch.bfloat16, {}


def qwen2(folder):
    """Biases, YaRN, merges as "a b", chat template in tokenizer_config.json."""
    tok = byte_level(320, QWEN2, normalizers.NFC(), specials=("<|endoftext|>", "<|im_start|>",
                                                             "<|im_end|>"))
    t = wrap(tok, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    t.save_pretrained(folder)
    doc = load_json(folder, "tokenizer.json")
    doc["model"]["merges"] = [" ".join(m) for m in doc["model"]["merges"]]
    save_json(folder, "tokenizer.json", doc)
    save_json(folder, "tokenizer_config.json", dict(
        load_json(folder, "tokenizer_config.json"), chat_template=CHAT, add_bos_token=False))
    return transformers.Qwen2Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=326, max_position_embeddings=256,
        rope_parameters=dict(rope_type="yarn", factor=4.0, rope_theta=10000.0,
                             original_max_position_embeddings=64),
        bos_token_id=tok.token_to_id("<|endoftext|>"),
        eos_token_id=tok.token_to_id("<|im_end|>")), torch.float16, {}


def qwen_tokens(folder):
    tok = byte_level(320, QWEN2, normalizers.NFC(), specials=("<|endoftext|>", "<|im_start|>",
                                                             "<|im_end|>"))
    tok.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    wrap(tok, eos_token="<|im_end|>", pad_token="<|endoftext|>").save_pretrained(folder)
    return dict(eos_token_id=tok.token_to_id("<|im_end|>"))


def qwen2_moe(folder):
    """Experts as linear layers, and a shared one with a gate."""
    return transformers.Qwen2MoeConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=324, max_position_embeddings=256, num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
        **qwen_tokens(folder)), torch.bfloat16, {}


def qwen3(folder):
    """Norms on heads that are wider than their share, tied head."""
    return transformers.Qwen3Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, vocab_size=324, max_position_embeddings=256,
        tie_word_embeddings=True, **qwen_tokens(folder)), torch.bfloat16, {}


def qwen3_moe(folder):
    """All experts of a layer in one tensor, gate and up fused, in shards."""
    return transformers.Qwen3MoeConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, vocab_size=324, max_position_embeddings=256,
        num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, norm_topk_prob=True,
        **qwen_tokens(folder)), torch.bfloat16, dict(max_shard_size="80KB",
                                                     save_original_format=False)


def olmoe(folder):
    """Norms over the whole of Q and K."""
    tok = byte_level(320, None, normalizers.NFC(), specials=("<|padding|>", "<|endoftext|>"))
    wrap(tok, bos_token="<|endoftext|>", eos_token="<|endoftext|>",
         pad_token="<|padding|>").save_pretrained(folder)
    end = tok.token_to_id("<|endoftext|>")
    return transformers.OlmoeConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=320, max_position_embeddings=256, num_experts=4,
        num_experts_per_tok=2, pad_token_id=tok.token_to_id("<|padding|>"), bos_token_id=end,
        eos_token_id=end), torch.bfloat16, {}


GEMMA = dict(
    hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1,
    head_dim=32, query_pre_attn_scalar=32, max_position_embeddings=256, sliding_window=4,
    rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=1e6),
                         sliding_attention=dict(rope_type="default", rope_theta=1e4)))


def gemma3(folder):
    """The text model alone: norms of 1 + w, windows in three layers, tokenizer.model."""
    user = ("<start_of_turn>", "<end_of_turn>", "\n\n", "\n\n\n", "▁▁", "▁▁▁▁")
    sentence_pieces(folder, 384, False, user)
    added = {str(i): dict(content=c, lstrip=False, normalized=False, rstrip=False,
                          single_word=False, special=i < 5)
             for i, c in enumerate(("<unk>", "<s>", "</s>") + user)}
    save_json(folder, "tokenizer_config.json", dict(
        add_bos_token=True, add_eos_token=False, added_tokens_decoder=added, bos_token="<s>",
        eos_token="</s>", unk_token="<unk>", tokenizer_class="LlamaTokenizer",
        add_dummy_prefix_space=False, legacy=False))
    return transformers.Gemma3TextConfig(
        num_hidden_layers=4, vocab_size=384, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        layer_types=["sliding_attention"] * 3 + ["full_attention"], **GEMMA), torch.bfloat16, {}


def gemma3_vision(folder):
    """The text model inside one that sees, with a tokenizer.json alone."""
    sentence_pieces(folder, 384, False)
    tok = tokenizers.Tokenizer.from_str(transformers.LlamaTokenizer.from_pretrained(
        folder).backend_tokenizer.to_str())
    tok.normalizer = normalizers.Replace(" ", "▁")
    tok.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                     decoders.Fuse()])
    wrap(tok, bos_token="<s>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    os.remove(os.path.join(folder, "tokenizer.model"))
    text = dict(num_hidden_layers=2, vocab_size=384, **GEMMA)
    return transformers.Gemma3Config(
        text_config=text, vision_config=dict(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
            image_size=28, patch_size=14), mm_tokens_per_image=4, bos_token_id=1, eos_token_id=2,
        pad_token_id=0, image_token_index=383, boi_token_index=382, eoi_token_index=381,
    ), torch.bfloat16, {}


FOLDERS = [llama, smollm, mistral, mixtral, qwen2, qwen2_moe, qwen3, qwen3_moe, olmoe, gemma3,
           gemma3_vision]

# ---- the frame ------------------------------------------------------------------------------


def randomize(model, gemma, rng):
    """Weights whose products neither vanish nor explode; no norm or bias that does nothing."""
    for name, p in sorted(model.named_parameters()):
        if p.ndim == 1 and "norm" in name:
            w = 0.3 * torch.randn(p.shape, generator=rng) + (0 if gemma else 1)
        elif p.ndim == 1:
            w = 0.5 * torch.randn(p.shape, generator=rng)
        elif "embed_tokens" in name:
            w = torch.randn(p.shape, generator=rng) * (p.shape[-1] ** -0.5 if gemma else 1)
        else:
            w = torch.randn(p.shape, generator=rng) * p.shape[-1] ** -0.5
        p.data = w.to(p.dtype)


def ids_of(folder):
    """Of TEXTS, by the folder's own tokenizer without special tokens."""
    if os.path.exists(os.path.join(folder, "tokenizer.json")):
        tok = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        return [tok.encode(t, add_special_tokens=False).ids for t in TEXTS]
    tok = sentencepiece.SentencePieceProcessor(os.path.join(folder, "tokenizer.model"))
    return [tok.encode(t) for t in TEXTS]


def make(root, build):
    name = build.__name__
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config, dtype, how = build(folder)
    rng = torch.Generator().manual_seed(1 + FOLDERS.index(build))
    auto = AutoModelForCausalLM
    if name == "gemma3_vision":
        auto = transformers.AutoModelForImageTextToText
    model = auto.from_config(config, attn_implementation="eager")
    randomize(model, name.startswith("gemma"), rng)
    if name == "llama":         # what a folder recommends for drawing tokens
        model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9, top_k=40)
    model.to(dtype).save_pretrained(folder, **how)
    model = auto.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    vocab = model.config.get_text_config().vocab_size
    ids = torch.randint(0, vocab, (1, TOKENS), generator=rng)
    if name == "gemma3_vision":
        ids %= 380
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].float().numpy()
    np.save(os.path.join(folder, "logits.npy"), logits)
    save_json(folder, "expected.json", dict(tokens=ids[0].tolist(), texts=TEXTS,
                                            ids=ids_of(folder)))
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, logits "
          f"{logits.std():.2f}")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "tests/hf"
    for build in FOLDERS:
        if len(sys.argv) < 3 or build.__name__ == sys.argv[2]:
            make(root, build)


main()
