#!/usr/bin/env python3
"""Print eplb.tsv: what the published EPLB answers on inputs that test_eplb.c can make too.

usage: eplb.py PATH/TO/eplb.py > eplb.tsv

The file is eplb.py of github.com/deepseek-ai/EPLB. Its answers to equal loads depend on PyTorch's
sort on the CPU, which is GCC's std::sort. PyTorch 2.6 and 2.15 on x86-64 print the same rows, with
AVX-512 and without.

A row: kind of input, seed, layers, experts, ranks, nodes, slots, groups, and FNV-1a (64 bits) over
the bytes of phy2log, log2phy and logcnt as little-endian int32.
"""
import importlib.util
import sys

import torch

from draws import Rng, fnv


def counts(kind, seed, layers, experts, groups):
    """The same as make_counts in test_eplb.c."""
    r = Rng(seed)
    size = experts // groups
    rows = []
    for _ in range(layers):
        if kind == "uniform":
            row = [r.below(1000) for _ in range(experts)]
        elif kind == "few":
            row = [r.below(3) for _ in range(experts)]
        elif kind == "powers":
            row = [1 << r.below(53) for _ in range(experts)]
        elif kind == "large":
            row = [r.next() >> 11 for _ in range(experts)]
        elif kind == "skewed":
            row = [(r.below(1 << 20) + 1) ** 2 >> 20 for _ in range(experts)]
        elif kind == "pipe":
            row = [min(e, experts - e) for e in range(experts)]
        elif kind == "turned":      # groups of the same counts, each begun at another one
            base = [r.next() >> 34 for _ in range(size)]
            row = [base[(e + e // size) % size] for e in range(size * groups)]
        rows.append(row)
    return rows


def shapes(r):
    """Shapes of every sort: groups that nodes divide or do not, a slot a rank, no spare slots."""
    yield 61, 256, 32, 4, 320, 8
    yield 58, 256, 320, 40, 320, 8
    yield 48, 128, 8, 1, 144, 1
    yield 2, 64, 8, 1, 72, 1
    yield 3, 384, 48, 6, 480, 1
    for _ in range(35):
        nodes = (1, 2, 3, 4, 8)[r.below(5)]
        ranks = nodes * (1, 2, 3, 8)[r.below(4)]
        groups = nodes * (1, 2, 3, 5, 17)[r.below(5)] + (0, 0, 1)[r.below(3)]
        experts = groups * (1, 2, 3, 7, 8, 9, 20, 33, 64)[r.below(9)]
        least = -(-experts // ranks)
        slots = ranks * (least + (0, 0, 1, least)[r.below(4)])
        yield 1 + r.below(3), experts, ranks, nodes, slots, groups


def bytes_of(values):
    return torch.as_tensor(values).to(torch.int32).contiguous().numpy().tobytes()


def main():
    spec = importlib.util.spec_from_file_location("published_eplb", sys.argv[1])
    eplb = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(eplb)
    kinds = ("uniform", "few", "powers", "large", "skewed", "pipe", "turned")
    print("kind\tseed\tlayers\texperts\tranks\tnodes\tslots\tgroups\thash")
    for i, shape in enumerate(shapes(Rng(1))):
        layers, experts, ranks, nodes, slots, groups = shape
        for kind in kinds if i >= 5 else kinds[i : i + 2]:
            load = torch.tensor(counts(kind, i, layers, experts, groups))
            answers = eplb.rebalance_experts(load, slots, groups, nodes, ranks)
            h = fnv(b"".join(bytes_of(answer) for answer in answers))
            print(kind, i, *shape, f"{h:016x}", sep="\t")


main()
