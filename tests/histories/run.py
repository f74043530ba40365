#!/usr/bin/env python3
"""Answers of a server about made-up histories against an oracle that was written
from the definitions alone.

  run.py --server=bazel-bin/server/sinkwatch_server [--cases=200] [--first=0]

Prints each difference, then how many answers were compared; exit code 1 if there
is a difference. Needs Python 3.11 and nothing else.
"""
import argparse
import collections
import math
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import oracle  # noqa: E402
from draw import METRICS, SCOPE_HEAD, SCOPE_MODEL, History  # noqa: E402
from server import MeasuredServer  # noqa: E402

RELATIVE, ABSOLUTE = 1e-6, 1e-9
NAN = math.nan


def close(ours, theirs):
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(ours, bool) or isinstance(ours, str) or isinstance(theirs, str):
        return ours == theirs
    return math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


class Differences:
    def __init__(self):
        self.compared = collections.Counter()
        self.found = []

    def check(self, where, ours, theirs):
        """ours: what the oracle says."""
        self.compared[where.split(" ")[1]] += 1
        if not close(ours, theirs):
            self.found.append(f"{where}: oracle {ours!r}, server {theirs!r}")
            print(self.found[-1], flush=True)

    def check_record(self, where, ours, theirs):
        for name, value in ours.items():
            self.check(f"{where}.{name}", value, theirs.get(name))


