#!/usr/bin/env python3
"""How long a first look takes until all is queued, and what it costs (by hand).

    bazel build //server:sinkwatch_server
    tests/load/first_look.py [--count=30000] [--only=cache,manifest,folders]

Of each form that many steps come in, as revisions of a download cache, rows of a
CSV manifest and step folders: the wall time from the server's start until all
are queued, CPU time until then, and the most memory.
"""

import argparse
import hashlib
import time
from pathlib import Path

from look_cost import ROOT, count, cpu_seconds, harness, write_checkpoint


def write_cache(root, steps):
    blobs = root / "blobs"
    blobs.mkdir()
    for name in ("config", "weights"):
        (blobs / name).write_text(name)
    (root / "refs").mkdir()
    for step in range(steps):
        commit = hashlib.sha1(b"%d" % step).hexdigest()
        snapshot = root / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").symlink_to("../../blobs/config")
        (snapshot / "model.safetensors").symlink_to("../../blobs/weights")
        (root / "refs" / f"step{step}-tokens{step}M").write_text(commit)


def write_folders(root, steps):
    for step in range(steps):
        write_checkpoint(root / f"step{step}")


def write_manifest(root, steps):
    write_folders(root, steps)
    rows = [f"{step},https://example.org/run/step{step}/" for step in range(steps)]
    (root.parent / "manifest.csv").write_text("\n".join(["Step,Checkpoint Directory", *rows, ""]))


FORMS = {"cache": write_cache, "manifest": write_manifest, "folders": write_folders}


def most_memory_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return 0.0


def measure(form, steps):
    with harness.Cluster(poll=2.0) as cluster:
        fields = {}
        if form == "manifest":
            fields["manifest"] = f'"{cluster.folder}/runs/manifest.csv"'
        root = cluster.add_run("many", probe=ROOT / "tests/data/toy/probe", quiescence=2.0, **fields)
        FORMS[form](root, steps)
        time.sleep(3)  # a time of just now tells nothing
        start = time.monotonic()
        pid = cluster.start_server().popen.pid
        harness.wait_until(lambda: count(cluster, "queued") >= steps, "all queued", 600)
        print(f"{form}: {steps} queued after {time.monotonic() - start:.1f} s, "
              f"{cpu_seconds(pid):.1f} s of CPU, {most_memory_mb(pid):.0f} MB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=str(ROOT / "bazel-bin/server/sinkwatch_server"))
    parser.add_argument("--count", type=int, default=30000)
    parser.add_argument("--only", default=",".join(FORMS))
    options = parser.parse_args()
    harness.SERVER = options.server
    for form in options.only.split(","):
        measure(form, options.count)


if __name__ == "__main__":
    main()
