"""A made-up run, drawn from its number: what is measured of each checkpoint."""
import math
import random

from oracle import NAN, stored

# name: (scope, role, threshold, below, low, contrast); by_sequence of the first.
METRICS = {
    "dormancy": (1, 1, .9, False, .1, .3),
    "mass": (1, 2, .5, False, None, None),
    "drain": (1, 4, .5, True, None, None),
    "write": (1, 7, None, False, .3, None),
    "peak": (3, 5, 3.0, False, None, None),
    "norm": (3, 6, None, False, None, None),
    "loss": (4, 9, None, False, None, None),
}
SCOPE_HEAD, SCOPE_LAYER, SCOPE_MODEL = 1, 3, 4


class Vector:
    """Values of a metric of a layer (None: of the model) in a domain."""

    def __init__(self, values, errors, sequences=None):
        self.values = [stored(v) for v in values]
        self.errors = [stored(e) for e in errors]
        # A list for each value, or None.
        self.sequences = sequences and [[stored(v) for v in some] for some in sequences]


def steps_of(r):
    kind = r.choice(["even", "even", "powers", "random", "few", "one"])
    if kind == "one":
        return [r.choice([0, 1, 500])]
    if kind == "few":
        return sorted(r.sample(range(0, 2000, 100), r.randint(2, 5)))
    n = r.randint(6, 34)
    if kind == "even":
        first, every = r.choice([0, 0, 1000]), r.choice([1, 10, 250])
        return [first + i * every for i in range(n)]
    if kind == "powers":
        steps = [0] + [2 ** i for i in range(10)]
        return (steps + [1000 + 500 * i for i in range(30)])[:n]
    return sorted(r.sample(range(0, 5000), n))


class Curve:
    """A share over the steps: flat, rising, falling, rising and falling back, in
    two stages; some noise, some on a grid that meets bounds exactly."""

    def __init__(self, r, steps):
        self.r = r
        self.low, self.high = r.choice([0, .05, .1, .3]), r.choice([.45, .5, .9, .96, 1])
        self.kind = r.choice(["flat", "flat", "rise", "rise", "rise", "fall", "back", "two", "saw"])
        self.level = r.choice([self.low, self.high, r.random()])
        self.at = r.choice(steps) if len(steps) > 1 else 0
        self.back = r.choice(steps)
        self.sharp = r.choice([.02, .3, 1])
        self.noise = r.choice([0, 0, .004, .03])
        self.grid = r.choice([0, 0, 10, 20])

    def risen(self, step, at):
        x = (math.log1p(step) - math.log1p(at)) / self.sharp
        return 1 / (1 + math.exp(-max(-500, min(500, x))))

    def at_step(self, step):
        way = self.high - self.low
        value = {
            "flat": lambda: self.level,
            "rise": lambda: self.low + way * self.risen(step, self.at),
            "fall": lambda: self.high - way * self.risen(step, self.at),
            "back": lambda: self.low + way * (self.risen(step, self.at) -
                                              self.risen(step, self.back)),
            "two": lambda: self.low + way * .5 * (self.risen(step, self.at) +
                                                  self.risen(step, self.back)),
            "saw": lambda: self.r.choice([self.low, self.high]),
        }[self.kind]() + self.noise * self.r.gauss(0, 1)
        if self.grid:
            value = round(value * self.grid) / self.grid
        return min(1.0, max(0.0, value))


