#!/usr/bin/env python3
"""kill -9 of server and workers, again and again, under load (by hand).

    bazel build //server:sinkwatch_server //worker:sinkwatch_worker //server/ctl:sinkctl
    nice -n 10 tests/load/kill_campaign.py --server_kills=800 --worker_kills=160 --both_kills=40

First a server is killed --server_kills times, half of them within 60 ms of its
start, while --clients made-up workers lease, renew and hand in values that they
note, and send again what was not acknowledged. Then real workers are killed
--worker_kills times and their server --both_kills times.

Ends with exit code 1 if an acknowledged measurement is lost, if a value is not
one that was sent for its step (or, of real workers, that `measure` gives), if a
step has two, or if the store is not sound.
"""

import argparse
import json
import os
import random
import sqlite3
import struct
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/load"), str(ROOT / "tests/e2e"), str(ROOT / "tests/wire")]

import harness  # noqa: E402
import lease_latency  # noqa: E402

TOY = sorted((ROOT / "tests/data/toy/adam").glob("step*"))


class Shape:
    layers, heads, metrics, domains = 1, 4, 1, 1


def as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Client(threading.Thread):
    """A made-up worker that outlives its server."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port = port
        self.random = random.Random(seed)
        self.worker = None
        self.sent = []   # (job, value), in order
        self.acked = {}  # job -> values that were taken from here
        self.done = set()  # jobs that were said to have a result
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                self.turn()
            except (OSError, AssertionError, IndexError):
                self.worker = None
                time.sleep(0.02)

    def turn(self):
        if self.worker is None:
            self.worker = lease_latency.Worker(self.port, Shape)
        _, lease = self.worker.lease()
        if lease is None:
            time.sleep(0.02)
            return
        if self.random.random() < 0.2:
            self.worker.renew(lease, 1)
        self.hand_in(lease, as_float32(self.random.random()))

    def hand_in(self, lease, value):
        """Once, and again where no answer came."""
        self.sent.append((lease[0], value))
        for _ in range(3):
            try:
                if self.worker is None:
                    self.worker = lease_latency.Worker(self.port, Shape)
                had_come = self.worker.hand_in(lease, value)
                self.done.add(lease[0])
                if not had_come:
                    self.acked.setdefault(lease[0], []).append(value)
                return
            except (OSError, AssertionError):
                self.worker = None
                if self.stopped.is_set() or self.random.random() < 0.3:
                    return
                time.sleep(0.05)


class Feeder(threading.Thread):
    """Sees to it that so many checkpoints always wait."""

    def __init__(self, root, measured, write, waiting):
        super().__init__(daemon=True)
        self.root = root
        self.measured = measured
        self.write = write
        self.waiting = waiting
        self.steps = 0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.1):
            try:
                while self.steps < self.measured() + self.waiting:
                    self.write(self.root / f"step{self.steps + 1}", self.steps + 1)
                    self.steps += 1
            except (OSError, ValueError, KeyError):
                pass  # the server does not answer


def write_made_up(folder, step):
    beside = folder.with_name(folder.name + "-tmp")
    beside.mkdir()
    (beside / "config.json").write_text("{}")
    (beside / "model.safetensors").write_text(f"made up {step}")
    beside.rename(folder)


def write_real(folder, step):
    harness.copy_checkpoint(TOY[step % len(TOY)], folder)


def rows_of(cluster, sql):
    with sqlite3.connect(cluster.folder / "data" / "sinkwatch.db") as store:
        return store.execute(sql).fetchall()


def series(cluster, run, metric, domain):
    """{step: first value}."""
    url = (f"http://127.0.0.1:{cluster.http_port}/api/v1/series?run={run}&metric={metric}"
           f"&domain={domain}&max_points=0&max_rows=100000&layer=0&head=0")
    with urllib.request.urlopen(url, timeout=60) as answer:
        table = json.load(answer)
    return {int(row[0]): as_float32(row[1]) for row in table["rows"]}


def restart(cluster, chance):
    """Kills the server; half of the time it is not waited for."""
    cluster.server.kill()
    start = time.monotonic()
    cluster.start_server(wait=False)
    if chance.random() < 0.5:
        time.sleep(chance.random() * 0.06)
        return 0.0
    harness.wait_until(cluster.ready, "the server to come back")
    took = time.monotonic() - start
    time.sleep(chance.random() * 0.4)
    return took


def check_store(cluster, run):
    """Steps that have a measurement; that none has two and the file is sound."""
    sound = rows_of(cluster, "PRAGMA integrity_check")[0][0]
    counts = dict(rows_of(
        cluster, f"SELECT step, count(*) FROM measurement WHERE run = '{run}' GROUP BY step"))
    twice = [step for step, count in counts.items() if count != 1]
    print(f"  integrity {sound}, {len(counts)} measured, doubled {len(twice)}", flush=True)
    return sound == "ok" and not twice, counts


def kill_server(options, cluster, chance):
    root = cluster.add_run("made")
    cluster.start_server()
    clients = [Client(cluster.grpc_port, f"{options.seed} {i}") for i in range(options.clients)]

    def measured():
        return len(set(job for client in clients for job in list(client.done)))
    feeder = Feeder(root, measured, write_made_up, 60)
    for thread in [feeder, *clients]:
        thread.start()
    slowest = 0.0
    for kill in range(options.server_kills):
        slowest = max(slowest, restart(cluster, chance))
        if (kill + 1) % 50 == 0:
            print(f"  {kill + 1} kills, {measured()} acknowledged", flush=True)
    harness.wait_until(cluster.ready, "the server to come back")
    for thread in [feeder, *clients]:
        thread.stopped.set()
        thread.join(60)
    found = series(cluster, "made", "metric_0", "domain0")
    cluster.server.kill()
    sound, counts = check_store(cluster, "made")
    steps = dict(rows_of(cluster, "SELECT id, step FROM job"))
    sent, acked = {}, {}
    for client in clients:
        for job, value in client.sent:
            sent.setdefault(steps[job], set()).add(value)
        for job, values in client.acked.items():
            acked.setdefault(steps[job], []).extend(values)
    done = {steps[job] for client in clients for job in client.done}
    lost = [step for step in done if step not in counts]
    altered = [step for step, values in acked.items()
               if step in found and found[step] not in values]
    of_nobody = [step for step in found if found[step] not in sent.get(step, ())]
    twice_acked = [step for step, values in acked.items() if len(set(values)) > 1]
    print(f"server: {options.server_kills} kills, seed {options.seed}, {options.clients} clients, "
          f"acknowledged {len(done)}; lost {len(lost)}, altered {len(altered)}, of no attempt "
          f"{len(of_nobody)}, two acknowledged {len(twice_acked)}, series {len(found)} of "
          f"{len(counts)}; longest start {slowest:.2f} s", flush=True)
    return (sound and not lost and not altered and not of_nobody and not twice_acked
            and len(found) == len(counts))


def kill_workers(options, cluster, chance):
    root = cluster.add_run("real")
    cluster.start_server()
    workers = [cluster.start_worker() for _ in range(4)]

    def measured():
        runs = json.loads(cluster.http("/api/v1/runs?shape=records")[1])
        return sum(run["done"] or 0 for run in runs)
    feeder = Feeder(root, measured, write_real, 12)
    feeder.start()
    kills = ["worker"] * options.worker_kills + ["server"] * options.both_kills
    chance.shuffle(kills)
    for number, kill in enumerate(kills):
        time.sleep(chance.random() * 0.8)
        if kill == "server":
            restart(cluster, chance)
            continue
        victim = chance.randrange(len(workers))
        workers[victim].kill()
        workers[victim] = cluster.start_worker()
        if (number + 1) % 20 == 0:
            print(f"  {number + 1} kills, {feeder.steps} written", flush=True)
    feeder.stopped.set()
    feeder.join()
    harness.wait_until(cluster.ready, "the server to come back")
    for step in range(1, feeder.steps + 1):
        harness.await_state(cluster, "real", step, "done", seconds=600)
    wrong = 0
    for index, source in enumerate(TOY):
        right = harness.measure_directly(source, harness.TOY / "probe")
        for step in range(1, feeder.steps + 1):
            if step % len(TOY) == index:
                try:
                    harness.assert_same_values(right, harness.measurement(cluster, "real", step))
                except AssertionError as error:
                    print("  step", step, str(error)[:200])
                    wrong += 1
    cluster.server.kill()
    sound, counts = check_store(cluster, "real")
    print(f"workers: {options.worker_kills} kills, and {options.both_kills} of the server; "
          f"{len(counts)} of {feeder.steps} steps done, {wrong} of other values than measure's",
          flush=True)
    return sound and len(counts) == feeder.steps and wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server_kills", type=int, default=800)
    parser.add_argument("--worker_kills", type=int, default=160)
    parser.add_argument("--both_kills", type=int, default=40)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bin", default=str(ROOT / "bazel-bin"))
    options = parser.parse_args()
    os.chdir(ROOT)
    for name in "SERVER", "WORKER", "SINKCTL":
        setattr(harness, name, f"{options.bin}/{getattr(harness, name)}")
    chance = random.Random(options.seed)
    good = True
    if options.server_kills > 0:
        with harness.Cluster(lease_ttl=1.0) as cluster:
            good &= kill_server(options, cluster, chance)
    if options.worker_kills + options.both_kills > 0:
        with harness.Cluster(lease_ttl=2.0) as cluster:
            good &= kill_workers(options, cluster, chance)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
