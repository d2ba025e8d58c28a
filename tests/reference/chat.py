#!/usr/bin/env python3
"""Writes tests/reference/chat.jsonl: conversations as the chat templates write them.

    python3 tests/reference/chat.py > tests/reference/chat.jsonl

From llama.cpp by way of llama-cpp-python (llama_chat_apply_template knows its families by name).
Families that it does not know, or takes for another, come from their template through Jinja.
"""
import ctypes
import json

import jinja2
import llama_cpp

CONVERSATIONS = [
    [("user", "Hi there")],
    [("system", "Be brief."), ("user", " What is\n2+2? ")],
    [("system", " Be kind. "), ("user", "One"), ("assistant", " Two "), ("user", "Three")],
    [("user", "a"), ("assistant", "b"), ("user", "c\n"), ("assistant", "d"), ("user", "é 你")],
    [("user", "a"), ("system", "late"), ("user", "b")],
]

EOS_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + "
    "message['content'] + SEP }}{% elif message['role'] == 'user' %}{{ '<|user|>\n' + "
    "message['content'] + SEP }}{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\n' + "
    "message['content'] + eos_token + '\n' }}{% endif %}{% if loop.last %}{{ '<|assistant|>\n' }}"
    "{% endif %}{% endfor %}")
BY_JINJA = {
    "olmo": ("<|endoftext|>", "'\n'"),
    "olmoe": ("|||IP_ADDRESS|||", "'\n'"),
    "zephyr-beta": ("</s>", "eos_token + '\n'"),
}
BY_MARKER = {"dots1": "<|endofuserprompt|>"}


def by_llama(template, conversation):
    keep = [(r.encode(), t.encode()) for r, t in conversation]
    chat = (llama_cpp.llama_chat_message * len(keep))(
        *[llama_cpp.llama_chat_message(role=r, content=t) for r, t in keep])
    out = ctypes.create_string_buffer(1 << 16)
    n = llama_cpp.llama_chat_apply_template(template.encode(), chat, len(keep), True, out, len(out))
    assert n >= 0, template
    return out.raw[:n].decode()


def by_jinja(family, conversation):
    eos, sep = BY_JINJA[family]
    template = jinja2.Environment(keep_trailing_newline=True).from_string(
        EOS_TEMPLATE.replace("SEP", sep))
    return template.render(messages=[{"role": r, "content": t} for r, t in conversation],
                           eos_token=eos)


def main():
    names = (ctypes.c_char_p * 256)()
    n = llama_cpp.llama_chat_builtin_templates(names, 256)
    families = {names[i].decode(): None for i in range(n)}
    for family in list(families) + list(BY_MARKER) + list(BY_JINJA):
        for conversation in CONVERSATIONS:
            if family in BY_JINJA:
                text = by_jinja(family, conversation)
            else:
                text = by_llama(BY_MARKER.get(family, family), conversation)
            print(json.dumps({"family": family, "messages": conversation, "text": text},
                             ensure_ascii=False))


main()