class History:
    """steps; stages; tokens by step; vectors[step] = {(metric, domain, layer):
    Vector}; steps of the same weights, implausible ones, and ones that are
    measured a second time with other values."""

    def __init__(self, number):
        r = self.r = random.Random(f"history {number}")
        self.name = f"run{number}"
        self.layers, self.heads = r.randint(1, 3), r.choice([1, 1, 2, 4])
        self.domains = ["wiki", "code", "maths"][:r.choice([1, 2, 2, 2, 3])]
        self.sequences = r.choice([0, 0, 1, 2, 3, 16, 40])
        self.stages = ["stage1", "stage2"] if r.random() < .1 else [""]
        self.steps = steps_of(r)
        self.tokens_a_step = r.choice([0, 0, 1, 4]) * 1000
        self.gaps = r.choice([0, 0, 0, .1, .4])
        self.errors = r.choice(["noise", "noise", "nan", "zero"])
        some = [s for s in self.steps if r.random() < .15]
        self.same = some if r.random() < .15 and len(some) > 1 else []
        self.implausible = {s for s in self.steps if r.random() < .1} if r.random() < .15 else set()
        self.again = {s for s in self.steps if r.random() < .2} if r.random() < .2 else set()
        self.blank = {(d, l, h) for d in self.domains for l in range(self.layers)
                      for h in range(self.heads) if r.random() < (.2 if r.random() < .3 else 0)}
        self._curves()
        self.first = {s: self._measure(s) for s in self.steps}
        self.second = {s: self._measure(s) for s in self.again}

    def tokens(self, step):
        return step * self.tokens_a_step

    def folder(self, stage, step):
        tokens = f"-tokens{self.tokens(step) // 1000}K" if self.tokens_a_step and step else ""
        return (f"{stage}-" if stage else "") + f"step{step}{tokens}"

    def vectors(self):
        """By step, those that count."""
        return {s: self.second.get(s, self.first[s]) for s in self.steps}

    def _curves(self):
        r = self.r
        self.curves = {(d, l, h): Curve(r, self.steps) for d in self.domains
                       for l in range(self.layers) for h in range(self.heads)}
        self.writes = {key: r.choice([.05, .3, .5, 1]) for key in self.curves}
        self.drained = {key: r.choice([.1, .4, .5, .9]) for key in self.curves}
        self.jump = {(d, l): (r.choice(self.steps), r.choice([0, 0, 5, 30, -10]))
                     for d in self.domains for l in range(self.layers)}
        self.slope = r.choice([0, .001, .01])

    def _error(self, noise):
        return {"noise": noise + .002, "nan": NAN, "zero": 0.0}[self.errors]

    def _head(self, key, step):
        """(dormancy, mass, drain, write), error and sequences of a head."""
        r, curve = self.r, self.curves[key]
        if key in self.blank or r.random() < self.gaps * .3:
            nothing = [NAN] * self.sequences if self.sequences else None
            return (NAN,) * 4, NAN, nothing
        dormancy = curve.at_step(step)
        sequences = None
        error = self._error(curve.noise)
        if self.sequences:
            spread = r.choice([0, .05, .3])
            sequences = [min(1.0, max(0.0, dormancy + spread * r.gauss(0, 1)))
                         for _ in range(self.sequences)]
            if self.sequences > 3 and r.random() < .1:
                sequences[0] = NAN
            there = [s for s in sequences if s == s]
            dormancy = sum(there) / len(there)
            n = len(there)
            error = (math.sqrt(sum((s - dormancy) ** 2 for s in there) / (n - 1) / n)
                     if n > 1 else NAN)
        risen = dormancy
        mass = min(1.0, max(0.0, .02 + .9 * risen + curve.noise * r.gauss(0, 1)))
        drain = 1 - (1 - self.drained[key]) * risen
        write = self.writes[key] * (1 - .8 * risen)
        return (dormancy, mass, drain, write), error, sequences

    def _measure(self, step):
        r, found = self.r, {}
        for domain in self.domains:
            if len(self.domains) > 1 and r.random() < self.gaps * .3:
                self._add_model(found, domain, step)
                continue
            for layer in range(self.layers):
                heads = [self._head((domain, layer, h), step) for h in range(self.heads)]
                for m, metric in enumerate(["dormancy", "mass", "drain", "write"]):
                    sequences = [h[2] for h in heads] if m == 0 and self.sequences else None
                    found[metric, domain, layer] = Vector(
                        [h[0][m] for h in heads], [h[1] for h in heads], sequences)
                self._add_layer(found, domain, layer, step)
            self._add_model(found, domain, step)
        return found

    def _add_layer(self, found, domain, layer, step):
        at, size = self.jump[domain, layer]
        noise = .02
        norm = 20 + self.slope * step + (size if step > at else 0) + noise * self.r.gauss(0, 1)
        found["norm", domain, layer] = Vector([norm], [self._error(noise)])
        peak = 1 + 4 * self.curves[domain, layer, 0].at_step(step)
        found["peak", domain, layer] = Vector([peak], [self._error(noise)])

    def _add_model(self, found, domain, step):
        loss = 2 + 6 / math.sqrt(1 + step / 50) + .001 * self.r.gauss(0, 1)
        found["loss", domain, None] = Vector([loss], [.001])