class Case:
    """A history as the server should see it: without what is left out."""

    def __init__(self, history, server, differences):
        self.h, self.server, self.out = history, server, differences
        self.stage = history.stages[-1]
        self.vectors = history.vectors()
        self.shown = [s for s in history.steps if s not in history.implausible]
        same = [s for s in history.steps if s in history.same]
        self.counted = [s for s in self.shown if not (len(same) > 1 and s in history.same)]

    def ask(self, endpoint, **parameters):
        stage = self.stage or None
        return self.server.ask(endpoint, run=self.h.name, stage=stage, **parameters)

    def where(self, what):
        return f"{self.h.name} {what}"

    def columns(self, metric, domain):
        """(layer, index) that there are."""
        scope = METRICS[metric][0]
        if scope == SCOPE_MODEL:
            return [(None, 0)]
        there = any((metric, domain, 0) in self.vectors[s] for s in self.shown)
        if not there:
            return []
        width = self.h.heads if scope == SCOPE_HEAD else 1
        return [(l, i) for l in range(self.h.layers) for i in range(width)]

    def series(self, metric, domain, layer, index, steps=None):
        points = []
        for step in self.counted if steps is None else steps:
            vector = self.vectors[step].get((metric, domain, layer))
            if vector is not None and not math.isnan(vector.values[index]):
                points.append((step, vector.values[index], vector.errors[index]))
        return points

    # --- single metrics ------------------------------------------------------
    def check_emergence(self, metric, domain):
        _, _, threshold, below, *_ = METRICS[metric]
        if threshold is None or not self.columns(metric, domain):
            return
        rows, answer = self.ask("emergence", metric=metric, domain=domain)
        self.out.check(self.where(f"emergence {metric} {domain} rows"),
                       len(self.columns(metric, domain)), len(rows))
        for (layer, index), row in zip(self.columns(metric, domain), rows):
            series = self.series(metric, domain, layer, index)
            found = oracle.emergence(series, threshold, below)
            rise = oracle.rise(series, below) or dict.fromkeys(
                ["half_after_step", "half_by_step", "half_step", "width", "width_low",
                 "width_high", "shape"])
            place = self.where(f"emergence {metric} {domain} L{layer}/{index}")
            tokens = self.tokens_of(found)
            self.out.check_record(place, {**found, **rise, **tokens}, row)

    def tokens_of(self, found):
        if not self.h.tokens_a_step:
            return dict(after_tokens=None, by_tokens=None)
        # Step 0 has 0 tokens where others have some.
        known = any(s > 0 for s in self.shown)
        return {f"{end}_tokens": None if found[f"{end}_step"] is None or not known
                else self.h.tokens(found[f"{end}_step"]) for end in ("after", "by")}

    def check_jumps(self, metric, domain):
        if not self.columns(metric, domain):
            return
        rows, _ = self.ask("jumps", metric=metric, domain=domain)
        by_place = collections.defaultdict(list)
        for row in rows:
            by_place[row["layer"], row["head"] or 0].append(row)
        for layer, index in self.columns(metric, domain):
            ours = oracle.jumps(self.series(metric, domain, layer, index))
            theirs = sorted(by_place[layer, index], key=lambda r: r["by_step"])
            place = self.where(f"jumps {metric} {domain} L{layer}/{index}")
            self.out.check(place + " count", len(ours), len(theirs))
            for a, b in zip(ours, theirs):
                self.out.check_record(place, a, b)

    def check_fits(self, metric, domain):
        if not self.columns(metric, domain):
            return
        _, _, threshold, below, *_ = METRICS[metric]
        rows, _ = self.ask("fits", metric=metric, domain=domain)
        by_series = collections.defaultdict(dict)
        for row in rows:
            by_series[row["series"]][row["model"]] = row
        for layer, index in self.columns(metric, domain):
            series = self.series(metric, domain, layer, index)
            first = 0
            if threshold is not None:
                found = oracle.emergence(series, threshold, below)
                if found["censoring"] == "none" and not found["provisional"]:
                    first = found["by_step"]
            label = (metric if layer is None else f"L{layer}H{index}"
                     if METRICS[metric][0] == SCOPE_HEAD else f"L{layer}")
            there = by_series[label]
            points = [p for p in series if p[0] >= first]
            ours = oracle.fits(points)
            place = self.where(f"fits {metric} {domain} {label}")
            self.out.check(place + " models", bool(ours), bool(there))
            size = max((abs(v) for _, v, _ in points), default=0)
            for model, (a, b, squares) in ours.items():
                if model not in there:
                    self.out.check(place + " " + model, "fitted", "absent")
                    continue
                # A line through nothing but rounding has any slope.
                span = max(p[0] for p in points) or 1
                scale = size / (span if model == "linear" else 1)
                off = abs(b - there[model]["b"])
                self.out.check(place + f" {model} b", True,
                               off <= 1e-6 * max(abs(b), scale, 1e-12))

    # --- heads ---------------------------------------------------------------
    def signals(self, step, layer, head):
        found = []
        for domain in self.h.domains:
            at = [self.vectors[step].get((m, domain, layer))
                  for m in ("dormancy", "drain", "write")]
            if at[0] is None:
                found.append((NAN,) * 4)
                continue
            found.append((at[0].values[head], at[0].errors[head], at[1].values[head],
                          at[2].values[head]))
        return found

    def sequences(self, step, layer, head, domain):
        vector = self.vectors[step].get(("dormancy", domain, layer))
        if vector is None or vector.sequences is None:
            return None
        return vector.sequences[head]

    def apart(self, step, layer, head, signals):
        """As oracle.head_type has it, and whether that is sure."""
        pair = oracle.furthest([s[0] for s in signals])
        if pair is None or not self.h.sequences:
            return None, True
        values = [self.sequences(step, layer, head, self.h.domains[d]) for d in pair]
        values = [[v for v in some if v == v] for some in values]
        if min(map(len, values)) < 2:
            return None, True
        # Where the normal interval is far from 0, or holds it well within, so
        # does any bootstrap; between them it depends on what is drawn.
        n = [len(v) for v in values]
        errors = [statistics.pstdev(v) / math.sqrt(len(v)) for v in values]
        difference = statistics.fmean(values[0]) - statistics.fmean(values[1])
        error = math.hypot(*errors)
        if error == 0 or difference > 3.2 * error and min(n) > 8 or difference > 8 * error:
            return difference > 0, True
        if difference < 1.2 * error and min(n) > 8:
            return False, True
        return None, False

    def follow(self):
        """{(layer, head): (states by domain, type, signals, those of the newest step at
        which two domains have one)} at the end; changes, sets of dormant heads, and
        the heads of which it is not sure whether they switch."""
        found, changes, sets = {}, [], collections.defaultdict(list)
        before = {}
        rows = [s for s in self.counted
                if any(("dormancy", d, 0) in self.vectors[s] for d in self.h.domains)]
        tracks = {(l, h): ([oracle.Settled() for _ in self.h.domains], oracle.Settled())
                  for l in range(self.h.layers) for h in range(self.h.heads)}
        unsure = set()
        for step in rows:
            seen = set()
            for (layer, head), (states, kind) in tracks.items():
                signals = self.signals(step, layer, head)
                most = oracle.largest([s[3] for s in signals])
                now = [oracle.state(s[0], s[2], s[3], most) for s in signals]
                for d, what in enumerate(now):
                    if what is None:
                        continue
                    seen.add(d)
                    change = states[d].see(what, step)
                    if change:
                        changes.append((change[2], layer, head, self.h.domains[d],
                                        change[0], change[1]))
                if all(n is None for n in now):
                    continue
                apart, sure = self.apart(step, layer, head, signals)
                if not sure:
                    unsure.add((layer, head))
                kind.see(oracle.head_type(signals, apart), step)
                compared = found[layer, head][3] if (layer, head) in found else None
                if oracle.furthest([s[0] for s in signals]) is not None:
                    compared = signals
                found[layer, head] = (states, kind, signals, compared)
            for d in sorted(seen):
                known = {p for p in tracks if before.get((d, p)) is not None}
                was = {p for p in known if before[d, p] == "dormant"}
                for place in tracks:
                    before[d, place] = tracks[place][0][d].now
                now = {p for p in known if before[d, p] == "dormant"}
                if known:
                    sets[d].append((oracle.jaccard(was, now), len(was - now), len(now - was)))
        return found, changes, sets, unsure

    def check_states(self):
        found, changes, _, unsure = self.follow()
        if not found:
            return
        rows, _ = self.ask("states")
        self.out.check(self.where("states heads"), len(found), len(rows))
        for row in rows:
            key = row["layer"], row["head"]
            if key not in found:
                continue
            states, kind, signals, compared = found[key]
            place = self.where(f"states L{key[0]}H{key[1]}")
            for d, domain in enumerate(self.h.domains):
                self.out.check(f"{place} {domain}", states[d].now, row[domain])
                self.out.check(f"{place} {domain} since", states[d].since, row[domain + " since"])
                mine = signals[d][0]
                self.out.check(f"{place} {domain} dormancy", None if math.isnan(mine) else mine,
                               row[domain + " dormancy"])
            if key not in unsure:
                self.out.check(f"{place} type", kind.now, row["type"])
                self.out.check(f"{place} type since", kind.since, row["since_step"])
            pair = compared and oracle.furthest([s[0] for s in compared])
            self.out.check(f"{place} difference",
                           compared[pair[0]][0] - compared[pair[1]][0] if pair else None,
                           row["difference"])
            if pair:
                self.out.check(f"{place} high_domain", self.h.domains[pair[0]],
                               row["high_domain"])
        rows, _ = self.ask("states", changes=1)
        theirs = sorted((r["step"], r["layer"], r["head"], r["domain"], r["from"], r["to"])
                        for r in rows)
        self.out.check(self.where("changes all"), str(sorted(changes)), str(theirs))

    def check_contrast(self):
        if len(self.h.domains) < 2:
            return
        a, b = self.h.domains[:2]
        there = [s for s in self.shown if ("dormancy", a, 0) in self.vectors[s]]
        if not there or ("dormancy", b, 0) not in self.vectors[there[-1]]:
            return
        step = there[-1]
        rows, _ = self.ask("contrast", domain=f"{a},{b}")
        for row in rows:
            layer, head = row["layer"], row["head"]
            first, second = (self.vectors[step]["dormancy", d, layer] for d in (a, b))
            x, y = first.values[head], second.values[head]
            place = self.where(f"contrast L{layer}H{head}")
            difference = x - y
            self.out.check(f"{place} difference", None if math.isnan(difference) else difference,
                           row["difference"])
            sequences = [self.sequences(step, layer, head, d) for d in (a, b)]
            there = sequences[0] is not None and all(
                sum(v == v for v in s) > 1 for s in sequences)
            if there:
                self.out.check(f"{place} interval", "bootstrap", row["interval"])
                self.out.check(f"{place} auroc", oracle.auroc(*sequences), row["auroc"])
                self.out.check(f"{place} cohens_d", oracle.cohens_d(*sequences), row["cohens_d"])
                continue
            error = math.hypot(first.errors[head], second.errors[head])
            known = math.isfinite(difference) and math.isfinite(error)
            self.out.check(f"{place} low", difference - oracle.Z95 * error if known else None,
                           row["low"])
            self.out.check(f"{place} high", difference + oracle.Z95 * error if known else None,
                           row["high"])

    # --- a run ---------------------------------------------------------------
    def onsets(self, metric, domain):
        _, _, threshold, below, *_ = METRICS[metric]
        all_ = {place: oracle.emergence(self.series(metric, domain, *place), threshold, below)
                for place in self.columns(metric, domain)}
        return {p: f for p, f in all_.items() if f["checkpoints"] > 0}

    def check_summary(self):
        facts, _ = self.ask("summary")
        by_topic = collections.defaultdict(list)
        for fact in facts:
            by_topic[fact["topic"]].append(fact)
        self.check_onset_facts(by_topic)
        self.check_order_facts(by_topic)
        self.check_head_facts(by_topic)
        for domain in self.h.domains:
            series = self.series("loss", domain, None, 0)
            losses = [f for f in by_topic["loss"] if f["domain"] == domain]
            self.out.check(self.where(f"loss {domain} facts"), int(bool(series)), len(losses))
            if series and losses:
                self.out.check_record(
                    self.where(f"loss {domain}"),
                    dict(value=series[-1][1], low=min(v for _, v, _ in series),
                         by_step=series[-1][0]), losses[0])
        self.check_jump_facts(by_topic)

    def check_onset_facts(self, by_topic):
        for metric, (_, _, threshold, *_) in METRICS.items():
            for domain in self.h.domains:
                if threshold is None or not self.columns(metric, domain):
                    continue
                found = list(self.onsets(metric, domain).values())
                mine = oracle.middle_one(found)
                fact = [f for f in by_topic["onset"]
                        if f["metric"] == metric and f["domain"] == domain]
                place = self.where(f"onset {metric} {domain}")
                self.out.check(place + " facts", 1, len(fact))
                if not fact:
                    continue
                verdict = ("unmeasured" if mine is None else
                           "never" if mine["censoring"] == "right" else
                           "provisional" if mine["provisional"] else
                           "from the start" if mine["censoring"] == "left" else "emerged")
                ends = mine or dict(after_step=None, by_step=None)
                self.out.check_record(place, dict(
                    count=sum(map(oracle.emerged, found)), of=len(found), verdict=verdict,
                    after_step=ends["after_step"], by_step=ends["by_step"],
                    **self.tokens_of(ends)), fact[0])

    def check_order_facts(self, by_topic):
        names = ["mass", "drain", "peak"]
        for domain in self.h.domains:
            for i, first in enumerate(names):
                for second in names[i + 1:]:
                    a, b = self.onsets(first, domain), self.onsets(second, domain)
                    orders = []
                    for layer in range(self.h.layers):
                        mine = [[f for p, f in some.items() if p[0] == layer] for some in (a, b)]
                        if all(mine):
                            orders.append(oracle.order(*map(oracle.middle_one, mine)))
                    fact = [f for f in by_topic["order"] if f["metric"] == first and
                            f["domain"] == domain and f" before {second} " in f["text"]]
                    place = self.where(f"order {first} {second} {domain}")
                    self.out.check(place + " facts", int(bool(orders)), len(fact))
                    if not orders or not fact:
                        continue
                    n = len(orders)
                    early, late = orders.count("earlier"), orders.count("later")
                    self.out.check_record(place, dict(
                        of=n, count=max(early, late), verdict="earlier" if 2 * early > n else
                        "later" if 2 * late > n else "unresolved"), fact[0])

    def check_head_facts(self, by_topic):
        found, changes, sets, unsure = self.follow()
        if not found:
            return
        for d, domain in enumerate(self.h.domains):
            ours = collections.Counter(states[d].now or "" for states, *_ in found.values())
            theirs = {f["verdict"] or "": f["count"] for f in by_topic["states"]
                      if f["domain"] == domain and f["verdict"] != "unsettled"}
            self.out.check(self.where(f"state_counts {domain}"), str(sorted(ours.items())),
                           str(sorted(theirs.items())))
            facts = [f for f in by_topic["head_set"] if f["domain"] == domain]
            self.out.check(self.where(f"head_set {domain} facts"), int(bool(sets[d])), len(facts))
            if sets[d] and facts:
                self.out.check_record(self.where(f"head_set {domain}"), dict(
                    count=sum(s[1] for s in sets[d]), of=sum(s[2] for s in sets[d])), facts[0])
        flips = collections.Counter((c[0], c[3]) for c in changes)
        self.out.check(self.where("flips most"), max(flips.values(), default=0),
                       max((f["count"] for f in by_topic["flips"]), default=0))
        if len(self.h.domains) > 1 and not unsure:
            ours = sorted(p for p, (_, kind, *_) in found.items() if kind.now == "switching")
            theirs = sorted((f["layer"], f["head"]) for f in by_topic["switching"]
                            if f["head"] is not None)
            self.out.check(self.where("switching heads"), str(ours), str(theirs))

    def check_jump_facts(self, by_topic):
        for metric in ("peak", "norm", "loss"):
            for domain in self.h.domains:
                groups = collections.Counter()
                for place in self.columns(metric, domain):
                    for jump in oracle.jumps(self.series(metric, domain, *place)):
                        if not jump["provisional"]:
                            groups[jump["after_step"], jump["by_step"],
                                   jump["after"] > jump["before"]] += 1
                facts = [f for f in by_topic["jump"]
                         if f["metric"] == metric and f["domain"] == domain]
                place = self.where(f"jump_facts {metric} {domain}")
                self.out.check(place, min(3, len(groups)), len(facts))
                for f in facts:
                    key = f["after_step"], f["by_step"], f["verdict"] == "up"
                    self.out.check(place + f" {key}", groups.get(key, 0), f["count"])

    def check(self):
        if not self.shown:
            return
        for metric in METRICS:
            for domain in self.h.domains:
                self.check_emergence(metric, domain)
                self.check_jumps(metric, domain)
                self.check_fits(metric, domain)
        self.check_states()
        self.check_contrast()
        self.check_summary()


