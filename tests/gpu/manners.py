#!/usr/bin/env python3
"""A worker on a card that others use, and on one that breaks.

    tests/gpu/manners.py --worker=WORKER --server=SERVER --sinkctl=SINKCTL \
        --broken_card=LIBBROKEN_CARD.SO

Fills the card, takes it away, breaks it, and looks at what the worker and the
server make of that. Needs libcuda and tests/data; exits 1 and says what was seen
where something is not as it should be. Nobody else may use the card meanwhile.
"""
import argparse
import csv
import ctypes
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MB = 1 << 20
IDLE_MB = 700
GRPC, HTTP = 17581, 17580
STORIES = pathlib.Path("tests/data/stories260K")
STORIES_PROBE = pathlib.Path("tests/data/stories_probe")


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


def other_card(worker):
    done = subprocess.run([worker, "run", "--device=cuda:7"],
                          stderr=subprocess.PIPE, text=True)
    expect(done.returncode == 2 and "cuda:7 was asked for" in done.stderr,
           "a card that is not there is named", done.stderr)


def little_left_at_the_start(worker):
    card = Card()
    card.fill(1300 * MB)
    with tempfile.NamedTemporaryFile("w") as log:
        process = subprocess.Popen(
            [worker, "run", "--server=127.0.0.1:1", "--device=cuda"], stderr=log)
        ready = wait_for("ready", log, 60)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        seen = open(log.name).read()
    card.release()
    expect(ready and code == 0, "1.3 GB of the card are enough to start", seen)


class Host:
    """A server with a run whose jobs take seconds and one of short jobs."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sinkwatch-manners"))
        self.workers, self.steps = [], 0
        self.big_probe(self.folder / "probe")
        lines = [f'grpc_address: "127.0.0.1:{GRPC}"', f'http_address: "127.0.0.1:{HTTP}"',
                 f'data_dir: "{self.folder}/data"', "poll_seconds: 0.2",
                 "lease { ttl_seconds: 3 backoff_seconds: 0.5 max_backoff_seconds: 1 }"]
        for run, probe in (("big", self.folder / "probe"), ("small", STORIES_PROBE.resolve())):
            (self.folder / run).mkdir()
            lines.append(f'runs {{ name: "{run}" root: "{self.folder / run}" '
                         f'probe: "{probe}" quiescence_seconds: 0.1 }}')
        (self.folder / "server.textproto").write_text("\n".join(lines))
        self.server = subprocess.Popen(
            [arguments.server, f"--config={self.folder}/server.textproto"],
            stderr=open(self.folder / "server.log", "w"))

    @staticmethod
    def big_probe(folder):
        """4 M tokens: a gigabyte of stream."""
        folder.mkdir()
        random.seed(0)
        tokens = b"".join(token.to_bytes(2, "little")
                          for token in random.randbytes(1 << 22))
        (folder / "text.npy").write_bytes(tokens)
        (folder / "probe.json").write_text(json.dumps({
            "name": "big", "version": "1",
            "tokenizer": {"name": "none", "vocab_size": 512},
            "dtype": "uint16", "sequence_length": 512, "bos_policy": "none",
            "domains": [{"label": "random", "files": [{
                "path": "text.npy", "tokens": 1 << 22,
                "sha256": hashlib.sha256(tokens).hexdigest()}]}]}))

    def worker(self, *flags, env=None, device="--device=cuda"):
        log = tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False)
        process = subprocess.Popen(
            [self.arguments.worker, "run", f"--server=127.0.0.1:{GRPC}", device,
             *flags], stderr=log, env={**os.environ, **(env or {})})
        process.log = log
        self.workers.append(process)
        return process

    def put(self, run):
        """A new checkpoint of the run; its step."""
        self.steps += 1
        beside = self.folder / "beside"
        shutil.copytree(STORIES, beside)
        beside.rename(self.folder / run / f"step{self.steps}")
        return self.steps

    def row(self, run, step):
        done = subprocess.run(
            [self.arguments.sinkctl, f"--server=127.0.0.1:{GRPC}", "checkpoints", run,
             "--format=csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        return next((row for row in rows if row["step"] == str(step)), None)

    def wait(self, run, step, reached, seconds=60):
        """The step's row once it is as it should be, or as it is when time is up."""
        until = time.monotonic() + seconds
        while True:
            row = self.row(run, step)
            if (row is not None and reached(row)) or time.monotonic() > until:
                return row
            time.sleep(0.1)

    def logs(self):
        return "\n".join(open(worker.log.name).read()[-3000:] for worker in self.workers)

    def close(self):
        for process in [*self.workers, self.server]:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def is_done(row):
    return row["state"].lower() == "done"


def is_running(row):
    return row["state"].lower() in ("leased", "running")


def memory_that_comes_back(host):
    """A job that does not fit while others hold the card, and later does."""
    worker = host.worker()
    wait_for("working server=", worker.log, 60)
    card = Card()
    card.fill(700 * MB)
    step = host.put("big")
    failed = wait_for("job failed", worker.log, 60)
    row = host.row("big", step)
    card.release()
    expect(failed and row["state"].lower() != "dead" and worker.poll() is None,
           "a job that does not fit is put off", (row, host.logs()))
    row = host.wait("big", step, is_done)
    expect(is_done(row), f"and done when memory is back, attempt {row['attempts']}",
           (row, host.logs()))
    worker.terminate()
    worker.wait(30)


