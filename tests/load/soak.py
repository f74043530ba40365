#!/usr/bin/env python3
"""Memory over hours: a server, workers, pages and a Prometheus (by hand).

    bazel build //server:sinkwatch_server //worker:sinkwatch_worker //server/ctl:sinkctl
    tests/load/soak.py --minutes=90 --record=/tmp/soak.csv

A server with a history that fills its caches (--history measurements that a
made-up worker hands in), --workers real workers, --pages pages that ask what
the page asks as often as it does, a Prometheus as deploy/prometheus.yml has it,
and a small checkpoint every --every seconds, of which each run keeps the last
50. All of it runs at nice 19. Every ten seconds the resident memory and the CPU
time of the server and of its workers go into --record.

Ends with exit code 1 if, after --settle minutes, memory is not flat within 5 %
(largest and smallest against the median), if a checkpoint that was written is
not measured exactly once, if an answer failed, or if the store is not sound.
"""

import argparse
import os
import shutil
import signal
import sqlite3
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/load"), str(ROOT / "tests/e2e")]

import harness  # noqa: E402
import lease_latency  # noqa: E402

FLAT = 0.05
RUNS = ["adam", "adam3", "olmo", "sgd3"]
KEPT = 50
TICKS = os.sysconf("SC_CLK_TCK")


class Shape:
    layers, heads, metrics, domains = 16, 16, 30, 2


def memory_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has ended")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Page(threading.Thread):
    """A page that is open: asks what it asks, every five seconds."""

    def __init__(self, cluster, run):
        super().__init__(daemon=True)
        self.base = f"http://127.0.0.1:{cluster.http_port}"
        made_up = run == "history"
        selection = (f"run={run}&metric={'metric_0' if made_up else 'sink_attention'}"
                     f"&domain={'domain0' if made_up else 'train'}")
        self.paths = ["/-/ready", "/api/v1/runs", f"/api/v1/checkpoints?run={run}",
                      f"/api/v1/metrics?run={run}", f"/api/v1/series?{selection}&agg=band",
                      f"/api/v1/matrix?{selection}"]
        self.tags = {}
        self.asked = 0
        self.slowest = 0.0
        self.failed = []
        self.stopped = threading.Event()

    def ask(self, path):
        request = urllib.request.Request(self.base + path)
        if path in self.tags:
            request.add_header("If-None-Match", self.tags[path])
        start = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
                if answer.headers["ETag"]:
                    self.tags[path] = answer.headers["ETag"]
        except urllib.error.HTTPError as error:
            if error.code not in (304, 404):  # 404: nothing of that run yet
                self.failed.append(f"{path}: {error.code} {error.read()[:200]}")
        except OSError as error:
            self.failed.append(f"{path}: {error}")
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.asked += 1

    def run(self):
        while not self.stopped.wait(5):
            for path in self.paths:
                self.ask(path)


class Trainers(threading.Thread):
    """Writes a checkpoint after the other, the runs in turn."""

    def __init__(self, roots, every):
        super().__init__(daemon=True)
        self.roots = roots
        self.every = every
        self.written = {run: [] for run in roots}
        self.stopped = threading.Event()

    def run(self):
        sources = {run: sorted((ROOT / "tests/data/toy" / run).glob("step*"))
                   for run in self.roots}
        turn = 0
        while not self.stopped.wait(self.every):
            run = list(self.roots)[turn % len(self.roots)]
            step = 1 + turn // len(self.roots)
            harness.copy_checkpoint(sources[run][step % len(sources[run])],
                                    self.roots[run] / f"step{step}")
            self.written[run].append(step)
            old = step - KEPT
            if old > 0:
                shutil.rmtree(self.roots[run] / f"step{old}")
            turn += 1


def fill_history(cluster, root, count):
    """Measurements that a worker made up."""
    for step in range(1, count + 1):
        folder = root / f"step{step}"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text("made up")
    worker = lease_latency.Worker(cluster.grpc_port, Shape)
    done = 0
    while done < count:
        _, lease = worker.lease()
        if lease is None:
            time.sleep(0.2)
            continue
        worker.commit(lease)
        done += 1


def start_prometheus(cluster, binary):
    port = harness.free_port()
    config = cluster.folder / "prometheus.yml"
    text = (ROOT / "deploy/prometheus.yml").read_text()
    text = text.replace("server:17460", f"127.0.0.1:{cluster.http_port}")
    config.write_text(text.replace("alerts.yml", str(ROOT / "deploy/alerts.yml")))
    prometheus = cluster.start("prometheus", [
        binary, f"--config.file={config}", f"--storage.tsdb.path={cluster.folder / 'tsdb'}",
        "--enable-feature=native-histograms", f"--web.listen-address=127.0.0.1:{port}"])

    def ready():
        assert prometheus.running(), prometheus.log()[-2000:]
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5)
        except OSError:
            return None
    harness.wait_until(ready, "Prometheus to be ready")
    return prometheus


