#!/usr/bin/env python3
"""A worker on a card that others use: tests/gpu/manners.py --worker=WORKER

With --checkpoint and --probe, of some size, also a measurement that does not
fit into --gpu_memory in one batch. Needs libcuda and nothing else; exits 1 and
says what was seen where something is not as it should be.
"""
import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

MB = 1 << 20


class Card:
    """Memory of card 0 that this process takes and gives back."""

    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        context, device = ctypes.c_void_p(), ctypes.c_int()
        self.check(self.cuda.cuInit(0))
        self.check(self.cuda.cuDeviceGet(ctypes.byref(device), 0))
        self.check(self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
        self.check(self.cuda.cuCtxSetCurrent(context))
        self.held = []

    def check(self, error):
        if error:
            sys.exit(f"CUDA driver error {error}")

    def free(self):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.check(self.cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
        return free.value

    def fill(self, leave):
        while self.free() > leave + 2 * MB:
            pointer = ctypes.c_uint64()
            size = min(self.free() - leave, 1 << 30)
            if self.cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(size)):
                break
            self.held.append(pointer)

    def release(self):
        for pointer in self.held:
            self.check(self.cuda.cuMemFree_v2(pointer))
        self.held = []


def expect(good, what, seen):
    print(("good: " if good else "BAD: ") + what, flush=True)
    if not good:
        print(seen)
        sys.exit(1)


def wait_for(text, log, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if text in open(log.name).read():
            return True
        time.sleep(0.1)
    return False


def full_at_the_start(worker):
    card = Card()
    card.fill(200 * MB)
    with tempfile.NamedTemporaryFile("w") as log:
        process = subprocess.Popen(
            [worker, "run", "--server=127.0.0.1:1", "--device=cuda"], stderr=log)
        waited = wait_for("the card is full", log, 20)
        time.sleep(3)
        alive = process.poll() is None
        card.release()
        ready = wait_for("ready", log, 60)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        seen = open(log.name).read()
    expect(waited and alive, "a worker waits for a card that is full", seen)
    expect(ready, "it goes on when memory is given back", seen)
    expect(code == 0, f"and ends with 0 when it is told to ({code})", seen)

    card.fill(200 * MB)
    with tempfile.NamedTemporaryFile("w") as log:
        process = subprocess.Popen(
            [worker, "run", "--server=127.0.0.1:1", "--device=cuda"], stderr=log)
        wait_for("the card is full", log, 20)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        seen = open(log.name).read()
    card.release()
    expect(code == 0, f"one that waits ends with 0 as well ({code})", seen)


def no_card(worker):
    done = subprocess.run([worker, "run", "--device=cuda"],
                          env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
                          stderr=subprocess.PIPE, text=True)
    expect(done.returncode == 2 and "no card is visible" in done.stderr,
           "no card is called no card", done.stderr)


def measure(worker, checkpoint, probe, *flags):
    return subprocess.run(
        [worker, "measure", f"--checkpoint={checkpoint}", f"--probe={probe}",
         "--device=cuda", "--dtype=bfloat16", "--format=json", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def halved(worker, checkpoint, probe, megabytes):
    whole = measure(worker, checkpoint, probe, "--tokens_per_batch=65536")
    small = measure(worker, checkpoint, probe, "--tokens_per_batch=65536",
                    f"--gpu_memory={megabytes}")
    expect(small.returncode == 0 and "it is halved" in small.stderr,
           f"a batch that does not fit into {megabytes} MB is halved",
           small.stderr)
    counts = [len(json.loads(done.stdout)["measurements"]) for done in (whole, small)]
    expect(counts[0] == counts[1], "and nothing is missing", counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--checkpoint")
    parser.add_argument("--probe")
    parser.add_argument("--gpu_memory", type=int, default=1500)
    arguments = parser.parse_args()
    no_card(arguments.worker)
    full_at_the_start(arguments.worker)
    if arguments.checkpoint:
        halved(arguments.worker, arguments.checkpoint, arguments.probe,
               arguments.gpu_memory)


if __name__ == "__main__":
    main()
