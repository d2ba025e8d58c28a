#!/usr/bin/env python3
"""Print what GPTQ makes of small random matrices, for tests/test_gptq.c.

usage: gptq.py > gptq.tsv

The algorithm as its paper tells it (arXiv 2210.17323, algorithm 1), in float64 and without the
shortcuts of lib/quant: the inverse of H, its Cholesky factor, every error carried to all columns at
once. Weights and activations are small integers from SplitMix64, which the test draws again. Scales
follow lib/quant/grouped.h. Made with NumPy 2.4.
"""
import numpy as np

from draws import Rng


def draw(seed, rows, cols, n):
    """Weights in units of 2^-10; activations that have few directions, some noise, and loud
    columns."""
    r = Rng(seed)
    w = np.array([[r.below(1001) - 500 for _ in range(cols)] for _ in range(rows)])
    mix = np.array([[r.below(7) - 3 for _ in range(cols)] for _ in range(5)])
    x = []
    for _ in range(n):
        z = np.array([r.below(5) - 2 for _ in range(5)])
        noise = np.array([r.below(5) - 2 for _ in range(cols)])
        x.append((z @ mix + noise) * (1 + 3 * (np.arange(cols) % 11 == 0)))
    return w / 1024, np.array(x, dtype=np.float64)


def coarse(x, bits):
    """A half with at most so many significant bits."""
    fraction, exponent = np.frexp(np.float32(x))
    return np.float16(np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits))


def grid(x, bits, symmetric, shrink):
    low = min(x.min(), 0) * shrink
    high = max(x.max(), 0) * shrink
    most = 2 ** bits - 1
    if symmetric:
        return float(coarse(max(high, -low) / (most / 2), 11)), 2 ** (bits - 1)
    exact = (high - low) / most
    zero = np.rint(-low / float(coarse(exact, 11)))
    if zero < 1:
        zero = 1
        exact = max(high / (most - 1), -low)
    zero = min(zero, most)
    for room in range(11, 0, -1):
        scale = float(coarse(exact, room))
        if bits > 4 or float(np.float16(scale * zero)) == scale * zero:
            return scale, int(zero)


def code_of(x, scale, zero, bits):
    return np.clip(np.rint(x / scale) + zero, 0, 2 ** bits - 1)


def choose(x, cost, bits, symmetric, search):
    """Scale and zero, tried from the extremes down by 1/32 of them."""
    best = None
    for i in range(20 if search else 1):
        scale, zero = grid(x, bits, symmetric, 1 - i / 32)
        price = (cost * (x - scale * (code_of(x, scale, zero, bits) - zero)) ** 2).sum()
        if best is None or price < best[0]:
            best = price, scale, zero
    return best[1:]


def gptq(w, x, bits, group, symmetric, order, search, damp):
    cols = w.shape[1]
    group = cols if group < 0 else group
    h = x.T @ x
    places = np.argsort(-np.diag(h), kind="stable") if order else np.arange(cols)
    h = h[np.ix_(places, places)]
    h = h + damp * np.mean(np.diag(h)) * np.eye(cols)
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    cost = 1 / np.diag(u) ** 2
    back = np.argsort(places)
    codes = np.zeros(w.shape, dtype=int)
    for r in range(w.shape[0]):
        row = w[r, places].astype(np.float64)
        grids = {}
        if order == 1:
            for g in range(0, cols, group):
                grids[g // group] = choose(w[r, g:g + group], cost[back][g:g + group], bits,
                                           symmetric, search)
        for j in range(cols):
            g = places[j] // group if order == 1 else j // group
            if g not in grids:
                part = slice(j, j + group)
                grids[g] = choose(row[part], cost[part], bits, symmetric, search)
            scale, zero = grids[g]
            code = code_of(row[j], scale, zero, bits)
            codes[r, places[j]] = code
            error = (row[j] - scale * (code - zero)) / u[j, j]
            row[j:] -= error * u[j, j:]
    return codes


def main():
    rows, cols, n = 3, 160, 2000
    print("seed\trows\tcols\tn\tbits\tgroup\tsymmetric\torder\tsearch\tdamp\tcodes")
    seed = 0
    for bits in 2, 3, 4, 8:
        for group, symmetric, order, search in ((32, 1, 0, 0), (64, 0, 0, 0), (128, 1, 1, 0),
                                                (64, 0, 2, 0), (-1, 0, 1, 0), (32, 0, 0, 1),
                                                (128, 1, 2, 1)):
            seed += 1
            w, x = draw(seed, rows, cols, n)
            codes = gptq(w, x, bits, group, symmetric, order, search, 0.01)
            print(seed, rows, cols, n, bits, group, symmetric, order, search, 0.01,
                  "".join(f"{c:02x}" for c in codes.ravel()), sep="\t")


main()
