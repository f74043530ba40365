"""The whole worker on checkpoints that somebody made to hurt it.

Each case is a folder, the exit code of `measure` and words of its message. Of
every case: bounded CPU time and memory (limited.py), no signal, nothing run or
written, one message that names the file.
"""

import concurrent.futures
import sys
import tempfile
import time
import traceback
from pathlib import Path

import limited
from limited import OK, RETRY

import dcp_cases
import json_cases
import link_cases
import race_cases
import safetensors_cases
import torch_cases

MODULES = [safetensors_cases, torch_cases, dcp_cases, json_cases, link_cases, race_cases]


def check(case, good_peak_kb):
    """What is wrong with the outcome of a case, or None."""
    with tempfile.TemporaryDirectory(prefix="sinkwatch-hostile.") as parent:
        folder = Path(parent) / "step7"
        result = case.run(folder)
        if result.code != case.code:
            return f"not exit code {case.code}: {result}"
        for word in case.words:
            if word not in result.message:
                return f"no '{word}' in: {result}"
        names_file = "step7" in result.message or "probe" in result.message
        if case.code not in (OK, RETRY) and not names_file:
            return f"the message names no file: {result}"
        if not limited.IS_ASAN and result.peak_kb > good_peak_kb + case.memory_kb:
            return f"too much memory (a good one takes {good_peak_kb >> 10} MiB): {result}"
        if result.message.count("\n") > 40:
            return f"it says too much: {result}"
        print(f"ok    {case.name}: {result.cpu_seconds:.1f} CPU s, {result.peak_kb >> 10} MiB",
              flush=True)
    return None


def check_safely(case, good_peak_kb):
    try:
        return check(case, good_peak_kb)
    except Exception:  # a case must not hide the others
        return traceback.format_exc()


def main():
    start = time.monotonic()
    cases = [case for module in MODULES for case in module.CASES]
    if sys.argv[1:2] == ["--build"]:
        next(case for case in cases if case.name == sys.argv[2]).build(Path(sys.argv[3]))
        return 0
    wanted = sys.argv[1:]
    cases = [case for case in cases if not wanted or any(word in case.name for word in wanted)]
    torch_cases.check_that_the_canary_sings()
    good = limited.measure(limited.STORIES)
    assert good.code == OK, good
    # Two at a time: each is one thread.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        errors = list(pool.map(lambda case: check_safely(case, good.peak_kb), cases))
    for case, error in zip(cases, errors):
        if error is not None:
            print(f"FAIL  {case.name}: {error}")
    failed = sum(error is not None for error in errors)
    print(f"{len(cases)} cases, {failed} failed, {time.monotonic() - start:.0f} s")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
