#!/usr/bin/env python3
"""engines.py - what vLLM's and SGLang's own prefix caches hit on the public traces

    pip download --no-deps --no-binary vllm vllm==0.33.0 && tar xzf vllm-0.33.0.tar.gz
    pip download --no-deps sglang==0.5.23 && unzip -d sglang-0.5.23 sglang-0.5.23-*.whl
    python3 tests/reference/engines.py vllm-0.33.0 sglang-0.5.23 ../shared/data/traces \\
        >tests/reference/engines.tsv

Requests run one at a time. vLLM: its KVCacheManager, with the coordinator, manager, block pool and
free queue below it. SGLang: its RadixCache and eviction strategies. Both are the projects' files,
unchanged; what they import beside these (PyTorch, configuration, metrics) is replaced by stand-ins,
as nothing of it decides what is cached. A request's output is stored to its last token, its ids
are nobody else's. SGLang frees what is missing for a request and no more, first for its prompt,
then for its output; it counts in pages of two tokens, which stand for a block.

Columns: trace, semantics, policy, capacity in blocks, blocks hit, and FNV-1a (64 bits) over the
hits of every request as 32-bit little-endian numbers.
"""
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import types
from array import array
from types import SimpleNamespace

TRACES = (("mooncake-conversation.jsonl", 512), ("agentic24-blk64.jsonl.zst", 64))
CAPACITIES = {
    "mooncake-conversation.jsonl": (300, 1000, 10000, 30000, 50000, 100000),
    "agentic24-blk64.jsonl.zst": (1000, 2000, 5000, 20000),
}
POLICIES = ("lru", "lfu", "fifo", "mru", "filo", "slru")


# ---- stand-ins for what the engines' cache modules import ------------------------------------

class Anything(type):
    """A class of which every attribute is such a class again: base, annotation or decorator."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return anything(name)

    def __or__(cls, other):
        return cls

    def __ror__(cls, other):
        return cls

    def __getitem__(cls, key):
        return cls


def anything(name):
    def call(self, *args, **kwargs):
        return args[0] if len(args) == 1 and callable(args[0]) else self

    def get(self, attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return anything(attribute)()

    return Anything(name, (), {"__init__": lambda self, *a, **k: None, "__call__": call,
                               "__getattr__": get, "__bool__": lambda self: False})


class StandIn(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, anything(name))
        return self.__dict__[name]


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the real modules named under a folder, and stand-ins for the rest of these packages."""

    def __init__(self, folder, packages, real):
        self.folder = folder
        self.packages = packages
        self.real = real

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] not in self.packages:
            return None
        if name in self.real:
            file = os.path.join(self.folder, name.replace(".", "/") + ".py")
            return importlib.util.spec_from_file_location(name, file)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


class Tensor(list):
    """As much of a tensor of slot numbers as SGLang's tree asks for."""

    def __getitem__(self, key):
        part = list.__getitem__(self, key)
        return Tensor(part) if isinstance(key, slice) else part

    def clone(self):
        return Tensor(self)

    def to(self, **kwargs):
        return Tensor(self)


def fake_torch():
    torch = StandIn("torch")
    torch.Tensor = Tensor
    torch.device = lambda name: name
    torch.empty = lambda *args, **kwargs: Tensor()
    torch.tensor = lambda values, **kwargs: Tensor(values)
    torch.cat = lambda parts: Tensor(x for part in parts for x in part)
    torch.iinfo = lambda dtype: SimpleNamespace(max=2**63 - 1)
    return torch


# ---- vLLM ------------------------------------------------------------------------------------

def load_vllm(folder):
    core = ("block_pool", "kv_cache_utils", "single_type_kv_cache_manager", "kv_cache_coordinator",
            "kv_cache_manager")
    real = {"vllm.v1.core." + name for name in core}
    real |= {"vllm.utils.math_utils", "vllm.v1.kv_cache_interface",
             "vllm.v1.kv_cache_spec_registry"}
    sys.meta_path.insert(0, Finder(folder, {"torch", "vllm"}, real))
    return (importlib.import_module("vllm.v1.core.kv_cache_manager"),
            importlib.import_module("vllm.v1.kv_cache_interface"))


def make_manager(modules, block, capacity):
    manager, interface = modules
    spec = object.__new__(interface.FullAttentionSpec)
    for name, value in (("block_size", block), ("num_kv_heads", 1), ("head_size", 1),
                        ("dtype", None), ("sliding_window", None),
                        ("attention_chunk_size", None)):
        object.__setattr__(spec, name, value)
    group = SimpleNamespace(kv_cache_spec=spec, role=None, is_eagle_group=False)
    config = SimpleNamespace(kv_cache_groups=[group], num_blocks=capacity + 1,  # and the null block
                             prefix_cache_retention_interval=None, needs_kv_cache_zeroing=False,
                             has_mamba_layers=False)
    return manager.KVCacheManager(config, 10**9, block, block)


