#!/usr/bin/env python3
"""Measures checkpoints on the CPU and on a GPU and compares every value.

    tests/gpu/compare_devices.py --worker=bazel-bin/worker/sinkwatch_worker \
        CHECKPOINT:PROBE [CHECKPOINT:PROBE ...]

Both in float32. A value agrees if it is within relative 1e-4 or absolute 1e-5
of the CPU's, as the golden values are: both devices sum in float32 in an order
of their own. Prints a line per checkpoint and exits 1 if a value is off, NaN or
missing.
"""
import argparse
import json
import math
import subprocess
import sys
import time

RELATIVE, ABSOLUTE = 1e-4, 1e-5


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
            values[key] = math.nan if value is None else value
    return values, time.monotonic() - start


def compare(expected, actual):
    """The worst relative difference, and the keys that do not agree."""
    worst, bad = 0.0, sorted(set(expected) ^ set(actual), key=str)
    for key in expected.keys() & actual.keys():
        want, got = expected[key], actual[key]
        difference = abs(got - want)
        if not difference <= max(ABSOLUTE, RELATIVE * abs(want)):
            bad.append((key, want, got))
        elif difference > ABSOLUTE:
            worst = max(worst, difference / abs(want))
    return worst, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("pairs", nargs="+", metavar="CHECKPOINT:PROBE")
    arguments = parser.parse_args()
    failed = 0
    for pair in arguments.pairs:
        checkpoint, probe = pair.rsplit(":", 1)
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
