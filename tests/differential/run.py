#!/usr/bin/env python3
"""The right model or none: random configs of every family against transformers.

  run.py --worker=bazel-bin/worker/sinkwatch_worker [--logits=bazel-bin/tests/differential/logits]
         [--cases=40] [--first=0] [--only=llama,qwen3] [--keep=FOLDER]

Each case is a folder that is drawn from its number. The worker measures it, or
refuses it; transformers measures it in float64. With --logits every logit is
compared too. Right are: equal values and a refusal. Wrong: other values, and
values where transformers has no model. Prints each wrong case, then a table;
exit code 1 if there is one. Needs torch 2.11, transformers 5.24, numpy.
"""
import argparse
import collections
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "data" / "hf"))

import numpy as np
import torch
import transformers

import folders
import oracle
import trainers
from draw import Draw
from families import FAMILIES
from trainers import TRAINERS

RELATIVE, ABSOLUTE = 1e-4, 1e-5
# Of logits, whose deviation is 1 to 3.
LOGIT_ABSOLUTE = 1e-4
# What float32 itself loses in a case that is badly conditioned, times this.
ROUNDING = 8
# Of one program over one folder, on a machine that does other things too.
TIME_LIMIT_SECONDS = 600
CODES = {3: "incomplete", 4: "corrupt", 5: "unsupported"}


def run_worker(worker, folder, probe):
    """(values, None), or (None, why it refuses)."""
    done = subprocess.run(
        [worker, "measure", f"--checkpoint={folder}", f"--probe={probe}", "--device=cpu",
         "--dtype=float32", "--format=json"], capture_output=True, text=True,
        timeout=TIME_LIMIT_SECONDS)
    lines = [line for line in done.stderr.splitlines() if line.strip()] or [""]
    if done.returncode in CODES:
        return None, f"{CODES[done.returncode]}: {lines[-1]}"
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {lines[-1]}")
    found = json.loads(done.stdout)["measurements"]
    return {(row["domain"], row["metric"],
             -1 if row["layer"] == -1 else row["layer"]): row["values"] for row in found}, None


def add_logits(program, folder, probe, tokens, values):
    """The logits of each domain, under the key of a metric."""
    done = subprocess.run([program, folder, probe], capture_output=True, timeout=TIME_LIMIT_SECONDS)
    if done.returncode:
        raise RuntimeError(f"logits: {done.stderr.decode().strip()}")
    found = np.frombuffer(done.stdout, "<f4")
    for label, part in zip(tokens, np.split(found, len(tokens))):
        values[label, oracle.LOGITS, None] = part.tolist()


def losses_of(key, values, rounded):
    """What float32 loses in each of the values of `key`."""
    losses = [abs(low - high) for low, high in zip(rounded.get(key, values), values)]
    if key[1] != oracle.LOGITS:
        return losses
    # On which of thousands rounding falls differs from one program to the next.
    return [max(losses)] * len(losses)


def differences(ours, right, rounded):
    """The keys whose values differ by more than rounding can, with both values."""
    off = []
    for key, values in right.items():
        absolute = LOGIT_ABSOLUTE if key[1] == oracle.LOGITS else ABSOLUTE
        if key not in ours:
            off.append((key, "missing", values))
            continue
        losses = losses_of(key, values, rounded)
        for index, value in enumerate(values):
            bound = max(absolute, RELATIVE * abs(value), ROUNDING * losses[index])
            if not abs(ours[key][index] - value) <= bound:
                off.append((key, ours[key][index], value))
    return off


def judge(case, folder, options):
    """(outcome, words) of one case."""
    name, number = case
    draw = Draw(f"{name} {number}")
    if name in TRAINERS:
        return judge_trainers(draw, name, number, folder, options)
    config, stored = folders.draw_config(draw, name)
    try:
        folders.make_folder(folder, config, stored, number)
    except Exception as error:
        return "no model", f"{type(error).__name__}: {error}"
    outcome, words = compare(folder, options)
    return outcome, f"[{stored}] {words}" if words else ""


def judge_trainers(draw, name, number, folder, options):
    """The same of a folder as a trainer writes it."""
    made, config = TRAINERS[name][0](draw)
    if made is None:
        return "no model", ""
    source, theirs = folder / "hf", folder / "theirs"
    try:
        folders.make_folder(source, made, "as saved", number)
    except Exception as error:
        return "no model", f"{type(error).__name__}: {error}"
    path = trainers.write_trainers_folder(draw, name, made, config, source, theirs)
    return compare(source, options, path)


def compare(folder, options, theirs=None):
    """(outcome, words) of a folder, or of the one that transformers cannot read."""
    theirs = theirs or folder
    ours, why = run_worker(options.worker, theirs, options.probe)
    if ours is None:
        return "refused", why
    try:
        right = oracle.measure(folder, options.tokens, torch.float64)
    except Exception as error:
        return "only ours", f"transformers: {type(error).__name__}: {error}"
    if options.logits:
        add_logits(options.logits, theirs, options.probe, options.tokens, ours)
    else:
        right = {key: values for key, values in right.items() if key[1] != oracle.LOGITS}
    off = differences(ours, right, {})
    if not off:
        return "equal", ""
    off = differences(ours, right, oracle.measure(folder, options.tokens, torch.float32))
    if not off:
        return "equal", "within float32"
    key, got, wanted = off[0]
    return "WRONG", f"{len(off)} values, first {key}: {got} instead of {wanted}"


def table(counts):
    outcomes = ["equal", "refused", "no model", "only ours", "WRONG"]
    print("| family | " + " | ".join(outcomes) + " |")
    print("|---|" + "---:|" * len(outcomes))
    for name, row in counts.items():
        print(f"| {name} | " + " | ".join(str(row[outcome]) for outcome in outcomes) + " |")


def parser():
    made = argparse.ArgumentParser()
    made.add_argument("--worker", required=True)
    made.add_argument("--logits")
    made.add_argument("--cases", type=int, default=40)
    made.add_argument("--first", type=int, default=0)
    made.add_argument("--only", default="")
    made.add_argument("--keep", type=Path)
    made.add_argument("--verbose", action="store_true")
    return made


def be_quiet():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)


def main():
    options = parser().parse_args()
    be_quiet()
    names = options.only.split(",") if options.only else [*FAMILIES, *TRAINERS]
    counts = {name: collections.Counter() for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        options.probe = Path(scratch) / "probe"
        options.tokens = oracle.make_probe(options.probe)
        for name in names:
            for number in range(options.first, options.first + options.cases):
                folder = (options.keep or Path(scratch)) / f"{name}-{number}"
                outcome, words = judge((name, number), folder, options)
                counts[name][outcome] += 1
                if options.verbose or outcome in ("WRONG", "only ours"):
                    print(f"{name} {number}: {outcome}: {words[:300]}", flush=True)
    table(counts)
    return any(row["WRONG"] + row["only ours"] for row in counts.values())


if __name__ == "__main__":
    sys.exit(main())
