#!/usr/bin/env python3
"""Runs built fuzzers until each has had its CPU time; run.sh calls this.

The corpus of a target grows in OUT/NAME/corpus, beside the committed one, and
is kept for the next time. An input that ends the target is a finding: it lands
in OUT/NAME/findings, the log of the run is OUT/NAME/log.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What an input may cost before it counts as a finding. The memory is that of
# the whole process, most of it the sanitizer's.
LIMITS = ["-timeout=10", "-rss_limit_mb=1500", "-malloc_limit_mb=256"]
DEFAULT_MAX_LEN = 16384
# Lines of libFuzzer's log.
EXECUTIONS = r"(?:#|number_of_executed_units: )(\d+)"
EDGES = r" cov: (\d+)"
FEATURES = r" ft: (\d+)"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def user_seconds(pid):
    """User CPU time of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / CLOCK_TICKS


class Campaign:
    """One target, from start to its row of the table."""

    def __init__(self, name, options):
        self.name = name
        self.seconds = options.minutes * 60
        self.folder = Path(options.out) / name
        for part in ("corpus", "findings"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.before = set(self.findings())
        self.log_path = self.folder / "log"
        self.usage = None
        self.status = None
        self.popen = self.start(Path(options.bin) / "tests/fuzz" / f"{name}_fuzzer")

    def findings(self):
        return sorted((self.folder / "findings").iterdir())

    def start(self, binary):
        command = [str(binary), *LIMITS, f"-max_len={DEFAULT_MAX_LEN}", "-use_value_profile=1",
                   "-print_final_stats=1", f"-artifact_prefix={self.folder}/findings/"]
        dictionary = HERE / "dictionaries" / f"{self.name}.dict"
        if dictionary.exists():
            command.append(f"-dict={dictionary}")
        command += [str(self.folder / "corpus"), str(HERE / "corpus" / self.name)]
        with open(self.log_path, "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def poll(self):
        """Whether it is still running; asks it to end once its time is up."""
        pid, status, usage = os.wait4(self.popen.pid, os.WNOHANG)
        if pid == 0:
            if user_seconds(self.popen.pid) >= self.seconds:
                self.popen.send_signal(signal.SIGUSR1)  # ends after this input
            return True
        self.popen.returncode = self.status = status
        self.usage = usage
        return False

    def last_number(self, pattern):
        found = re.findall(pattern, self.log_path.read_text(errors="replace"))
        return int(found[-1]) if found else 0

    def progress(self):
        minutes = user_seconds(self.popen.pid) / 60
        return (f"{self.name}: {minutes:.1f} CPU minutes, "
                f"{self.last_number(EXECUTIONS)} executions, "
                f"{self.last_number(EDGES)} edges")

    def failed(self):
        return self.status != 0 or bool(set(self.findings()) - self.before)

    def row(self):
        executions = self.last_number(EXECUTIONS)
        found = len(set(self.findings()) - self.before)
        return (self.name, f"{executions:,}", f"{self.usage.ru_utime / 60:.1f}",
                f"{self.last_number(EDGES)}", f"{self.last_number(FEATURES)}",
                f"{found}" if found or not self.failed() else "ended early")


def run(options):
    waiting = list(options.targets)
    running, done = [], []
    told = time.monotonic()
    while waiting or running:
        while waiting and len(running) < options.jobs:
            running.append(Campaign(waiting.pop(0), options))
        time.sleep(0.5)
        for campaign in list(running):
            if not campaign.poll():
                running.remove(campaign)
                done.append(campaign)
                print(f"{campaign.name}: done, log in {campaign.log_path}", flush=True)
        if time.monotonic() - told >= options.progress_seconds:
            told = time.monotonic()
            for campaign in running:
                print(campaign.progress(), flush=True)
    return done


def print_table(done):
    rows = [("target", "executions", "CPU minutes", "edges", "features", "findings")]
    rows += [campaign.row() for campaign in done]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


def parse_arguments():
    cache = os.environ.get("SINKWATCH_CACHE") or os.path.expanduser("~/.cache/sinkwatch")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=os.path.join(cache, "fuzz"))
    parser.add_argument("--progress_seconds", type=float, default=60)
    parser.add_argument("targets", nargs="+")
    return parser.parse_args()


def main():
    done = run(parse_arguments())
    print_table(done)
    for campaign in done:
        for finding in set(campaign.findings()) - campaign.before:
            print(f"finding: {finding}")
        if campaign.failed():
            print(f"{campaign.name}: see {campaign.log_path}")
    return 1 if any(campaign.failed() for campaign in done) else 0


if __name__ == "__main__":
    sys.exit(main())
