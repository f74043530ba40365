#!/usr/bin/env python3
"""How long leases, renewals and results wait beside questions (by hand).

Starts a server on a run of --steps checkpoints, measures most of them by a
worker that makes values up (--layers x --heads x --metrics x --domains), and
then, under one load after the other, leases, renews and hands back the rest:

    bazel build //server:sinkwatch_server
    tests/load/lease_latency.py --layers=64 --heads=128 --steps=20
"""

import argparse
import random
import struct
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/wire")]

import harness  # noqa: E402
from client import Client, number, parse, text, varint  # noqa: E402

SERVICE = "/sinkwatch.v1."
SPEC_VERSION = 2


class Worker:
    """Leases, and hands in made-up values."""

    def __init__(self, port, shape):
        self.client = Client(port)
        self.shape = shape

    def lease(self):
        request = text(1, "made-up") + number(2, SPEC_VERSION)
        seconds, answer = self.client.timed(
            SERVICE + "WorkerService/AcquireLease", request)
        lease = parse(answer[0]).get(1)
        if not lease:
            return seconds, None
        fields = parse(lease[0])
        return seconds, (parse(fields[1][0])[1][0], fields[2][0])

    def renew(self, lease, ticks):
        return self.client.timed(
            SERVICE + "WorkerService/RenewLease",
            number(1, lease[0]) + number(2, lease[1]) + number(4, ticks))[0]

    def release(self, lease):
        return self.client.timed(SERVICE + "WorkerService/ReleaseLease",
                                 number(1, lease[0]) + number(2, lease[1]))[0]

    def commit(self, lease):
        start = time.monotonic()
        self.hand_in(lease)
        return time.monotonic() - start

    def hand_in(self, lease, value=None):
        """Random values, or that one at every place; whether they had come before."""
        s = self.shape
        model = text(1, "Made") + number(2, s.layers) + number(3, s.heads) + \
            number(4, s.heads)
        header = text(3, model) + number(4, SPEC_VERSION) + \
            text(5, "float32") + number(6, 128) + text(7, "none")
        for m in range(s.metrics):
            header += text(8, text(1, f"metric_{m}") + text(2, "ratio") +
                           number(3, 1) + text(4, "made up"))
        parts = [text(1, number(1, lease[0]) + number(2, lease[1]) +
                      text(3, header))]
        for layer in range(s.layers):
            values = struct.pack(f"<{s.heads}f",
                                 *(random.random() if value is None else value
                                   for _ in range(s.heads)))
            parts.append(text(2, b"".join(
                text(1, text(1, f"domain{d}") + text(2, f"metric_{m}") +
                     number(3, layer) + text(4, values) + text(5, values) +
                     number(6, 100))
                for d in range(s.domains) for m in range(s.metrics))))
        vectors = s.layers * s.domains * s.metrics
        parts.append(text(3, number(1, s.layers) + number(2, vectors) +
                          number(3, vectors * s.heads)))
        acks = self.client.call(SERVICE + "WorkerService/StreamMeasurement",
                                *parts)
        last = parse(acks[-1]) if acks else {}
        assert last.get(2) == [1], "not committed"
        return last.get(3) == [1]


def series(heads=()):
    selector = text(1, "made") + text(3, "metric_0") + text(4, "domain0")
    if heads:
        selector += text(6, b"".join(varint(h) for h in heads))
    return text(1, selector)


QUERY = SERVICE + "QueryService/QuerySeries"


class Load:
    """Threads that go on until the end of a with block."""

    def __init__(self, *bodies):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.go_on, args=(body,),
                                         daemon=True) for body in bodies]
        self.turns = 0

    def go_on(self, body):
        while not self.stop.is_set():
            try:
                body()
                self.turns += 1
            except OSError:
                time.sleep(0.1)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


def nothing():
    return Load()


def pages(cluster):
    """Eight pages, each asking what the page asks, every second."""
    urls = [f"http://127.0.0.1:{cluster.http_port}{path}" for path in (
        "/api/v1/runs", "/api/v1/checkpoints?run=made",
        "/api/v1/series?run=made&metric=metric_0&domain=domain0&agg=band",
        "/api/v1/matrix?run=made&metric=metric_0&domain=domain0", "/metrics",
        "/metrics/heads")]

    def poll():
        for url in urls:
            try:
                urllib.request.urlopen(url, timeout=60).read()
            except urllib.error.HTTPError:
                pass
        time.sleep(0.5)
    return Load(*[poll] * 8)


def questions(cluster):
    """300 QuerySeries of all heads at once, over ten connections."""
    def ask():
        client = Client(cluster.grpc_port)
        streams = [client.begin(QUERY) for _ in range(30)]
        payload = series()
        for stream in streams:
            client.write(stream, b"\0" + struct.pack(">I", len(payload)) +
                         payload, True)
        for stream in streams:
            client.finish(stream)
        client.socket.close()
    return Load(*[ask] * 10)


def a_million_heads(cluster):
    heads = list(range(1_000_000))
    payload = series(heads)

    def ask():
        client = Client(cluster.grpc_port)
        client.call(QUERY, payload)
        client.socket.close()
    return Load(ask)


def abandoned(cluster):
    """2,000 questions whose callers leave after .2 s; and again after 3 s."""
    def ask():
        client = Client(cluster.grpc_port)
        payload = series()
        for _ in range(200):
            client.write(client.begin(QUERY), b"\0" + struct.pack(
                ">I", len(payload)) + payload, True)
        time.sleep(0.2)
        client.socket.close()
        time.sleep(3)
    return Load(*[ask] * 10)


def report(name, times):
    times = sorted(times)
    if not times:
        return
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    print(f"| {name} | {len(times)} | {1e3 * at(.5):.1f} | {1e3 * at(.99):.1f} "
          f"| {1e3 * times[-1]:.1f} |", flush=True)


def measure(worker, seconds, keep):
    leases, renewals, commits = [], [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        took, lease = worker.lease()
        leases.append(took)
        if lease is None:
            break
        renewals.append(worker.renew(lease, len(renewals)))
        if keep > 0:
            keep -= 1
            commits.append(worker.commit(lease))
        else:
            renewals.append(worker.release(lease))
        time.sleep(0.005)
    return leases, renewals, commits


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=str(ROOT / "bazel-bin/server/sinkwatch_server"))
    for name, default in (("steps", 20), ("layers", 64), ("heads", 128),
                          ("metrics", 8), ("domains", 2), ("seconds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    harness.SERVER = options.server
    with harness.Cluster(lease_ttl=60) as cluster:
        root = cluster.add_run("made", probe=ROOT / "tests/data/toy/probe")
        for step in range(options.steps + 12):
            harness.copy_checkpoint(ROOT / "tests/data/toy/olmo/step60",
                                    root / f"step{step + 1}")
        cluster.start_server()
        worker = Worker(cluster.grpc_port, options)
        committed = 0
        while committed < options.steps:
            _, lease = worker.lease()
            if lease is None:
                time.sleep(0.2)
                continue
            worker.commit(lease)
            committed += 1
        print("| beside | leases | p50 ms | p99 ms | longest ms |\n|---|---|---|---|---|")
        for load in (nothing, pages, questions, a_million_heads, abandoned):
            with (load(cluster) if load is not nothing else load()) as running:
                leases, renewals, commits = measure(worker, options.seconds, 2)
            name = load.__name__.replace("_", " ")
            report(f"{name} ({running.turns} turns): leases", leases)
            report(f"{name}: renewals", renewals)
            report(f"{name}: commits", commits)


if __name__ == "__main__":
    main()
