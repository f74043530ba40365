#!/usr/bin/env python3
"""What looks at a run of many checkpoints cost (by hand).

    bazel build //server:sinkwatch_server
    tests/load/look_cost.py --folders=20000 [--seconds=120]

Makes a root of --folders small checkpoints in the default temporary folder and
starts a server with its usual pace. Says how long until all are queued and the
longest that a lease waited meanwhile; then the share of a core that the server
takes while nothing changes, and while a trainer writes a checkpoint every ten
seconds, and after how long that one is queued.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/load"), str(ROOT / "tests/e2e"), str(ROOT / "tests/wire")]

import harness  # noqa: E402
import lease_latency  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


class Shape:
    layers, heads, metrics, domains = 1, 1, 1, 1


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def write_checkpoint(folder):
    beside = folder.with_name(folder.name + "-tmp")
    beside.mkdir()
    (beside / "config.json").write_text("{}")
    (beside / "model.safetensors").write_text("weights")
    beside.rename(folder)


def count(cluster, state):
    table = cluster.http("/api/v1/runs?shape=records")[1]
    rows = json.loads(table)
    return rows[0].get(state) or 0


class Lessee(threading.Thread):
    """Leases and hands back, and notes the longest wait."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.worker = lease_latency.Worker(port, Shape)
        self.longest = 0.0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.02):
            took, lease = self.worker.lease()
            self.longest = max(self.longest, took)
            if lease is not None:
                self.worker.release(lease)


def share_of_core(pid, seconds, meanwhile=None):
    start, before = time.monotonic(), cpu_seconds(pid)
    while time.monotonic() - start < seconds:
        if meanwhile is None:
            time.sleep(1)
        else:
            meanwhile()
    return (cpu_seconds(pid) - before) / (time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=str(ROOT / "bazel-bin/server/sinkwatch_server"))
    parser.add_argument("--folders", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    harness.SERVER = options.server
    with harness.Cluster(poll=2.0) as cluster:
        root = cluster.add_run("many", probe=ROOT / "tests/data/toy/probe", quiescence=2.0)
        for step in range(options.folders):
            write_checkpoint(root / f"step{step}")
        time.sleep(3)  # a time of just now tells nothing
        start = time.monotonic()
        server = cluster.start_server()
        pid = server.popen.pid
        lessee = Lessee(cluster.grpc_port)
        lessee.start()
        harness.wait_until(lambda: count(cluster, "queued") >= options.folders, "all queued", 600)
        queued = time.monotonic() - start
        lessee.stopped.set()
        lessee.join()
        print(f"{options.folders} folders: all queued after {queued:.1f} s, {cpu_seconds(pid):.1f} s "
              f"of CPU; longest wait for a lease {1e3 * lessee.longest:.0f} ms", flush=True)
        time.sleep(10)
        still = share_of_core(pid, options.seconds)
        print(f"  nothing changes: {100 * still:.2f} % of a core, {memory_mib(pid):.0f} MiB",
              flush=True)
        delays, step = [], options.folders

        def train():
            nonlocal step
            write_checkpoint(root / f"step{step}")
            begin = time.monotonic()
            step += 1
            while count(cluster, "queued") < step and time.monotonic() - begin < 60:
                time.sleep(2)  # what it costs to be asked is not the looks
            delays.append(time.monotonic() - begin)
            time.sleep(max(0.0, 10 - delays[-1]))

        busy = share_of_core(pid, options.seconds, train)
        print(f"  a checkpoint every 10 s: {100 * busy:.2f} % of a core, queued after "
              f"{sorted(delays)[len(delays) // 2]:.1f} s, longest {max(delays):.1f} s", flush=True)


if __name__ == "__main__":
    main()
