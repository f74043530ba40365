"""Runs `sinkwatch_worker measure` on a folder, under limits.

The limit on memory is RLIMIT_DATA (heap and private anonymous mappings):
LibTorch and its threads map gigabytes of address space that they never touch,
so that an RLIMIT_AS that lets a good checkpoint through stops nothing. Beside
it, the peak of resident memory is compared with that of a good checkpoint.
"""

import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

# In a test's run folder, or built beside the sources.
WORKER = next(path.resolve() for path in (Path("worker/sinkwatch_worker"),
                                          Path("bazel-bin/worker/sinkwatch_worker"))
              if path.is_file())
STORIES = Path("tests/data/stories260K").resolve()
PROBE = Path("tests/data/stories_probe").resolve()

OK, RETRY, USAGE, INCOMPLETE, CORRUPT, UNSUPPORTED, VANISHED = range(7)

CPU_SECONDS = 20
DATA_BYTES = 1 << 30
# What a hostile file may take beside what a good one takes (which is mostly
# LibTorch). The largest header we read has 16 MiB.
MEMORY_ABOVE_GOOD_KB = 200 << 10

# AddressSanitizer's shadow is terabytes of private mappings, and it keeps what was
# freed: its build shows that nothing crashes, the ordinary one what it costs.
IS_ASAN = "ASAN_OPTIONS" in os.environ


def _limit():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    if not IS_ASAN:
        resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it has no file to write
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Result:
    def __init__(self, code, message, usage):
        self.code = code
        self.message = message
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.peak_kb = usage.ru_maxrss

    def __str__(self):
        return (f"exit code {self.code}, {self.cpu_seconds:.1f} CPU s, "
                f"{self.peak_kb >> 10} MiB: {self.message[-1500:]}")


class Measure:
    """The worker at work on `checkpoint`, in an empty working directory."""

    def __init__(self, checkpoint, probe=PROBE, flags=()):
        self.folder = tempfile.TemporaryDirectory(prefix="sinkwatch-hostile.")
        self.popen = subprocess.Popen(
            [WORKER, "measure", f"--checkpoint={checkpoint}", f"--probe={probe}",
             "--device=cpu", "--threads=1", "--format=json", *flags],
            cwd=self.folder.name, preexec_fn=_limit, text=True, errors="replace",
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.lines = []

    def await_line(self, words):
        """Reads what it says until a line has `words`, then stops it."""
        for line in self.popen.stderr:
            self.lines.append(line)
            if words in line:
                self.popen.send_signal(signal.SIGSTOP)
                return
        raise AssertionError(f"it never said '{words}': {''.join(self.lines)}")

    def go_on(self):
        self.popen.send_signal(signal.SIGCONT)

    def finish(self):
        with self.folder:
            message = "".join(self.lines) + self.popen.stderr.read()
            _, status, usage = os.wait4(self.popen.pid, 0)
            self.popen.returncode = os.waitstatus_to_exitcode(status)
            left = os.listdir(self.folder.name)
            assert not left, f"it left files behind: {left}"
            return Result(self.popen.returncode, message, usage)


def measure(checkpoint, probe=PROBE, flags=()):
    return Measure(checkpoint, probe, flags).finish()
