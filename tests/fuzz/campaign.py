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
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def user_seconds(pid):
    """User CPU time of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / CLOCK_TICKS


class Target:
    """One fuzzer, which is run in slices until it has had its time."""

    def __init__(self, name, options):
        self.name = name
        self.options = options
        self.folder = Path(options.out) / name
        for part in ("corpus", "findings"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.before = set(self.findings())
        self.log_path = self.folder / "log"
        self.executions = 0
        self.user_seconds = 0.0
        self.edges = 0
        self.broke_off = False
        self.popen = None

    def findings(self):
        return sorted((self.folder / "findings").iterdir())

    def found(self):
        return [path for path in self.findings() if path not in self.before]

    def start(self):
        binary = Path(self.options.bin) / "tests/fuzz" / f"{self.name}_fuzzer"
        command = [str(binary), *LIMITS, f"-max_len={DEFAULT_MAX_LEN}", "-use_value_profile=1",
                   "-print_final_stats=1", f"-artifact_prefix={self.folder}/findings/",
                   str(self.folder / "corpus"), str(HERE / "corpus" / self.name)]
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def running(self):
        """Whether the slice goes on; asks it to end once its time is up."""
        try:
            pid, status, usage = os.wait4(self.popen.pid, os.WNOHANG)
        except ChildProcessError:  # waited for when the interrupt came: its time is lost
            self.popen = None
            return False
        if pid == 0:
            if user_seconds(self.popen.pid) >= 60 * self.options.slice:
                self.popen.send_signal(signal.SIGUSR1)  # ends after this input
            return True
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.user_seconds += usage.ru_utime
        self.executions += self.last_number(EXECUTIONS)
        self.edges = self.last_number(EDGES)
        self.broke_off = self.popen.returncode != 0
        self.popen = None
        return False

    def stop(self):
        if self.popen is not None:
            self.popen.send_signal(signal.SIGUSR1)
        while self.popen is not None and self.running():
            time.sleep(0.1)

    def last_number(self, pattern):
        found = re.findall(pattern, self.log_path.read_text(errors="replace"))
        return int(found[-1]) if found else 0

    def failed(self):
        return self.broke_off or bool(self.found())

    def done(self):
        return self.failed() or self.user_seconds >= 60 * self.options.minutes

    def progress(self):
        return (f"{self.name}: {self.user_seconds / 60:.1f} CPU minutes, {self.executions:,} "
                f"executions, {self.edges} edges{', FAILED' if self.failed() else ''}")

    def row(self):
        findings = str(len(self.found())) if self.found() or not self.broke_off else "broke off"
        return (self.name, f"{self.executions:,}", f"{self.user_seconds / 60:.1f}",
                str(self.edges), findings)


def run(targets, jobs):
    """A slice of each in turn, `jobs` at a time, until each is done."""
    waiting, running = list(targets), []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.pop(0))
                running[-1].start()
            time.sleep(0.5)
            for target in [target for target in running if not target.running()]:
                running.remove(target)
                print(target.progress(), flush=True)
                if not target.done():
                    waiting.append(target)
    except KeyboardInterrupt:  # the table is of what was done
        for target in running:
            target.stop()


def print_table(targets):
    rows = [("target", "executions", "CPU minutes", "edges", "findings")]
    rows += [target.row() for target in targets]
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
    parser.add_argument("--slice", type=float, default=1)
    parser.add_argument("targets", nargs="+")
    return parser.parse_args()


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    targets = [Target(name, options) for name in options.targets]
    run(targets, options.jobs)
    print_table(targets)
    for target in targets:
        for finding in target.found():
            print(f"finding: {finding}")
        if target.failed():
            print(f"{target.name}: see {target.log_path}")
    return 1 if any(target.failed() for target in targets) else 0


if __name__ == "__main__":
    sys.exit(main())
