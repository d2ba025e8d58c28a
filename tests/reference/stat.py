#!/usr/bin/env python3
"""Print the numbers that the tests of lib/stat compare with, as rows of C tables.

usage: stat.py > FILE

Distributions come from mpmath with 50 digits; tests and intervals from SciPy and NumPy; rank
tests with ties, for which SciPy has no exact distribution, from all arrangements, one by one.
Each block begins with the table that it belongs to: test_dist.c, test_rank.c, test_boot.c,
test_fit.c. Made with mpmath 1.4, SciPy 1.17 and NumPy 2.4.
"""
import itertools
import warnings

import mpmath as mp
import numpy as np
from scipy import stats

mp.mp.dps = 50


def heading(text):
    print(f"/* {text} */")


def number(x):
    return mp.nstr(mp.mpf(x), 17, min_fixed=-5, max_fixed=9)


def row(*values):
    """Of test_dist.c: three arguments, those that a function has not being 0, and the result."""
    *arguments, want = values
    arguments += [0] * (3 - len(arguments))
    print(f"        {{{', '.join(str(a) for a in arguments)}, {number(want)}}},")


# ---- distributions -------------------------------------------------------------------------

def beta_cdf(x, a, b):
    """I_x(a, b): the series that mpmath sums is slow for large parameters; integrate there."""
    if max(a, b) <= 1000:
        return mp.betainc(a, b, 0, x, regularized=True)
    sd = mp.sqrt(mp.mpf(a) * b / ((a + b) ** 2 * (a + b + 1)))
    log_b = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    f = lambda t: mp.exp((a - 1) * mp.log(t) + (b - 1) * mp.log1p(-t) - log_b)
    cuts = [max(mp.mpf(0), x - i * sd) for i in range(60, -1, -1)]
    return sum(mp.quad(f, [l, h]) for l, h in zip(cuts, cuts[1:]) if h > l)


def student(t, df):
    t, df = mp.mpf(t), mp.mpf(df)
    tail = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    return 1 - tail if t > 0 else tail


def binomial(k, n, p):
    p = mp.mpf(p)
    return mp.fsum(mp.binomial(n, i) * p ** i * (1 - p) ** (n - i) for i in range(k + 1))


def solve(f, target, low, high):
    """The x where f, increasing, is target: by halving, as far as 50 digits go."""
    low, high, target = mp.mpf(low), mp.mpf(high), mp.mpf(target)
    for _ in range(90):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < target else (low, middle)
    return (low + high) / 2


def distributions():
    heading("test_dist.c: normals: z, P(Z <= z)")
    for z in [-37, -20, -8.5, -3, -1.5, -0.25, -1e-9, 0, 0.1, 1, 1.96, 4, 8]:
        row(z, mp.ncdf(mp.mpf(z)))
    heading("test_dist.c: normal_quantiles: p, z")
    for p in [1e-300, 1e-100, 1e-16, 1e-5, 0.025, 0.2, 0.25, 0.4999, 0.500001, 0.7, 0.975, 0.999]:
        z = solve(mp.ncdf, p, -40, 40)
        row(p, z)
    heading("test_dist.c: students: t, df, P(T <= t)")
    for t, df in [(-1e6, 1), (-12.7, 1), (-3, 2.5), (-0.1, 4), (1e-8, 7), (2.776, 4), (1.5, 30),
                  (-6, 99), (-2, 1000), (-40, 50), (2.5, 0.5)]:
        row(t, df, student(t, df))
    heading("test_dist.c: student_quantiles: p, df, t")
    for p, df in [(0.025, 1), (0.025, 4), (0.025, 29), (0.005, 9), (1e-10, 3), (0.3, 2),
                  (0.499, 11), (0.95, 99), (0.975, 1000), (1e-6, 0.5)]:
        t = solve(lambda x: student(x, df), p, -1e13, 1e13) if df < 1 else \
            solve(lambda x: student(x, df), p, -1e5, 1e5)
        row(p, df, t)
    heading("test_dist.c: binomials: k, n, p, P(X <= k)")
    for k, n, p in [(0, 6, 0.5), (3, 10, 0.5), (40, 100, 0.5), (0, 1000, 1e-9), (7, 1000, 0.01),
                    (4900, 10000, 0.5), (990, 1000, 0.99), (2, 3, 0.2), (400, 1000, 0.5)]:
        row(k, n, p, binomial(k, n, p))
    heading("test_dist.c: betas: x, a, b, I_x(a, b)")
    for x, a, b in [(0.3, 2, 3), (0.01, 0.5, 0.5), (0.999, 0.1, 0.2), (0.5, 200, 210),
                    (1e-30, 0.01, 5), (0.25, 1, 1), (0.9, 800, 60), (0.499, 500000, 500000),
                    (0.1, 100200, 899800)]:
        row(x, a, b, beta_cdf(mp.mpf(x), a, b))
    heading("test_dist.c: beta_quantiles: p, a, b, x")
    for p, a, b in [(0.025, 2, 3), (0.975, 2, 3), (0.5, 0.5, 0.5), (1e-9, 0.3, 4), (0.9, 40, 0.7),
                    (0.05, 300, 700)]:
        x = solve(lambda v: beta_cdf(v, a, b), p, 0, 1)
        if p == 1e-9:       # lies so near 0 that 90 halvings do not reach it
            x = mp.exp(solve(lambda v: beta_cdf(mp.exp(v), a, b), p, -400, -1))
        row(p, a, b, x)


