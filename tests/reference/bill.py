#!/usr/bin/env python3
"""bill.py - random price books and usages, and what they cost in exact rational arithmetic

    bill.py >bill.jsonl         a book and some usages a line, the same lines every time
    bill.py SEED BOOKS          others, so many books
    bill.py BOOK <usages.jsonl  prices usages (one of the objects below a line) under a book

Reads llm-book(5) by itself and follows the rules of the manual, without looking at lib/cost: rows
are Python dictionaries, money is a Fraction, and only the sum is rounded, half to even, to the
pico-dollar. A line of the output is
    {"book": TEXT, "usages": [{"model", "time_s", "service", "region", "speed",
                               "amounts": [[kind, modality, ttl_s, quantity], ...],
                               "usd": "0.465" or null where it is unpriced}, ...]}
"""
import datetime
import json
import random
import sys
from fractions import Fraction

KINDS = ["input", "read", "write", "output", "reasoning", "storage", "request", "second", "search"]
TOKENS = KINDS[:5]
MODALITIES = ["text", "audio", "image", "video"]
FALLBACK = {"read": "input", "write": "input", "reasoning": "output"}
ORDER = ["read", "write", "input", "reasoning", "output"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
NS = 10**9


# ---- reading a book ------------------------------------------------------------------------------

def date_s(text):
    text = text.replace("Z", "")
    form = "%Y-%m-%dT%H:%M" if "T" in text else "%Y-%m-%d"
    d = datetime.datetime.strptime(text, form) - datetime.datetime(1970, 1, 1)
    return d.days * 86400 + d.seconds


def duration_s(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[text[-1]]


def clock(text):
    return int(text[:2]) * 3600 + int(text[3:]) * 60


def days_of(text):
    out = set()
    for part in text.split(","):
        a, _, b = part.partition("-")
        i = DAYS.index(a)
        while True:
            out.add(i % 7)
            if i % 7 == DAYS.index(b or a):
                break
            i += 1
    return out


def read_book(text):
    models = {}
    rows = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        plain = [w for w in words if "=" not in w]
        keys = dict(w.split("=", 1) for w in words if "=" in w)
        if plain[0] == "model":
            models[plain[1]] = keys
        elif plain[0] in ("price", "factor"):
            rows.append({"factor": plain[0] == "factor", "model": plain[1],
                         "kind": plain[2] if len(plain) == 4 else None,
                         "value": Fraction(plain[-1]), "keys": keys, "line": len(rows)})
    return models, rows


def holds_at(row, time):
    k = row["keys"]
    if "from" in k and time < date_s(k["from"]) or "to" in k and time >= date_s(k["to"]):
        return False
    zone = k.get("zone", "UTC")
    local = time
    if zone != "UTC":
        local += (1 if zone[0] == "+" else -1) * clock(zone[1:])
    day, second = divmod(local, 86400)
    if "days" in k and (day + 3) % 7 not in days_of(k["days"]):
        return False
    if "hours" in k:
        spans = [s.split("-") for s in k["hours"].split(",")]
        return any(clock(a) <= second < clock(b) for a, b in spans)
    return True


def selectors(row):
    """The names of the selectors that a row has: neither validity nor tier."""
    k = row["keys"]
    out = {s for s in ("service", "region", "speed", "modality", "ttl") if s in k}
    if "days" in k or "hours" in k:
        out.add("window")
    return frozenset(out)


# ---- pricing -------------------------------------------------------------------------------------

class Unpriced(Exception):
    pass


def class_of(kind):
    return "output" if kind == "reasoning" else kind


def numbers(amounts, a, of):
    """(number of the first token of amount a, or None where it stands at the end; the measure)"""
    token = [x for x in amounts if x[0] in TOKENS]
    if of == "class":
        group = [x for x in amounts if class_of(x[0]) == class_of(a[0])]
    elif of == "prompt":
        group = [x for x in token if x[0] in ("input", "read", "write")]
    else:
        group = token
    measure = sum(x[3] for x in group)
    if a not in group:
        return None, measure
    def place(x):
        return (ORDER.index(x[0]) if x[0] in ORDER else 9, MODALITIES.index(x[1]), x[2])
    return 1 + sum(x[3] for x in group if place(x) < place(a)), measure


def reached(row, amounts, a, i):
    """Whether the tier of a row is reached by token i (0 is the first) of amount a."""
    k = row["keys"]
    if "above" not in k:
        return True
    first, measure = numbers(amounts, a, k["of"])
    n = first + i if k["mode"] == "marginal" and first is not None else measure
    return n >= int(k["above"]) if k["cmp"] == "ge" else n > int(k["above"])


def turns(rows, amounts, a):
    """Offsets at which the tier of some row may begin to hold."""
    out = {0, a[3]}
    for row in rows:
        k = row["keys"]
        if "above" in k and k["mode"] == "marginal":
            first, _ = numbers(amounts, a, k["of"])
            if first is not None:
                for d in (-1, 0, 1):
                    out.add(min(max(int(k["above"]) - first + d, 0), a[3]))
    return sorted(out)


def candidates(model, rows, u, a):
    """Price rows per kind that may be charged, tiers not asked, and factors."""
    here = [r for r in rows if r["model"] in (u["model"], "*") and holds_at(r, u["time_s"])]
    service, speed = u["service"] or "standard", u["speed"] or "standard"
    region = u["region"] or "standard"
    if service != "standard" and not any(r["keys"].get("service") == service for r in here):
        raise Unpriced
    if speed != "standard" and not any(r["keys"].get("speed") == speed for r in here):
        raise Unpriced
    kind, modality, ttl, _ = a
    default = duration_s(model["default_ttl"]) if "default_ttl" in model else 0
    life = (ttl or default) if kind == "write" else 0

    def fits(r):
        k = r["keys"]
        return (k.get("service", service) == service and k.get("region", region) == region and
                k.get("speed", speed) == speed and k.get("modality", modality) == modality and
                ("ttl" not in k or duration_s(k["ttl"]) == life))

    def counts(f, row_kind):
        return f["kind"] in (kind, row_kind) or f["kind"] is None and kind in TOKENS

    factors = [r for r in here if r["factor"] and fits(r)]
    writes = any(r["kind"] == "write" and not r["factor"] for r in here)
    kinds = [kind]
    if kind in FALLBACK and not (kind == "write" and writes):
        kinds.append(FALLBACK[kind])
    prices = {}
    for rank, of in enumerate(kinds):
        mine = [f for f in factors if counts(f, of)]
        for r in here:
            if r["factor"] or r["kind"] != of or not fits(r):
                continue
            if (modality != "text" and "modality" not in r["keys"] and
                    not any("modality" in f["keys"] for f in mine)):
                continue
            if (of == "write" and "ttl" not in r["keys"] and life != default and
                    not any("ttl" in f["keys"] for f in mine)):
                continue
            prices.setdefault(rank, []).append(r)
    return prices, factors, counts


def best(rows):
    """The row that counts among those whose tiers are reached."""
    return min(rows, key=lambda r: (r["model"] == "*", -len(selectors(r)),
                                    -int(r["keys"].get("above", -1)), r["line"]))


def rate_of(row, kind, model):
    """Dollars for one of the amount's unit, and the size of a unit that is charged whole."""
    per = row["keys"].get("per")
    v = row["value"]
    if kind == "storage":
        return v / 10**6 / 3600000, 1
    if kind == "second":
        return v * {None: Fraction(1), "second": Fraction(1), "minute": Fraction(1, 60),
                    "hour": Fraction(1, 3600)}[per] / NS, 1
    if kind in ("request", "search"):
        return v / (1000 if per == "1k" else 1), 1
    if per == "unit":
        return v, int(row["keys"]["unit"])
    if per == "active":
        if "active" not in model:
            raise Unpriced
        return v / 10**6 * int(model["active"]) / 10**9, 1
    return v / {None: 10**6, "mtok": 10**6, "ktok": 1000, "token": 1}[per], 1


def charge(model, rows, u, a):
    prices, factors, counts = candidates(model, rows, u, a)
    if not prices and a[0] == "request":
        return Fraction(0)      # every record is one, and few books charge for it
    if not prices:
        raise Unpriced
    every = [r for of in prices.values() for r in of] + factors
    total = Fraction(0)
    cuts = turns(every, u["amounts"], a)
    spans = []                  # [what holds, tokens]: a unit is started once in each
    for begin, end in zip(cuts, cuts[1:]):
        row = None
        for rank in sorted(prices):
            left = [r for r in prices[rank] if reached(r, u["amounts"], a, begin)]
            if left:
                row = best(left)
                break
        if row is None:
            raise Unpriced
        sets = {}
        for f in factors:
            if counts(f, row["kind"]) and reached(f, u["amounts"], a, begin):
                key = (selectors(f), "above" in f["keys"], f["kind"])
                sets.setdefault(key, []).append(f)
        held = sorted((best(s) for s in sets.values()), key=lambda f: f["line"])
        if spans and spans[-1][0] == (row, held):
            spans[-1][1] += end - begin
        else:
            spans.append([(row, held), end - begin])
    for (row, held), n in spans:
        rate, unit = rate_of(row, row["kind"], model)
        for f in held:
            rate *= f["value"]
        total += rate * -(-n // unit)
    return total


def price(models, rows, u):
    """Pico-dollars, or None."""
    try:
        if u["model"] not in models:
            return None
        return round(sum((charge(models[u["model"]], rows, u, a) for a in u["amounts"]),
                         Fraction(0)) * 10**12)
    except Unpriced:
        return None


def dollars(pico):
    if pico is None:
        return None
    text = "%d.%012d" % divmod(pico, 10**12)
    return text.rstrip("0").rstrip(".")


# ---- random books --------------------------------------------------------------------------------

def decimals(rnd, most, digits):
    return ("%.*f" % (digits, rnd.uniform(0, most))).rstrip("0").rstrip(".") or "0"


def random_keys(rnd, kind, factor):
    k = {}
    if rnd.random() < 0.25:
        k["service"] = rnd.choice(["batch", "flex", "priority", "standard"])
    if rnd.random() < 0.12:
        k["region"] = rnd.choice(["eu", "us"])
    if rnd.random() < 0.1:
        k["speed"] = "fast"
    if rnd.random() < 0.15 and kind in TOKENS + [None]:
        k["modality"] = rnd.choice(MODALITIES)
    if kind == "write" and rnd.random() < 0.5:
        k["ttl"] = rnd.choice(["5m", "1h"])
    if kind in TOKENS + [None] and rnd.random() < 0.4:
        k["above"] = str(rnd.choice([0, 1, 1000, 128000, 200000, 272000]))
        k["cmp"] = rnd.choice(["gt", "ge"])
        k["mode"] = rnd.choice(["whole", "marginal"])
        k["of"] = rnd.choice(["prompt", "class", "total"])
    if rnd.random() < 0.15:
        k[rnd.choice(["from", "to"])] = rnd.choice(["2026-03-13", "2026-08-16T16:00Z"])
    if rnd.random() < 0.12:
        if rnd.random() < 0.7:
            k["hours"] = rnd.choice(["01:00-04:00,06:00-10:00", "16:30-24:00", "00:00-12:15"])
        if "hours" not in k or rnd.random() < 0.5:
            k["days"] = rnd.choice(["mon-fri", "sat,sun", "fri-mon"])
        if rnd.random() < 0.5:
            k["zone"] = rnd.choice(["+08:00", "-05:30"])
    if not factor:
        if kind in TOKENS and rnd.random() < 0.12:
            k["per"] = rnd.choice(["ktok", "token", "active", "unit"])
            if k["per"] == "unit":
                k["unit"] = str(rnd.choice([1, 7, 1000, 4096]))
        if kind in ("request", "search") and rnd.random() < 0.4:
            k["per"] = "1k"
        if kind == "second" and rnd.random() < 0.6:
            k["per"] = rnd.choice(["minute", "hour"])
    return k


def may_stand(row, rows):
    """Cautious: refuses more than the book's own rule does."""
    for r in rows:
        if (r["model"], r["kind"], r["factor"]) != (row["model"], row["kind"], row["factor"]):
            continue
        a, b = r["keys"], row["keys"]
        if any(s in a and s in b and a[s] != b[s]
               for s in ("service", "region", "speed", "modality", "ttl")):
            continue
        if "to" in a and a["to"] == b.get("from") or "to" in b and b["to"] == a.get("from"):
            continue
        if selectors(r) == selectors(row):
            if a.get("above") == b.get("above"):
                return False
        elif not row["factor"] and len(selectors(r)) == len(selectors(row)):
            return False
    return True


def random_book(rnd):
    models = ["m-%d" % i for i in range(rnd.randint(1, 2))]
    text = ["book random observed=2026-01-01 currency=USD counterfactual=yes"]
    for m in models:
        text.append("model " + m + rnd.choice(["", " default_ttl=5m", " default_ttl=1h"]) +
                    " active=%d" % rnd.randint(10**9, 10**11))
    rows = []
    for _ in range(rnd.randint(8, 40)):
        factor = rnd.random() < 0.3
        kind = rnd.choice(KINDS) if rnd.random() < 0.5 else rnd.choice(["input", "output"])
        if factor and rnd.random() < 0.5:
            kind = None
        keys = random_keys(rnd, kind, factor)
        value = decimals(rnd, 2 if factor else 20, rnd.choice([0, 2, 4] if factor else [0, 2, 9]))
        if keys.get("per") in ("token", "unit", "ktok"):
            value = decimals(rnd, 0.001, 9)
        row = {"factor": factor, "kind": kind, "keys": keys,
               "model": "*" if rnd.random() < 0.1 else rnd.choice(models)}
        if may_stand(row, rows):
            rows.append(row)
            text.append(" ".join(["factor" if factor else "price", row["model"]] +
                                 ([kind] if kind else []) + [value] +
                                 ["%s=%s" % x for x in keys.items()]))
    return "\n".join(text) + "\n", models


def random_quantity(rnd, kind):
    if kind == "storage":
        return rnd.randint(1, 10**14)
    if kind == "second":
        return rnd.randint(1, 10**13)
    if kind in ("request", "search"):
        return rnd.randint(1, 20)
    return rnd.choice([1, 2, rnd.randint(1, 3000), rnd.randint(1, 300000), 128000, 200000, 272000])


def random_usage(rnd, models):
    amounts = {}
    for kind in KINDS:
        for _ in range(2):
            if rnd.random() < (0.45 if kind in TOKENS else 0.08):
                other = kind in TOKENS and rnd.random() < 0.1
                modality = rnd.choice(MODALITIES) if other else "text"
                ttl = rnd.choice([0, 300, 3600]) if kind == "write" else 0
                amounts[kind, modality, ttl] = random_quantity(rnd, kind)
    day = date_s("2026-01-15") + rnd.randint(0, 300) * 86400
    return {"model": rnd.choice(models), "time_s": day + rnd.randint(0, 86399),
            "service": rnd.choice([None] * 5 + ["standard", "batch", "flex"]),
            "region": rnd.choice([None] * 3 + ["eu", "mars"]),
            "speed": rnd.choice([None] * 7 + ["fast"]),
            "amounts": [list(k) + [n] for k, n in amounts.items()]}


def make(seed, books, each):
    rnd = random.Random(seed)
    for _ in range(books):
        text, names = random_book(rnd)
        models, rows = read_book(text)
        usages = []
        for _ in range(300):
            u = random_usage(rnd, names)
            u["usd"] = dollars(price(models, rows, u))
            if not u["amounts"] or u["usd"] is None and sum(v["usd"] is None for v in usages):
                continue                # one that is unpriced tells enough
            usages.append(u)
            if len(usages) == each:
                break
        print(json.dumps({"book": text, "usages": usages}, separators=(",", ":")))


def main():
    if len(sys.argv) == 1:
        return make(1, 60, 5)
    if len(sys.argv) == 3:
        return make(int(sys.argv[1]), int(sys.argv[2]), 5)
    with open(sys.argv[1]) as f:
        models, rows = read_book(f.read())
    for line in sys.stdin:
        print(dollars(price(models, rows, json.loads(line))))


if __name__ == "__main__":
    main()