def check_pair(first, second, out):
    """The comparison of two runs, the first being that which is compared with."""
    domains = first.h.domains
    if not first.shown or not second.shown:
        return
    # One domain of several is another question than all of a run's.
    if first.h.domains != second.h.domains or first.h.stages + second.h.stages != ["", ""]:
        return
    facts, _ = first.server.ask("compare", runs=f"{first.h.name},{second.h.name}")
    for metric, (_, _, threshold, *_) in METRICS.items():
        for domain in domains:
            if threshold is None or not first.columns(metric, domain) or \
                    not second.columns(metric, domain):
                continue
            a, b = first.onsets(metric, domain), second.onsets(metric, domain)
            mine = oracle.middle_one(list(b.values()))
            other = oracle.middle_one(list(a.values()))
            fact = [f for f in facts if f["topic"] == "difference" and f["metric"] == metric and
                    f["domain"] == domain]
            place = f"{second.h.name} difference {metric} {domain}"
            out.check(place + " facts", 1, len(fact))
            if not fact:
                continue
            verdict = oracle.order(mine, other) if mine and other else "unresolved"
            both = [oracle.order(b[p], a[p]) for p in b if p in a]
            out.check(place + " verdict", verdict, fact[0]["verdict"])
            out.check(place + " of", len(both), fact[0]["of"])
            out.check(place + " count", both.count("later" if verdict == "later" else "earlier"),
                      fact[0]["count"])
    for domain in domains:
        a, b = first.series("loss", domain, None, 0), second.series("loss", domain, None, 0)
        common = sorted({p[0] for p in a} & {p[0] for p in b})
        fact = [f for f in facts if f["topic"] == "loss" and f["domain"] == domain]
        if common and fact:
            values = [dict((p[0], p[1]) for p in s)[common[-1]] for s in (b, a)]
            out.check(f"{second.h.name} loss_difference {domain}", values[0] - values[1],
                      fact[0]["value"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=50, help="runs of one server")
    args = parser.parse_args()
    out = Differences()
    numbers = range(args.first, args.first + args.cases)
    for start in range(0, len(numbers), args.at_once):
        histories = [History(n) for n in numbers[start:start + args.at_once]]
        with MeasuredServer(args.server, histories) as server:
            server.measure()
            cases = [Case(h, server, out) for h in histories]
            for case in cases:
                case.check()
            for first, second in zip(cases, cases[1:]):
                check_pair(first, second, out)
    for what, count in sorted(out.compared.items()):
        print(f"{what:16} {count}")
    print(f"{len(out.found)} differences in {sum(out.compared.values())} comparisons")
    return 1 if out.found else 0


if __name__ == "__main__":
    sys.exit(main())