# ---- ranks ---------------------------------------------------------------------------------

A = [12.1, 11.4, 13.0, 12.7, 11.9, 14.2, 12.5]
B = [11.0, 11.8, 10.9, 12.0, 11.2, 11.6]
TIED_A = [3, 1, 4, 1, 5, 5]
TIED_B = [2, 1, 1, 3, 2]


def mean_ranks(x):
    return stats.rankdata(x)


def all_arrangements(a, b):
    """u, and twice the smaller tail of the rank sum over all ways to choose a's places."""
    rank = mean_ranks(a + b)
    sums = [sum(c) for c in itertools.combinations(rank, len(a))]
    got = sum(rank[:len(a)])
    below = sum(s <= got for s in sums)
    above = sum(s >= got for s in sums)
    return got - len(a) * (len(a) + 1) / 2, min(1, 2 * min(below, above) / len(sums))


def all_signs(d):
    d = [x for x in d if x]
    rank = mean_ranks(np.abs(d))
    sums = [np.dot(s, rank) for s in itertools.product([0, 1], repeat=len(d))]
    got = sum(r for r, x in zip(rank, d) if x > 0)
    below = sum(s <= got for s in sums)
    above = sum(s >= got for s in sums)
    return got, min(1, 2 * min(below, above) / len(sums))


def series(n, step, scale, shift):
    """The deterministic samples that test_rank.c makes too."""
    return [shift + scale * ((i * step) % 101) / 101 for i in range(n)]


