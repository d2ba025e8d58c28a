#!/usr/bin/env python3
"""Time the published EPLB on counts of bench_eplb, and compare its answer with ours.

usage: eplb_time.py PATH/TO/eplb.py COUNTS.tsv PLAN.json RANKS NODES SLOTS GROUPS

COUNTS is what bench_eplb -w writes, PLAN what bench_eplb -p writes of the same shape. One thread;
inside the clock is the call of rebalance_experts alone, from a tensor to tensors. Prints seconds,
and "same" or "different".
"""
import importlib.util
import json
import sys
import time

import torch

path, counts, plan, ranks, nodes, slots, groups = sys.argv[1:]
torch.set_num_threads(1)
spec = importlib.util.spec_from_file_location("published_eplb", path)
eplb = importlib.util.module_from_spec(spec)
spec.loader.exec_module(eplb)

rows = {}
with open(counts) as f:
    next(f)
    for line in f:
        layer, _, count = map(int, line.split())
        rows.setdefault(layer, []).append(count)
load = torch.tensor([rows[layer] for layer in sorted(rows)])

begin = time.perf_counter()
answer = eplb.rebalance_experts(load, int(slots), int(groups), int(nodes), int(ranks))
seconds = time.perf_counter() - begin

with open(plan) as f:
    ours = json.load(f)
names = "physical_to_logical_map", "logical_to_physical_map", "logical_replica_count"
same = all(a.tolist() == ours[name] for a, name in zip(answer, names))
print(f"{seconds:.4f}", "same" if same else "different")
