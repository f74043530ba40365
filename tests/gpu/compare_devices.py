#!/usr/bin/env python3
"""Measures checkpoints on the CPU and on a GPU and compares every value.

    tests/gpu/compare_devices.py --worker=bazel-bin/worker/sinkwatch_worker \
        CHECKPOINT[:PROBE] ...

Without a probe, one of random tokens is made: 6 sequences of as many tokens as
the checkpoint has positions for, 100 at most.

Both in float32. A value agrees if it is within relative 1e-5 of the CPU's, or
within what its unit allows: 2e-5 nats, 1e-6 of anything else (shares, cosines),
and, where it counts events over a threshold, one event. Both devices sum in
float32 in an order of their own, which was seen to be worth 2e-6; a product in
bfloat16 or TF32 is off by 1e-3. Prints a line per checkpoint and exits 1 if a
value is off, NaN or missing.
"""
import argparse
import hashlib
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import time

RELATIVE, ABSOLUTE, NATS = 1e-5, 1e-6, 2e-5
SEQUENCES, TOKENS = 6, 100
OF_NATS = {"attention_entropy", "sink_logit_margin", "sink_delta_logit",
           "attention_logit_max", "probe_loss"}
OF_EVENTS = {"dormant_query_frac", "sink_count", "sink_indicator_020",
             "sink_indicator_030", "sink_indicator_080", "sink_rate_030",
             "dormant_head_frac"}


def random_probe(checkpoint, folder):
    config = json.loads(pathlib.Path(checkpoint, "config.json").read_text())
    length = min(TOKENS, config.get("max_position_embeddings",
                                    config.get("n_positions", TOKENS)))
    random.seed(0)
    tokens = b"".join(random.randrange(config["vocab_size"]).to_bytes(4, "little")
                      for _ in range(SEQUENCES * length))
    pathlib.Path(folder, "text.npy").write_bytes(tokens)
    pathlib.Path(folder, "probe.json").write_text(json.dumps({
        "name": "random", "version": "1",
        "tokenizer": {"name": "none", "vocab_size": config["vocab_size"]},
        "dtype": "uint32", "sequence_length": length, "bos_policy": "none",
        "domains": [{"label": "random", "files": [{
            "path": "text.npy", "tokens": SEQUENCES * length,
            "sha256": hashlib.sha256(tokens).hexdigest()}]}]}))
    return folder


def measure(worker, checkpoint, probe, device):
    start = time.monotonic()
    done = subprocess.run(
        [worker, "measure", f"--checkpoint={checkpoint}", f"--probe={probe}",
         f"--device={device}", "--dtype=float32", "--format=json"],
        stdout=subprocess.PIPE, check=True)
    values = {}
    for vector in json.loads(done.stdout)["measurements"]:
        for index, value in enumerate(vector["values"]):
            key = (vector["domain"], vector["metric"], vector["layer"], index)
            values[key] = (math.nan if value is None else value, vector["count"])
    return values, time.monotonic() - start


def allowed(metric, value, count):
    absolute = NATS if metric in OF_NATS else ABSOLUTE
    if metric in OF_EVENTS:
        absolute = max(absolute, 1.001 / max(count, 1))
    return max(absolute, RELATIVE * abs(value))


def compare(expected, actual):
    """The worst relative difference, and the keys that do not agree."""
    worst, bad = 0.0, sorted(set(expected) ^ set(actual), key=str)
    for key in expected.keys() & actual.keys():
        (want, count), (got, _) = expected[key], actual[key]
        difference = abs(got - want)
        if not difference <= allowed(key[1], want, count):
            bad.append((key, want, got))
        elif difference > NATS:
            worst = max(worst, difference / abs(want))
    return worst, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("pairs", nargs="+", metavar="CHECKPOINT[:PROBE]")
    arguments = parser.parse_args()
    failed = 0
    for pair in arguments.pairs:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint, _, probe = pair.partition(":")
            probe = probe or random_probe(checkpoint, folder)
            cpu, cpu_seconds = measure(arguments.worker, checkpoint, probe, "cpu")
            gpu, gpu_seconds = measure(arguments.worker, checkpoint, probe, "cuda")
        worst, bad = compare(cpu, gpu)
        failed += bool(bad)
        print(f"{checkpoint}: {len(cpu)} values, worst relative difference {worst:.1e}, "
              f"{len(bad)} off, cpu {cpu_seconds:.2f} s, cuda {gpu_seconds:.2f} s", flush=True)
        for entry in bad[:10]:
            print("   ", entry)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
