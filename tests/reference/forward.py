"""A second witness: the forward pass of every architecture in float64, in numpy.

Written from the descriptions of the models, not from any engine's source, and slow on purpose:
whole sequences at once, no cache. It serves as the base of the KL divergences, as the reference
for gemma3 (whose exact GELU llama.cpp's table only approximates), and checks llama.cpp.
"""
import gguf
import numpy as np

F32_EPS_WEIGHT_SUM = 6.103515625e-5     # floor of the sum that expert weights are divided by


class Model:
    """Weights (dequantized, float64) and the numbers of the header."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.arch = reader.fields["general.architecture"].contents()
        self.key = {k: f for k, f in reader.fields.items()}
        self.w = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64)
                  for t in reader.tensors}
        self.layers = self.get("block_count")
        self.heads = self.get("attention.head_count")
        self.kv_heads = self.get("attention.head_count_kv", self.heads)
        self.d = self.get("embedding_length")
        self.dk = self.get("attention.key_length", self.d // self.heads)
        self.eps = self.get("attention.layer_norm_rms_epsilon")
        self.base = self.get("rope.freq_base", 10000.0)
        self.window = self.get("attention.sliding_window", 0) if self.arch == "gemma3" else 0
        self.experts = self.get("expert_count", 0)
        self.top_k = self.get("expert_used_count", 0)
        self.min_gap = np.inf           # least log-distance, last expert in to first out

    def get(self, key, default=None):
        field = self.key.get(f"{self.arch}.{key}")
        if field is None and default is None:
            raise KeyError(f"{self.arch}.{key}")
        return default if field is None else field.contents()

    def local(self, layer):
        """Does this layer look through the sliding window?"""
        return self.window > 0 and (layer + 1) % 6 != 0


def rms_norm(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def rope(x, base, interleaved, factors):
    """x [n, heads, dk]: rotates pairs (2i, 2i+1) when interleaved, else (i, i + dk/2)."""
    n, _, dk = x.shape
    theta = base ** (-np.arange(dk // 2) * 2.0 / dk)
    if factors is not None:
        theta = theta / factors
    angle = np.arange(n)[:, None, None] * theta
    cos, sin = np.cos(angle), np.sin(angle)
    out = np.empty_like(x)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :dk // 2], x[..., dk // 2:])
    c, d = a * cos - b * sin, a * sin + b * cos
    if interleaved:
        out[..., 0::2], out[..., 1::2] = c, d
    else:
        out[..., :dk // 2], out[..., dk // 2:] = c, d
    return out


def attention(m, i, x):
    """x [n, d], normed -> [n, d]."""
    p = f"blk.{i}."
    n = len(x)
    q, k, v = (x @ m.w[p + f"attn_{c}.weight"].T + m.w.get(p + f"attn_{c}.bias", 0) for c in "qkv")
    qn, kn = m.w.get(p + "attn_q_norm.weight"), m.w.get(p + "attn_k_norm.weight")
    if qn is not None and len(qn) == q.shape[1]:            # over the whole projection
        q, k = rms_norm(q, qn, m.eps), rms_norm(k, kn, m.eps)
    q = q.reshape(n, m.heads, m.dk)
    k = k.reshape(n, m.kv_heads, m.dk)
    v = v.reshape(n, m.kv_heads, -1)
    if qn is not None and len(qn) == m.dk:                  # head by head
        q, k = rms_norm(q, qn, m.eps), rms_norm(k, kn, m.eps)
    base = 10000.0 if m.local(i) else m.base
    factors = m.w.get("rope_freqs.weight")
    q, k = (rope(y, base, m.arch == "llama", factors) for y in (q, k))
    pos = np.arange(n)
    seen = pos[None, :] <= pos[:, None]
    if m.local(i):
        seen &= pos[None, :] > pos[:, None] - m.window
    out = np.empty((n, m.heads, v.shape[2]))
    for h in range(m.heads):
        g = h * m.kv_heads // m.heads
        score = q[:, h] @ k[:, g].T / np.sqrt(m.dk)
        out[:, h] = softmax(np.where(seen, score, -np.inf)) @ v[:, g]
    return out.reshape(n, -1) @ m.w[p + "attn_output.weight"].T


def mlp(x, gate, up, down, act):
    return (act(x @ gate.T) * (x @ up.T)) @ down.T


def experts_of(m, i, kind):
    """The experts' matrices of one kind, from one tensor or from one each."""
    merged = m.w.get(f"blk.{i}.{kind}_exps.weight")
    if merged is not None:
        return merged
    return np.stack([m.w[f"blk.{i}.{kind}.{e}.weight"] for e in range(m.experts)])


def moe(m, i, x):
    p = softmax(x @ m.w[f"blk.{i}.ffn_gate_inp.weight"].T)
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(np.log(p), order, 1)
    if m.top_k < m.experts:
        m.min_gap = min(m.min_gap, (ranked[:, m.top_k - 1] - ranked[:, m.top_k]).min())
    chosen = order[:, :m.top_k]
    weight = np.take_along_axis(p, chosen, 1)
    if m.arch in ("llama", "qwen3moe"):
        weight = weight / np.maximum(weight.sum(1, keepdims=True), F32_EPS_WEIGHT_SUM)
    gate, up, down = (experts_of(m, i, f"ffn_{k}") for k in ("gate", "up", "down"))
    out = np.zeros_like(x)
    for e in range(m.experts):
        row, slot = np.nonzero(chosen == e)
        out[row] += weight[row, slot, None] * mlp(x[row], gate[e], up[e], down[e], silu)
    shared = [m.w.get(f"blk.{i}.ffn_{k}_shexp.weight") for k in ("gate", "up", "down")]
    if shared[0] is not None:
        opened = 1 / (1 + np.exp(-(x @ m.w[f"blk.{i}.ffn_gate_inp_shexp.weight"].reshape(-1))))
        out += opened[:, None] * mlp(x, *shared, silu)
    return out


def dense(m, i, x):
    act = gelu_tanh if m.arch == "gemma3" else silu
    return mlp(x, *(m.w[f"blk.{i}.ffn_{k}.weight"] for k in ("gate", "up", "down")), act)


def logits(m, tokens):
    """Logits [n, vocab] of the model after each token."""
    embed = m.w["token_embd.weight"]
    x = embed[np.asarray(tokens)]
    if m.arch == "gemma3":
        x = x * np.sqrt(m.d)
    for i in range(m.layers):
        p = f"blk.{i}."
        y = attention(m, i, rms_norm(x, m.w[p + "attn_norm.weight"], m.eps))
        if p + "post_attention_norm.weight" in m.w:
            y = rms_norm(y, m.w[p + "post_attention_norm.weight"], m.eps)
        x = x + y
        y = rms_norm(x, m.w[p + "ffn_norm.weight"], m.eps)
        y = moe(m, i, y) if m.experts else dense(m, i, y)
        if p + "post_ffw_norm.weight" in m.w:
            y = rms_norm(y, m.w[p + "post_ffw_norm.weight"], m.eps)
        x = x + y
    x = rms_norm(x, m.w["output_norm.weight"], m.eps)
    return x @ m.w.get("output.weight", embed).T