def idle_memory(host):
    """A huge batch; then nothing to do."""
    card = Card()
    before = card.free()
    worker = host.worker("--tokens_per_batch=4194304")
    step = host.put("big")
    row = host.wait("big", step, is_done)
    time.sleep(4)
    held = (before - card.free()) // MB
    expect(is_done(row) and "job failed" not in open(worker.log.name).read(),
           "a batch of all 4 M tokens is measured at its first attempt", (row, host.logs()))
    expect(held <= IDLE_MB, f"idle, the worker holds {held} MB of the card "
           f"(at most {IDLE_MB})", held)
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)


def two_on_one_card(host):
    workers = [host.worker(), host.worker()]
    steps = [host.put("big") for _ in range(2)]
    rows = [host.wait("big", step, is_done) for step in steps]
    both = all("job done" in open(worker.log.name).read() for worker in workers)
    expect(all(map(is_done, rows)) and both, "two workers share a card",
           (rows, host.logs()))
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    expect(all(worker.wait(30) == 0 for worker in workers), "and both end", host.logs())


def one_supervisor(host):
    """A worker per device under one process; here both devices are one card."""
    supervisor = host.worker(device="--devices=cuda:0,cuda:0")
    steps = [host.put("big") for _ in range(2)]
    rows = [host.wait("big", step, is_done) for step in steps]
    log = open(supervisor.log.name).read()
    expect(all(map(is_done, rows)) and log.count("worker started device=cuda:0") == 2,
           "--devices: two workers under one supervisor", (rows, host.logs()))
    start = time.monotonic()
    supervisor.send_signal(signal.SIGTERM)
    code, took = supervisor.wait(30), time.monotonic() - start
    expect(code == 0 and took < 5, f"which ends them, exit {code} after {took:.2f} s",
           host.logs())


def told_to_end_in_a_job(host):
    worker = host.worker()
    step = host.put("big")
    host.wait("big", step, is_running)
    start = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    code, took = worker.wait(30), time.monotonic() - start
    row = host.row("big", step)
    expect(code == 0 and took < 5 and not is_done(row),
           f"SIGTERM in a job: handed back, exit {code} after {took:.2f} s",
           (row, host.logs()))
    return step


def killed_in_a_job(host, step):
    card = Card()
    before = card.free()
    worker = host.worker()
    host.wait("big", step, is_running)
    time.sleep(1)
    worker.kill()
    worker.wait()
    time.sleep(1)
    held = (before - card.free()) // MB
    expect(held < 50, f"kill -9 in a job: {held} MB are held a second later", held)
    worker = host.worker()
    row = host.wait("big", step, is_done)
    expect(is_done(row), "and another worker measures it", (row, host.logs()))
    worker.terminate()
    worker.wait(30)


def broken_card(host):
    """An error that stays, of a kernel that a library in the worker launches."""
    trigger = host.folder / "break"
    worker = host.worker(env={"CUDA_INJECTION64_PATH": host.arguments.broken_card,
                              "SINKWATCH_BREAK_CARD": str(trigger)})
    wait_for("working server=", worker.log, 60)
    trigger.touch()
    time.sleep(1)
    step = host.put("small")
    try:
        code = worker.wait(30)
    except subprocess.TimeoutExpired:
        code = None
    row = host.row("small", step)
    expect(code == 43, f"a card that breaks ends its worker with 43 ({code})",
           (row, host.logs()))
    worker = host.worker()
    row = host.wait("small", step, is_done)
    expect(is_done(row) and row["attempts"] == "1",
           f"and the job has lost no attempt by it ({row['attempts']})",
           (row, host.logs()))
    worker.terminate()
    worker.wait(30)


def bounded(worker):
    """--gpu_memory is kept, by halving what does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        Host.big_probe(pathlib.Path(folder, "probe"))
        command = [worker, "measure", f"--checkpoint={STORIES}", f"--probe={folder}/probe",
                   "--device=cuda", "--format=json", "--tokens_per_batch=4194304"]
        whole = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        small = subprocess.run([*command, "--gpu_memory=2500"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    expect(small.returncode == 0 and "it is halved" in small.stderr,
           "a batch that does not fit into --gpu_memory is halved", small.stderr)
    counts = [len(json.loads(done.stdout)["measurements"]) for done in (whole, small)]
    expect(counts[0] == counts[1], "and nothing is missing", counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    for name in "worker", "server", "sinkctl", "broken_card":
        parser.add_argument(f"--{name}", required=True, type=os.path.abspath)
    arguments = parser.parse_args()
    no_card(arguments.worker)
    other_card(arguments.worker)
    full_at_the_start(arguments.worker)
    little_left_at_the_start(arguments.worker)
    bounded(arguments.worker)
    host = Host(arguments)
    try:
        memory_that_comes_back(host)
        idle_memory(host)
        two_on_one_card(host)
        one_supervisor(host)
        step = told_to_end_in_a_job(host)
        killed_in_a_job(host, step)
        broken_card(host)
    finally:
        host.close()


if __name__ == "__main__":
    main()