def sample(server, workers, start, record):
    pids = [worker.popen.pid for worker in workers]
    row = [time.monotonic() - start, memory_mib(server.popen.pid),
           sum(memory_mib(pid) for pid in pids), cpu_seconds(server.popen.pid),
           sum(cpu_seconds(pid) for pid in pids)]
    record.write(",".join(f"{value:.2f}" for value in row) + "\n")
    record.flush()
    return row


def flatness(name, rows, column, settle):
    """How far memory strays from its median once it has settled."""
    after = [row[column] for row in rows if row[0] >= 60 * settle]
    middle = statistics.median(after)
    low, high = min(after) / middle - 1, max(after) / middle - 1
    tenth = max(len(after) // 10, 1)
    drift = statistics.mean(after[-tenth:]) / statistics.mean(after[:tenth]) - 1
    print(f"{name}: median {middle:.1f} MiB, {100 * low:+.1f} % to {100 * high:+.1f} %, "
          f"last tenth against first {100 * drift:+.1f} %", flush=True)
    return low >= -FLAT and high <= FLAT


def check_measured(cluster, written):
    """Whether each checkpoint was measured once, and the file is sound."""
    with sqlite3.connect(cluster.folder / "data" / "sinkwatch.db") as store:
        sound = store.execute("PRAGMA integrity_check").fetchone()[0]
        rows = store.execute("SELECT run, step, count(*) FROM measurement GROUP BY run, step")
        found = {(run, step): count for run, step, count in rows if run != "history"}
    wanted = {(run, step): 1 for run, steps in written.items() for step in steps}
    print(f"measured {len(found)} of {len(wanted)}, integrity {sound}", flush=True)
    return sound == "ok" and found == wanted


def soak(options, cluster, record):
    history = cluster.add_run("history")
    roots = {run: cluster.add_run(run) for run in RUNS}
    server = cluster.start_server()
    fill_history(cluster, history, options.history)
    workers = [cluster.start_worker() for _ in range(options.workers)]
    prometheus = start_prometheus(cluster, options.prometheus)
    pages = [Page(cluster, [*RUNS, "history"][i % 5]) for i in range(options.pages)]
    trainers = Trainers(roots, options.every)
    for thread in [*pages, trainers]:
        thread.start()
    rows, start = [], time.monotonic()
    while time.monotonic() - start < 60 * options.minutes:
        time.sleep(10)
        rows.append(sample(server, workers, start, record))
    trainers.stopped.set()
    trainers.join()
    for run, steps in trainers.written.items():
        harness.await_state(cluster, run, steps[-1], "done")
    for page in pages:
        page.stopped.set()
        page.join()
    failed = [failure for page in pages for failure in page.failed]
    print(f"asked {sum(page.asked for page in pages)}, failed {len(failed)} {failed[:3]}, "
          f"slowest {max(page.slowest for page in pages):.2f} s", flush=True)
    seconds = rows[-1][0]
    print(f"CPU: server {rows[-1][3] / seconds:.3f}, workers {rows[-1][4] / seconds:.3f} "
          f"of a core over {seconds / 60:.0f} minutes", flush=True)
    flat = [flatness("server", rows, 1, options.settle),
            flatness(f"{options.workers} workers", rows, 2, options.settle)]
    assert prometheus.running(), "Prometheus has ended"
    server.send(signal.SIGTERM)
    ended = server.wait() == 0
    return check_measured(cluster, trainers.written) and all(flat) and not failed and ended


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--settle", type=float, default=20)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--every", type=float, default=6)
    parser.add_argument("--history", type=int, default=600)
    parser.add_argument("--record", default="/tmp/soak.csv")
    parser.add_argument("--bin", default=str(ROOT / "bazel-bin"))
    parser.add_argument("--prometheus", default="/usr/bin/prometheus")
    options = parser.parse_args()
    os.nice(19)
    os.chdir(ROOT)
    for name in "SERVER", "WORKER", "SINKCTL":
        setattr(harness, name, f"{options.bin}/{getattr(harness, name)}")
    with open(options.record, "w") as record, harness.Cluster(poll=1.0) as cluster:
        record.write("seconds,server_mib,workers_mib,server_cpu_s,workers_cpu_s\n")
        return 0 if soak(options, cluster, record) else 1


if __name__ == "__main__":
    sys.exit(main())