def run_vllm(modules, requests, block, capacity):
    manager = make_manager(modules, block, capacity)
    nobody = 0
    for number, (input_length, output_length, ids) in enumerate(requests):
        total = input_length + output_length
        if -(-total // block) > capacity:
            yield 0
            continue
        q = SimpleNamespace(
            request_id=str(number), num_tokens=input_length, num_prompt_tokens=input_length,
            num_computed_tokens=0, block_hashes=[b"i%d" % i for i in ids[:input_length // block]],
            status=None, num_in_flight_tokens=0, skip_reading_prefix_cache=False,
            shared_prefix_boundary=0, num_preemptions=0)
        blocks, found, _ = manager.get_computed_blocks(q)
        yield found // block
        assert manager.allocate_slots(q, input_length - found, found, blocks) is not None
        q.num_computed_tokens = input_length
        while q.num_computed_tokens < total:        # a step to the end of a block, or of all
            step = min(total - q.num_computed_tokens, block - q.num_computed_tokens % block)
            q.num_tokens += step
            while len(q.block_hashes) < q.num_tokens // block:
                q.block_hashes.append(b"o%d" % nobody)
                nobody += 1
            assert manager.allocate_slots(q, step) is not None
            q.num_computed_tokens += step
        manager.free(q)


# ---- SGLang ----------------------------------------------------------------------------------

PAGE = 2        # tokens


def load_sglang(folder):
    cache = "sglang.srt.mem_cache."
    real = {cache + name for name in ("radix_cache", "evict_policy", "base_prefix_cache")}
    sys.modules["torch"] = fake_torch()
    sys.meta_path.insert(0, Finder(folder, {"sglang"}, real))
    policy = importlib.import_module(cache + "evict_policy")
    utils = importlib.import_module(cache + "utils")
    utils.get_eviction_strategy = lambda name, config: getattr(policy, name.upper() + "Strategy")()
    utils.split_node_hash_value = lambda hashes, at, page: (None, None)
    return (importlib.import_module(cache + "radix_cache"),
            importlib.import_module(cache + "base_prefix_cache"))


class Pages:
    """The free pages, and the one row of slots that the running request has."""

    device = "cpu"

    def __init__(self, capacity):
        self.free = list(range(capacity))
        self.row = Tensor()

    def free_segment(self, slots, start_pos):
        assert start_pos % PAGE == 0
        self.free += [slot // PAGE for slot in slots[::PAGE]]

    def take(self, pages):
        assert pages <= len(self.free)
        taken = [self.free.pop() for _ in range(pages)]
        return Tensor(page * PAGE + i for page in taken for i in range(PAGE))

    @property
    def req_to_token(self):
        return self

    def __getitem__(self, key):
        return self.row[key[1]]

    def write(self, key, slots):
        self.row[key[1]] = slots


def pages_to_tokens(tokens, block):
    """Tokens of two a block, with as many full blocks and as partial an end."""
    return tokens // block * PAGE + (tokens % block > 0)


def run_sglang(modules, policy, requests, block, capacity):
    radix, base = modules
    pages = Pages(capacity)
    tree = radix.RadixCache(SimpleNamespace(
        disable=False, req_to_token_pool=pages, token_to_kv_pool_allocator=pages, page_size=PAGE,
        is_eagle=False, eviction_policy=policy, eviction_policy_config=None, enable_metrics=False,
        enable_kv_cache_events=False, dynamo_kv_event_format=False, kv_event_lora_names=None))
    nobody = 1 << 40

    def grow(tokens):
        missing = -(-tokens // PAGE) - len(pages.row) // PAGE
        if missing > len(pages.free):
            tree.evict(base.EvictParams(num_tokens=(missing - len(pages.free)) * PAGE))
        pages.row = Tensor(pages.row + pages.take(missing))

    for input_length, output_length, ids in requests:
        if -(-(input_length + output_length) // block) > capacity:
            yield 0
            continue
        prompt = pages_to_tokens(input_length, block)
        total = pages_to_tokens(input_length + output_length, block)
        tokens = array("q", [t for i in ids[:input_length // block] for t in (2 * i, 2 * i + 1)])
        tokens.extend(range(nobody, nobody + total - len(tokens)))
        nobody += total
        match = tree.match_prefix(base.MatchPrefixParams(
            key=radix.RadixKey(tokens[:prompt], limit=max(prompt - 1, 0))))
        found = match.device_prefix_len
        yield found // PAGE
        node = match.last_device_node
        kv = SimpleNamespace(req_pool_idx=0, cache_protected_len=found, cache_inserted_len=0,
                             swa_evict_floor=0)
        q = SimpleNamespace(kv=kv, extra_key=None, cache_salt=None, priority=None,
                            origin_input_ids=tokens[:prompt], full_untruncated_fill_ids=tokens,
                            lock=tree.lock(node), last_node=node)
        pages.row = Tensor(tree.path_device_indices(node))
        for end in (prompt, total) if output_length else (prompt,):
            grow(end)
            tree.checkpoint(q, up_to=end)
        pages.free_segment(pages.row[kv.cache_protected_len:total], kv.cache_protected_len)
        tree.unlock(q.lock)


# ---- all -------------------------------------------------------------------------------------

def read_trace(path):
    data = open(path, "rb").read()
    if path.endswith(".zst"):
        data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    for line in data.splitlines():
        r = json.loads(line)
        yield r["input_length"], r["output_length"], r["hash_ids"]


def fnv(hits):
    h = 0xCBF29CE484222325
    for hit in hits:
        for byte in hit.to_bytes(4, "little"):
            h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def report(trace, semantics, policy, capacity, hits):
    hits = list(hits)
    print(trace, semantics, policy, capacity, sum(hits), "%016x" % fnv(hits), sep="\t", flush=True)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    vllm_folder, sglang_folder, traces = sys.argv[1:]
    vllm = load_vllm(vllm_folder)
    sglang = load_sglang(sglang_folder)
    print("trace", "semantics", "policy", "capacity_blocks", "hit_blocks", "fnv1a_of_hits",
          sep="\t")
    for trace, block in TRACES:
        requests = list(read_trace(os.path.join(traces, trace)))
        for capacity in CAPACITIES[trace]:
            report(trace, "vllm", "lru", capacity, run_vllm(vllm, requests, block, capacity))
        for policy in POLICIES:
            for capacity in CAPACITIES[trace][::2]:
                report(trace, "sglang", policy, capacity,
                       run_sglang(sglang, policy, requests, block, capacity))


if __name__ == "__main__":
    main()
