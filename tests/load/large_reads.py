#!/usr/bin/env python3
"""Many questions of 20 million values at once, under a bound on memory (by hand).

    bazel build //server:sinkwatch_server
    tests/load/large_reads.py --memory=1073741824

Fills a run of 64 layers, 128 heads and --steps steps (2,400: 19.7 million values
of one metric in one domain), starts the server again under `prlimit --as`, and
asks for all of it, over gRPC and HTTP, from --readers clients for --seconds.
Exit code 1 if the server ends, if none of the answers is one, if a lease waits
for more than a second, or if half a minute later the server has not given back
what it took (all but 128 MiB; 64 are what SQLite keeps of its file).
"""

import argparse
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/load"), str(ROOT / "tests/e2e"), str(ROOT / "tests/wire")]

import harness  # noqa: E402
import lease_latency  # noqa: E402
from client import Client, number, text  # noqa: E402


class Shape:
    layers, heads, metrics, domains = 64, 128, 1, 1


class Reader(threading.Thread):
    def __init__(self, cluster, by_http):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.by_http = by_http
        self.counts = {}
        self.stopped = threading.Event()

    def ask(self):
        if self.by_http:
            url = (f"http://127.0.0.1:{self.cluster.http_port}/api/v1/series?run=made&"
                   "metric=metric_0&domain=domain0&agg=band&max_points=0")
            try:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    return f"HTTP {answer.status}, {len(answer.read()) >> 20} MiB"
            except urllib.error.HTTPError as error:
                return f"HTTP {error.code}"
        client = Client(self.cluster.grpc_port)
        # A page of a hundred steps of all that is read.
        selector = text(1, "made") + text(3, "metric_0") + text(4, "domain0")
        answer = client.call(lease_latency.QUERY, text(1, selector) + number(2, 100))
        client.socket.close()
        return f"gRPC {len(answer[0]) >> 20} MiB" if answer else "gRPC refused"

    def run(self):
        while not self.stopped.is_set():
            try:
                said = self.ask()
            except OSError as error:
                said = type(error).__name__
            self.counts[said] = self.counts.get(said, 0) + 1


def fill(cluster, steps):
    worker = lease_latency.Worker(cluster.grpc_port, Shape)
    done = 0
    while done < steps:
        _, lease = worker.lease()
        if lease is None:
            time.sleep(0.2)
            continue
        worker.commit(lease)
        done += 1


def memory_mib(pid, what="VmRSS"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=str(ROOT / "bazel-bin/server/sinkwatch_server"))
    parser.add_argument("--memory", type=int, default=1 << 30, help="bytes")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--readers", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    harness.SERVER = options.server
    with harness.Cluster(lease_ttl=60) as cluster:
        root = cluster.add_run("made", probe=ROOT / "tests/data/toy/probe")
        for step in range(options.steps + 1):
            folder = root / f"step{step}"
            folder.mkdir()
            (folder / "config.json").write_text("{}")
            (folder / "model.safetensors").write_text("made up")
        cluster.start_server()
        fill(cluster, options.steps)
        cluster.server.kill()
        # A wrapper in place of the binary: the child is prlimit, then the server.
        bounded = cluster.folder / "bounded"
        bounded.write_text(f'#!/bin/sh\nexec prlimit --as={options.memory} {options.server} "$@"\n')
        bounded.chmod(0o755)
        harness.SERVER = str(bounded)
        server = cluster.start_server()
        before = memory_mib(server.popen.pid)
        worker = lease_latency.Worker(cluster.grpc_port, Shape)
        readers = [Reader(cluster, i % 2 == 1) for i in range(options.readers)]
        for reader in readers:
            reader.start()
        longest, end = 0.0, time.monotonic() + options.seconds
        while time.monotonic() < end:
            took, lease = worker.lease()
            longest = max(longest, took)
            if lease is not None:
                worker.release(lease)
            time.sleep(0.05)
        for reader in readers:
            reader.stopped.set()
        for reader in readers:
            reader.join()
        time.sleep(30)
        alive = server.running()
        peak, after = (memory_mib(server.popen.pid, what) if alive else 0
                       for what in ("VmHWM", "VmRSS"))
        counts = {}
        for reader in readers:
            for said, count in reader.counts.items():
                counts[said] = counts.get(said, 0) + count
        print(f"{options.readers} readers of {options.steps * 8192} values, {options.memory >> 20} MiB: "
              f"{dict(sorted(counts.items()))}; longest wait for a lease {1e3 * longest:.0f} ms; "
              f"RSS {before:.0f} MiB before, {peak:.0f} at the peak, {after:.0f} half a minute later; "
              f"{'alive' if alive else 'ENDED'}", flush=True)
        answered = any(said.endswith("MiB") for said in counts)
        good = alive and answered and longest < 1 and after < before + 128
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
