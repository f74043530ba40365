"""What answers should be, by the definitions of server/analytics/README.md, in
plain Python. A series is [(step, value, error)], ascending, without NaN; errors
may be NaN. Written from the text: nothing here is the server's code.
"""
import math
import statistics
import struct

NAN = math.nan
Z95 = 1.959964  # "1.96"


def stored(x):
    """The float32 that is nearest."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def known(x):
    return x if math.isfinite(x) else 0.0


# --- emergence ---------------------------------------------------------------
def emergence(series, threshold, below, consecutive=2):
    """As a record of /api/v1/emergence, with None for what is absent."""
    found = dict(censoring="right", after_step=None, by_step=None, estimate=None,
                 provisional=False, holds_from_step=None, reversal_step=None,
                 checkpoints=len(series))
    if not series:
        return {**found, "censoring": "unmeasured"}
    bound = stored(threshold)
    beyond = [v <= bound if below else v >= bound for _, v, _ in series]
    n = len(series)
    first = None
    for i in range(n):
        row = beyond[i:i + consecutive]
        if all(row):  # at the end of the series also with fewer
            first = i
            break
    if first is None:
        return {**found, "after_step": series[-1][0]}
    found["provisional"] = n - first < consecutive
    found["by_step"] = series[first][0]
    if first == 0:
        found["censoring"] = "left"
    else:
        (t0, v0, _), (t1, v1, _) = series[first - 1], series[first]
        share = (threshold - v0) / (v1 - v0)
        log = math.log1p(t0) + share * (math.log1p(t1) - math.log1p(t0))
        found.update(censoring="none", after_step=t0, estimate=math.expm1(log))
    if beyond[-1]:
        last = n - 1
        while last > 0 and beyond[last - 1]:
            last -= 1
        found["holds_from_step"] = series[last][0]
    for i in range(first, n - consecutive + 1):
        if not any(beyond[i:i + consecutive]):
            found["reversal_step"] = series[i][0]
            break
    return found


def emerged(found):
    return found["censoring"] in ("none", "left")


def middle_one(founds):
    """That of the median series of those that emerged; of an even number the
    earlier one. Else that which was looked at for longest."""
    those = sorted((f for f in founds if emerged(f)),
                   key=lambda f: (f["by_step"], f["estimate"] if f["estimate"] is not None
                                  else f["by_step"]))
    if those:
        return those[(len(those) - 1) // 2]
    never = [f for f in founds if f["censoring"] == "right"]
    return max(never, key=lambda f: f["after_step"]) if never else None


def order(a, b):
    """"earlier" if all of (after, by] of a lies before that of b."""
    def before(x, y):
        return (emerged(x) and not x["provisional"] and
                y["censoring"] in ("none", "right") and x["by_step"] <= y["after_step"])
    return "earlier" if before(a, b) else "later" if before(b, a) else "unresolved"


def rise(series, below):
    """half_after_step, half_by_step, half_step, width, width_low, width_high,
    shape; None where there is no change by four standard errors."""
    if len(series) < 2:
        return None
    values = [v for _, v, _ in series]
    extreme = values.index(min(values) if below else max(values))
    way = values[extreme] - values[0]
    error = math.hypot(known(series[0][2]), known(series[extreme][2]))
    if extreme == 0 or abs(way) < 4 * error:
        return None
    share = [(v - values[0]) / way for v in values]
    log = [math.log1p(t) for t, _, _ in series]

    def at(i, s):
        return log[i - 1] + (s - share[i - 1]) / (share[i] - share[i - 1]) * (log[i] - log[i - 1])
    half = next(i for i in range(1, len(series)) if share[i] >= .5)
    tenth = half
    while tenth > 0 and share[tenth - 1] >= .1:
        tenth -= 1
    most = next(i for i in range(half, len(series)) if share[i] >= .9)
    inside = most - tenth
    width = at(most, .9) - at(tenth, .1)
    shape = ("unresolved" if inside == 0 else
             "sharp" if inside >= 3 and width <= math.log(2) else "gradual")
    return dict(half_after_step=series[half - 1][0], half_by_step=series[half][0],
                half_step=math.expm1(at(half, .5)), width=width,
                width_low=max(0.0, log[most - 1] - log[tenth]),
                width_high=log[most] - log[tenth - 1], shape=shape)


# --- states ------------------------------------------------------------------
RULE = dict(dormant=.9, active=.1, drained=.5, quiet=.3, contrast=.3, awake=.5)
ROUNDING = 1e-6


def state(dormancy, drain, write, largest_write):
    if math.isnan(dormancy):
        return None
    if dormancy >= stored(RULE["dormant"]):
        return "broadcast" if drain > stored(RULE["drained"]) else "dormant"
    if dormancy > stored(RULE["active"]):
        return "mixed"
    return "quiet" if write <= RULE["quiet"] * largest_write * (1 + ROUNDING) else "active"


def largest(values):
    there = [v for v in values if not math.isnan(v)]
    return max(there) if there else NAN


def furthest(dormancies):
    """(high, low) places of the two that differ most; None with fewer than two."""
    there = [d for d, v in enumerate(dormancies) if not math.isnan(v)]
    if len(there) < 2:
        return None
    high = max(there, key=lambda d: (dormancies[d], -d))
    low = min((d for d in there if d != high), key=lambda d: (dormancies[d], d))
    return high, low


def head_type(signals, apart=None):
    """signals: (dormancy, error, drain, write) by domain; `apart`: whether the
    sequences tell the two furthest domains apart, None where they do not say.
    None: not known."""
    dormancies = [s[0] for s in signals]
    pair = furthest(dormancies)
    if pair is not None:
        high, low = signals[pair[0]], signals[pair[1]]
        difference = high[0] - low[0]
        if apart is None:
            error = math.hypot(high[1], low[1])
            apart = math.isnan(error) or abs(difference) > Z95 * error
        if (difference >= RULE["contrast"] - ROUNDING and high[0] >= stored(RULE["awake"]) and
                apart):
            return "switching"
    if any(math.isnan(d) for d in dormancies):
        return None
    most = largest([s[3] for s in signals])
    states = {state(s[0], s[2], s[3], most) for s in signals}
    if states == {"dormant"}:
        return "always_dormant"
    if states == {"active"}:
        return "always_active"
    return "other" if len(signals) > 1 else None


class Settled:
    """Changes when two in a row say the same other thing; None is passed over."""

    def __init__(self, consecutive=2):
        self.consecutive = consecutive
        self.now = self.since = None
        self.others = []

    def see(self, what, step):
        """(from, to, since) of a change, else None."""
        if what is None:
            return None
        if self.now is None:
            self.now, self.since = what, step
            return None
        if what == self.now:
            self.others = []
            return None
        if self.others and self.others[0][0] != what:
            self.others = []
        self.others.append((what, step))
        if len(self.others) < self.consecutive:
            return None
        before, self.now, self.since = self.now, what, self.others[0][1]
        self.others = []
        return before, what, self.since


# --- jumps -------------------------------------------------------------------
def scatter(values, centre):
    return 1.4826 * statistics.median(abs(v - centre) for v in values)


def jumps(series, min_score=6):
    """Records with after_step, by_step, from_step, to_step, before, after, score,
    provisional; ascending."""
    n = len(series) - 1
    changes = [series[i + 1][1] - series[i][1] for i in range(n)]
    if n < 1:
        return []
    around = []
    for i in range(n):
        others = changes[max(0, i - 10):i] + changes[i + 1:i + 11]
        if len(others) < 4:
            around.append(None)
            continue
        centre = statistics.median(others)
        around.append((centre, scatter(others, centre)))
    typical = max(statistics.median(a[1] if a else 0 for a in around),
                  1e-6 * max(abs(v) for _, v, _ in series))
    scores = []
    for i in range(n):
        if around[i] is None:
            scores.append(0.0)
            continue
        noise = math.hypot(known(series[i][2]), known(series[i + 1][2]),
                           max(around[i][1], typical))
        excess = changes[i] - around[i][0]
        scores.append(excess / noise if noise > 0 and excess * changes[i] > 0 else 0.0)
    found, i = [], 0
    while i < n:
        end = i
        while end < n and abs(scores[end]) >= min_score and (scores[end] > 0) == (scores[i] > 0):
            end += 1
        if end == i:
            i += 1
            continue
        steepest = max(range(i, end), key=lambda k: (abs(changes[k]), -k))
        score = on_its_grid(series, i, end, abs(scores[steepest]), typical)
        provisional = end == n
        if score >= min_score and (provisional or stays(series, i, end)):
            found.append(dict(after_step=series[steepest][0], by_step=series[steepest + 1][0],
                              from_step=series[i][0], to_step=series[end][0],
                              before=series[i][1], after=series[end][1], score=score,
                              provisional=provisional))
        i = end
    return found


def stays(series, i, end):
    way = series[end][1] - series[i][1]
    before = statistics.median(v for _, v, _ in series[max(0, i - 2):i + 1])
    after = statistics.median(v for _, v, _ in series[end:end + 3])
    return (after - before) * math.copysign(1, way) > abs(way) / 2


def on_its_grid(series, i, end, score, typical):
    """Where some step of those around is more than twice another, the whole must
    also go beyond the rates of three changes before and behind it, by step and
    by ln(1 + step)."""
    n = len(series) - 1
    first, last = max(0, i - 3), min(n, end + 3)
    widths = [series[k + 1][0] - series[k][0] for k in range(first, last)]
    if max(widths) <= 2 * min(widths):
        return score
    beside = [(a, b) for a, b in ((first, i), (end, last)) if a < b]
    scores = [score]

    def change(a, b):
        return series[b][1] - series[a][1]

    def noise(a, b):
        return math.hypot(known(series[a][2]), known(series[b][2]), typical)
    for place in (float, math.log1p):
        def width(a, b):
            return place(series[b][0]) - place(series[a][0])
        scales = [width(i, end) / width(a, b) for a, b in beside]
        rates = [change(a, b) * s for (a, b), s in zip(beside, scales)]
        loud = max([noise(i, end)] + [noise(a, b) * s for (a, b), s in zip(beside, scales)])
        way = change(i, end)
        beyond = way - max(rates + [0]) if way > 0 else min(rates + [0]) - way
        scores.append(beyond / loud if beyond > 0 and loud > 0 else 0.0)
    return min(scores)


# --- fits --------------------------------------------------------------------
def line(x, y):
    """a, b, squares."""
    mx, my = statistics.fmean(x), statistics.fmean(y)
    sxx = sum((p - mx) ** 2 for p in x)
    b = sum((p - mx) * (q - my) for p, q in zip(x, y)) / sxx
    a = my - b * mx
    return a, b, sum((q - a - b * p) ** 2 for p, q in zip(x, y))


def fits(series):
    """{model: (a, b, squares)} of those that are lines in something."""
    points = [(t, v) for t, v, _ in series if t >= 1]
    if len(points) < 3:
        return {}
    t = [p[0] for p in points]
    y = [p[1] for p in points]
    found = {"linear": line(t, y), "log": line([math.log(p) for p in t], y)}
    if all(v > 0 for v in y):
        found["power"] = line([math.log(p) for p in t], [math.log(v) for v in y])
    return found


# --- contrasts ---------------------------------------------------------------
def auroc(high, low):
    high, low = [v for v in high if v == v], [v for v in low if v == v]
    if not high or not low:
        return None
    return sum((a > b) + .5 * (a == b) for a in high for b in low) / (len(high) * len(low))


def cohens_d(high, low):
    high, low = [v for v in high if v == v], [v for v in low if v == v]
    if len(high) < 2 or len(low) < 2 or len(set(high)) == len(set(low)) == 1:
        return None
    a, b = statistics.fmean(high), statistics.fmean(low)
    squares = sum((v - a) ** 2 for v in high) + sum((v - b) ** 2 for v in low)
    sd = math.sqrt(squares / (len(high) + len(low) - 2))
    return (a - b) / sd if sd > 0 else None


def jaccard(before, now):
    either = before | now
    return len(before & now) / len(either) if either else 1.0
