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

MASK = (1 << 64) - 1


class Rng:
    """SplitMix64 as in lib/base/rng.h."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31

    def below(self, n):
        return self.next() % n


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


def fnv(h, values):
    for byte in torch.as_tensor(values).to(torch.int32).contiguous().numpy().tobytes():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


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
            h = 0xCBF29CE484222325
            for answer in eplb.rebalance_experts(load, slots, groups, nodes, ranks):
                h = fnv(h, answer)
            print(kind, i, *shape, f"{h:016x}", sep="\t")


main()
