"""Random numbers and hashes of the scripts beside it, whose tests draw and hash the same."""

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


def fnv(data):
    """FNV-1a of 64 bits over bytes."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h