def ranks():
    heading("test_rank.c: exact without ties: u, p")
    exact = stats.mannwhitneyu(A, B, method="exact")
    assert all_arrangements(A, B)[0] == exact.statistic
    print(f"    {exact.statistic}, {float(exact.pvalue)!r}")
    heading("test_rank.c: exact with ties: u, p")
    print("    %.17g, %.17g" % all_arrangements(TIED_A, TIED_B))
    heading("test_rank.c: 30 against 30, exact: u, p")
    a, b = series(30, 37, 1, 0), series(30, 53, 1, 0.13)
    t = stats.mannwhitneyu(a, b, method="exact")
    print(f"    {t.statistic}, {float(t.pvalue)!r}")
    heading("test_rank.c: 40 against 45, normal, ties: u, p")
    a = [round(x, 1) for x in series(40, 37, 1, 0)]
    b = [round(x, 1) for x in series(45, 53, 1, 0.13)]
    t = stats.mannwhitneyu(a, b, method="asymptotic")
    print(f"    {t.statistic}, {float(t.pvalue)!r}")
    heading("test_rank.c: signed, with ties and a zero: u, p")
    print("    %.17g, %.17g" % all_signs([3, -1, 2, 2, 0, -2, 5, 4, 1, 6, -1, 2]))
    heading("test_rank.c: signed, 70 differences, normal: u, p")
    d = [round(x - 0.4, 2) for x in series(70, 37, 1, 0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        t = stats.wilcoxon(d, zero_method="wilcox", correction=True, method="asymptotic",
                           alternative="two-sided")
    up = stats.wilcoxon(d, zero_method="wilcox", alternative="greater", method="asymptotic")
    print(f"    {up.statistic}, {float(t.pvalue)!r}")
    heading("test_rank.c: Hodges and Lehmann, 0.95: shift, low, high")
    diff = sorted(x - y for x in A for y in B)
    n, m = len(A), len(B)       # depth: the most pairs k with 2 P(U < k) <= 0.05
    counts = np.zeros(n * m + 1)
    for c in itertools.combinations(range(n + m), n):
        counts[sum(c) - n * (n - 1) // 2] += 1
    depth = max(k for k in range(n * m) if counts[:k].sum() / counts.sum() <= 0.025)
    print(f"    {float(np.median(diff))!r}, {diff[depth - 1]!r}, {diff[n * m - depth]!r}")


# ---- bootstrap -----------------------------------------------------------------------------

def skewed(n, step):
    return [float(np.exp(2.0 * ((i * step) % 97 + 1) / 98)) for i in range(n)]


def level_of(n, level=0.95):
    """The level whose normal quantile is the widened one for n groups (Hesterberg 2015)."""
    z = np.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)
    return 1 - 2 * stats.norm.sf(z)


def bootstrap():
    rng = np.random.default_rng(1)
    heading("test_boot.c: ratio of sums of 40 pairs: low, high")
    a, b = np.array(skewed(40, 37)), np.array(skewed(40, 53))
    r = stats.bootstrap((a, b), lambda x, y, axis: x.sum(axis) / y.sum(axis), paired=True,
                        n_resamples=400000, confidence_level=level_of(40), batch=20000,
                        method="BCa", rng=rng).confidence_interval
    print(f"    {r.low:.5f}, {r.high:.5f}")
    heading("test_boot.c: geometric mean of 25: low, high")
    r = stats.bootstrap((np.log(a[:25]),), np.mean, n_resamples=400000, batch=20000,
                        confidence_level=level_of(25), method="BCa", rng=rng).confidence_interval
    print(f"    {np.exp(r.low):.5f}, {np.exp(r.high):.5f}")
    heading("test_boot.c: standard deviation of 30: low, high")
    r = stats.bootstrap((a[:30],), lambda x, axis: x.std(axis, ddof=1), n_resamples=400000,
                        batch=20000, confidence_level=level_of(30), method="BCa",
                        rng=rng).confidence_interval
    print(f"    {r.low:.5f}, {r.high:.5f}")
    heading("test_boot.c: ratio of medians, 31 and 24, bias-corrected: low, high")
    x, y = a[:31], b[:24]
    theta = (np.median(rng.choice(x, (1000000, 31)), axis=1) /
             np.median(rng.choice(y, (1000000, 24)), axis=1))
    est = np.median(x) / np.median(y)
    z0 = stats.norm.ppf((np.sum(theta < est) + np.sum(theta == est) / 2) / theta.size)
    low, high = np.quantile(theta, stats.norm.cdf([2 * z0 - 1.959964, 2 * z0 + 1.959964]))
    print(f"    {low:.5f}, {high:.5f}")


def fits():
    heading("test_fit.c: a, b, c by weighted least squares, weights 1 / fit^2 after 20 rounds; "
            "exponent")
    x = np.array([64, 64, 128, 256, 256, 512, 1024, 2048.])
    wobble = np.array([1.02, 0.97, 1.03, 0.98, 1.01, 1.02, 0.97, 1.01])
    y = (5 + 0.25 * x + 1e-4 * x * x) * wobble
    w = 1 / y
    for _ in range(20):
        m = np.vander(x, 3, increasing=True)
        beta = np.linalg.lstsq(m * w[:, None], y * w, rcond=None)[0]
        w = 1 / (m @ beta)
    print("    %r, %r, %r" % tuple(float(v) for v in beta))
    print(f"    {float(np.polyfit(np.log(x), np.log(y), 1)[0])!r}")
    print(f"    {float(np.median(np.abs(m @ beta - y) / y))!r}")


if __name__ == "__main__":
    distributions()
    ranks()
    bootstrap()
    fits()
